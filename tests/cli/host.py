# SPDX-License-Identifier: GPL-2.0-only
"""A folder that stands for a host, with daemons or without, and `streak` run in it."""
import dataclasses
import json
import os
import pathlib
import pty
import re
import select
import subprocess
import time

from fake_api import FakeApi


@dataclasses.dataclass
class Ran:
    status: int
    out: str
    err: str
    seconds: float = 0

    @property
    def json(self):
        return json.loads(self.out)

    @property
    def error(self):
        return json.loads(self.err)


class Host:
    def __init__(self, streak, root):
        self.streak, self.root = streak, pathlib.Path(root)
        self.api_, self.store_, self.ran = None, None, None

    @property
    def api(self):
        self.api_ = self.api_ or FakeApi(self.root)
        return self.api_

    def start_store(self):
        """The real one, without a hypervisor."""
        socket = self.root / "run/xenstored/socket"
        for folder in (socket.parent, self.root / "run/streak"):
            folder.mkdir(parents=True, exist_ok=True)
        self.store_ = subprocess.Popen([pathlib.Path(self.streak).parent / "streak-stored", "--sockets-only"],
                                       env=self.environment())
        deadline = time.monotonic() + 10
        while not socket.exists() and time.monotonic() < deadline:
            time.sleep(0.01)

    def stop(self):
        if self.api_:
            self.api_.stop()
        if self.store_:
            self.store_.terminate()
            self.store_.wait(10)

    def environment(self, **more):
        return {"PATH": os.environ["PATH"], "STREAK_ROOT": str(self.root), "TERM": "xterm", **more}

    def file(self, name, text):
        path = self.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        return str(path)

    def run(self, *words, stdin="", timeout=30):
        """Without a terminal."""
        began = time.monotonic()
        done = subprocess.run([self.streak, *words], input=stdin, capture_output=True, text=True, timeout=timeout,
                              env=self.environment())
        self.ran = Ran(done.returncode, done.stdout, done.stderr, time.monotonic() - began)
        return self.ran

    def good(self, *words, **more):
        ran = self.run(*words, **more)
        assert ran.status == 0, f"status {ran.status}"
        return ran

    def bad(self, status, *words, **more):
        """A run that fails in the one way that it should."""
        ran = self.run(*words, **more)
        assert ran.status == status, f"status {ran.status}, not {status}"
        assert ran.err.count("streak: ") == 1 or ran.err.startswith("{"), "one error, told once"
        assert "Success" not in ran.err
        return ran

    def in_terminal(self, *words, timeout=30, act=None, **environment):
        """On a pseudo terminal; `act(send, read_until)` may type. Everything that was shown is `out`."""
        pid, fd = pty.fork()
        if pid == 0:
            os.execve(self.streak, [self.streak, *words], self.environment(**environment))
        shown = bytearray()

        def read_until(pattern):
            end = time.monotonic() + timeout
            while not re.search(pattern, shown.decode(errors="replace")):
                left = end - time.monotonic()
                assert left > 0, f"waited for {pattern!r}, saw {bytes(shown)!r}"
                if not select.select([fd], [], [], left)[0]:
                    continue
                try:
                    data = os.read(fd, 65536)
                except OSError:
                    data = b""
                if not data:
                    return False
                shown.extend(data)
            return True

        if act:
            act(lambda text: os.write(fd, text.encode()), read_until)
        read_until(r"\Z(?!)")
        _, status = os.waitpid(pid, 0)
        os.close(fd)
        self.ran = Ran(os.waitstatus_to_exitcode(status), shown.decode(errors="replace"), "")
        return self.ran

    def last(self):
        return f"status {self.ran.status}\n    out: {self.ran.out!r}\n    err: {self.ran.err!r}" if self.ran else ""
