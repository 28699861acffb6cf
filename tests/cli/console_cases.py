# SPDX-License-Identifier: GPL-2.0-only
"""`streak console`, with a pseudo terminal in the place of streak-consoled's."""
import os
import pty
import re
import signal
import subprocess
import time
import tty

from fake_api import error


class Guest:
    """The console of `web`."""

    def __init__(self, host):
        self.master, self.slave = pty.openpty()
        tty.setraw(self.slave)
        host.api.domains["web"]["console"]["tty"] = os.ttyname(self.slave)

    def close(self):
        for fd in (self.slave, self.master):
            os.close(fd)


def test_console_carries_bytes_and_ends_by_its_key(host):
    guest = Guest(host)

    def act(send, read_until):
        read_until("connected to web; Ctrl-] ends the connection")
        os.write(guest.master, b"login: ")
        read_until("login: ")
        send("root\x03\r")
        assert os.read(guest.master, 100) == b"root\x03\r"
        send("\x1d")

    ran = host.in_terminal("console", "web", act=act)
    guest.close()
    assert ran.status == 0 and "connection to web ended" in ran.out


def test_console_ends_with_the_guest(host):
    guest = Guest(host)

    def act(_send, read_until):
        read_until("connected")
        host.api.domains["web"].update(state="shut-off", reason="crash")
        guest.close()

    ran = host.in_terminal("console", "web", act=act)
    assert ran.status == 0 and "web has ended: shut-off (crash)" in ran.out


def test_console_whose_daemon_ended_says_so(host):
    guest = Guest(host)
    ran = host.in_terminal("console", "web", act=lambda _send, read_until: (read_until("connected"), guest.close()))
    assert ran.status == 8 and "terminal of web was closed" in ran.out


def test_console_puts_the_terminal_back(host):
    guest = Guest(host)
    for end in ("key", signal.SIGTERM, signal.SIGHUP):
        master, slave = pty.openpty()
        before = tty.tcgetattr(slave)
        process = subprocess.Popen([host.streak, "console", "web"], stdin=slave, stdout=slave, stderr=subprocess.PIPE,
                                   env=host.environment(), start_new_session=True)
        process.stderr.readline()
        deadline = time.monotonic() + 10
        while tty.tcgetattr(slave) == before and time.monotonic() < deadline:
            time.sleep(0.01)
        assert tty.tcgetattr(slave) != before, "not raw"
        if end == "key":
            os.write(master, b"\x1d")
        else:
            process.send_signal(end)
        status = process.wait(10)
        assert status in (0, -end if end != "key" else 0), f"status {status} after {end}: {process.stderr.read()}"
        assert tty.tcgetattr(slave) == before, f"not as it was after {end}"
        process.stderr.close()
        os.close(master)
        os.close(slave)
    guest.close()


def test_console_from_the_first_byte(host):
    """The terminal is open before the domain runs."""
    guest = Guest(host)
    host.api.domains["new"] = dict(host.api.domains["web"], name="new", state="paused")
    host.api.answers["POST", "/v1/domains"] = 201, host.api.domains["new"]
    uuid = host.api.domains["new"]["uuid"]

    def unpause(_api):
        os.write(guest.master, b"first")
        return 200, {"schema": "streak.done/1"}

    host.api.answers["POST", f"/v1/domains/{uuid}/unpause"] = unpause
    ran = host.run("create", "--console", "-", stdin="<domain/>")
    guest.close()
    assert ran.status == 0 and ran.out == "first"


def test_console_log(host):
    log = host.file("web.log", "one\n")
    host.api.domains["web"]["console"]["log"] = log
    assert host.good("console", "--log", "web").out == "one\n"
    process = subprocess.Popen([host.streak, "console", "--log", "--follow", "web"], stdout=subprocess.PIPE,
                               env=host.environment(), text=True)
    assert process.stdout.readline() == "one\n"
    with open(log, "a", encoding="utf-8") as file:
        file.write("two\n")
    assert process.stdout.readline() == "two\n"
    os.rename(log, log + ".1")
    host.file("web.log", "three\n")
    assert process.stdout.readline() == "three\n"
    process.terminate()
    process.wait(10)
    process.stdout.close()
    host.bad(2, "console", "--follow", "web")
    uuid = "11111111-2222-4333-8444-555555555555"
    host.file(f"var/log/streak/console/{uuid}.log", "last words\n")
    assert host.good("console", "--log", uuid).out == "last words\n", "of a domain that is gone"
    host.api.events = [{"number": 1, "time": "t", "uuid": uuid, "name": "gone", "event": "destroyed", "detail": ""}]
    assert host.good("console", "--log", "gone").out == "last words\n", "by its name"
    host.bad(4, "console", "--log", "never")


def test_console_json_names_the_terminal(host):
    guest = Guest(host)
    answer = host.good("console", "web", "--json").json
    guest.close()
    assert answer["schema"] == "streak.console/1" and re.match("/dev/pts/", answer["tty"])


def test_console_of_a_domain_that_is_off(host):
    host.api
    assert "is not running" in host.bad(5, "console", "db").err


def test_events_follow_across_a_restart(host):
    event = {"number": 1, "time": "t", "uuid": "u", "name": "web", "event": "crashed", "detail": "panic"}
    answers = [(200, {"events": [], "last": 0}), error("unavailable", "streakd is being restarted"),
               (200, {"events": [event], "last": 1})]
    host.api.answers["GET", "/v1/events"] = lambda _api: answers.pop(0) if answers else error("internal", "the end")
    ran = host.bad(1, "events", "--follow")
    assert ran.out == "t  web  crashed  panic\n"
