# SPDX-License-Identifier: GPL-2.0-only
"""A stand-in for streakd: the API of docs/api.md on a Unix socket, with a few domains in memory."""
import contextlib
import http.server
import json
import pathlib
import socketserver
import threading
import time
import urllib.parse

MIB = 1024


class Server(socketserver.ThreadingMixIn, socketserver.UnixStreamServer):
    daemon_threads = True

    def handle_error(self, *_):
        """Clients come and go."""


def domain(name, number, **more):
    """A summary and all that streak.domain/1 adds to it."""
    state = "shut-off" if number is None else "running"
    return {"schema": "streak.domain/1", "uuid": f"00000000-0000-4000-8000-{abs(hash(name)) % 10**12:012d}",
            "name": name, "id": number, "state": state, "reason": "", "autostart": False, "persistent": True,
            "memory_kib": 128 * MIB, "max_memory_kib": 256 * MIB, "vcpus": 1, "max_vcpus": 2, "cpu_time_ns": 12_345_000_000,
            "uptime_s": 3725, "vcpus_list": [], "disks": [], "interfaces": [], "weight": 256, "cap": 0,
            "console": {"tty": "", "log": ""}, "kernel": "/boot/vmlinuz", "initrd": "", "command_line": "", **more}


def error(kind, what, status=None, **more):
    statuses = {"usage": 400, "invalid": 422, "not_found": 404, "conflict": 409, "refused": 403, "resources": 507,
                "unavailable": 503, "timeout": 504, "internal": 500}
    return status or statuses[kind], {"schema": "streak.error/1", "kind": kind, "what": what, "expected": "", "found": "",
                                      "remedy": "", **more}


DONE = 200, {"schema": "streak.done/1"}


class FakeApi:
    """`requests` are those that came; `answers` maps (method, path) to what is answered instead, after `delay`."""

    def __init__(self, root):
        self.path = pathlib.Path(root) / "run/streak/api.sock"
        self.path.parent.mkdir(parents=True, exist_ok=True)
        self.domains = {d["name"]: d for d in (domain("web", 3), domain("db", None))}
        self.requests, self.answers, self.delay, self.events = [], {}, 0, []
        api = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def handle_any(self):
                body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
                status, answer = api.answer(self.command, self.path, body)
                data = answer if isinstance(answer, bytes) else json.dumps(answer).encode()
                with contextlib.suppress(BrokenPipeError):
                    self.send_response(status)
                    self.send_header("Content-Length", str(len(data)))
                    self.end_headers()
                    self.wfile.write(data)

            do_GET = do_POST = do_PUT = do_DELETE = handle_any  # noqa: N815

            def address_string(self):
                return "unix"

            def log_message(self, *_):
                pass

        self.server = Server(str(self.path), Handler)
        threading.Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()

    def stop(self):
        self.server.shutdown()
        self.server.server_close()
        self.path.unlink(missing_ok=True)

    def answer(self, method, target, body):
        self.requests.append((method, target, body.decode(errors="replace")))
        time.sleep(self.delay)
        path, _, query = target.partition("?")
        special = self.answers.get((method, path))
        if special is not None:
            return special(self) if callable(special) else special
        parts = [urllib.parse.unquote(part) for part in path.removeprefix("/v1/").split("/")]
        known = getattr(self, f"{method.lower()}_{parts[0].replace('-', '_')}", None)
        return known(parts[1:], dict(urllib.parse.parse_qsl(query)), body) if known else error("not_found", "no such path")

    def find(self, reference):
        for key in ("uuid", "name"):
            for d in self.domains.values():
                if d[key] == reference:
                    return d
        return next((d for d in self.domains.values() if str(d["id"]) == reference), None)

    def get_host(self, parts, _query, _body):
        if parts == ["log"]:
            return 200, {"schema": "streak.log/1", "text": "(STREAK) started\n"}
        return 200, {"schema": "streak.host/1", "version": "4.17.0-streak", "build_id": "abcd", "cpus": 2, "cpu_khz": 1_000_000,
                     "memory_kib": 2048 * MIB, "free_memory_kib": 1536 * MIB}

    def post_host(self, *_):
        return DONE

    def get_domains(self, parts, _query, _body):
        if not parts:
            return 200, {"schema": "streak.domains/1", "domains": list(self.domains.values())}
        found = self.find(parts[0])
        if found is None:
            return error("not_found", f"no domain is called '{parts[0]}'", remedy="`streak list --all` shows the domains")
        return (200, b"<domain type='xen'/>\n") if parts[1:] == ["xml"] else (200, found)

    def post_domains(self, parts, query, body):
        if not parts:
            state = "paused" if query.get("paused") == "1" else "running"
            self.domains["new"] = domain("new", 4, state=state, persistent=False)
            return 201, self.domains["new"]
        status, found = self.get_domains(parts[:1], {}, b"")
        if status != 200:
            return status, found
        words = json.loads(body) if parts[1] not in ("disks", "interfaces") else {}
        if parts[1] == "start":
            found.update(state="paused" if words["paused"] else "running", id=5)
            return 200, found
        if parts[1] == "memory":
            found["memory_kib"] = words["kib"]
        return DONE

    def put_domains(self, *_):
        return 200, self.domains["db"]

    def delete_domains(self, parts, _query, _body):
        status, found = self.get_domains(parts[:1], {}, b"")
        return DONE if status == 200 else (status, found)

    def post_validate(self, _parts, _query, body):
        text = body.decode()
        refused = [{"fate": "refused", "line": 2, "element": "domain/memory", "text": "'lots' is no number",
                    "remedy": "write <memory unit='MiB'>128</memory>"}] if "lots" in text else []
        lacks = [{"what": "kernel /nope", "remedy": "name a file that exists"}] if "/nope" in text else []
        return 200, {"schema": "streak.validation/1", "accepted": not refused, "findings": refused, "lacks": lacks}

    def get_events(self, _parts, query, _body):
        since = int(query.get("since", 0))
        end = time.monotonic() + float(query.get("wait", 0))
        while time.monotonic() < end and not [e for e in self.events if e["number"] > since]:
            time.sleep(0.02)
        return 200, {"schema": "streak.events/1", "events": [e for e in self.events if e["number"] > since],
                     "last": len(self.events)}

    def get_leftovers(self, *_):
        return 200, {"schema": "streak.leftovers/1", "leftovers": []}

    def get_stats(self, *_):
        now = time.monotonic_ns()
        return 200, {"schema": "streak.stats/1", "time_ns": now, "host": {"cpus": 2, "memory_kib": 2048, "free_memory_kib": 1024},
                     "domains": [{"uuid": "u", "name": "web", "id": 3, "cpu_time_ns": now // 2, "memory_kib": 1024, "vcpus": 1,
                                  "read_bytes": 0, "written_bytes": 0, "received_bytes": 0, "sent_bytes": 0}]}
