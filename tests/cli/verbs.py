# SPDX-License-Identifier: GPL-2.0-only
"""What every verb asks of streakd, and what it says."""
import json
import re
import subprocess
import time

from fake_api import DONE, domain, error

XML = "<domain type='xen'><name>new</name></domain>\n"


def sent(host):
    method, path, body = host.api.requests[-1]
    return method, path, json.loads(body) if body.startswith("{") else body


def test_list(host):
    host.api
    ran = host.good("list")
    assert re.match(r"NAME +ID +STATE +MEMORY +VCPUS +CPU TIME +UP FOR\nweb +3 +running +128 MiB +1 +12.3 s +1 h 02 min\n$",
                    ran.out)
    assert ran.err == "1 more shut off: `streak list --all` shows them\n"
    assert re.search(r"\ndb +- +shut-off", host.good("list", "--all").out)


def test_list_json_is_the_answer(host):
    host.api
    ran = host.good("list", "--json")
    assert ran.json["schema"] == "streak.domains/1" and len(ran.json["domains"]) == 2 and ran.err == ""


def test_list_leftovers(host):
    host.api
    assert host.good("list", "--leftovers").out == "nothing is left over\n"
    host.api.answers["GET", "/v1/leftovers"] = 200, {"leftovers": [{"what": "/dev/loop3", "holder": "nobody"}]}
    assert "/dev/loop3" in host.good("list", "--leftovers").out


def test_create(host):
    host.api
    path = host.file("new.xml", XML)
    assert host.good("create", path).out == "new: started, id 4\n"
    assert sent(host) == ("POST", "/v1/domains", XML)
    assert host.good("create", "--paused", "-", stdin=XML).out == "new: paused, id 4\n"
    assert sent(host) == ("POST", "/v1/domains?paused=1", XML)
    assert host.good("--json", "create", path).json["name"] == "new"


def test_create_without_its_file(host):
    host.api
    assert "no such file" in host.bad(4, "create", "/nowhere.xml").err.lower()


def test_define_start_undefine(host):
    host.api
    assert host.good("define", host.file("db.xml", XML)).out.startswith("db: defined, UUID 0000")
    assert sent(host)[:2] == ("PUT", "/v1/domains")
    assert host.good("start", "db").out == "db: started, id 5\n"
    assert ("POST", "/v1/domains/db/start", '{"paused":false}') in host.api.requests
    host.api.answers["GET", "/v1/domains/db"] = 200, domain("db", None)
    assert host.good("start", "db").out == "db: started\n"
    host.good("undefine", "db")
    assert sent(host)[:2] == ("DELETE", "/v1/domains/db")


def test_simple_changes(host):
    host.api
    for words, path, body in (
            (("pause", "web"), "pause", {}), (("unpause", "3"), "unpause", {}), (("destroy", "web"), "destroy", {}),
            (("shutdown", "web"), "shutdown", {}), (("shutdown", "--wait", "web"), "shutdown", {"wait": 60}),
            (("reboot", "web", "--wait=5"), "reboot", {"wait": 5}), (("rename", "web", "web2"), "rename", {"name": "web2"}),
            (("autostart", "web"), "autostart", {"on": True}), (("autostart", "--off", "web"), "autostart", {"on": False}),
            (("set-vcpus", "web", "2"), "vcpus", {"count": 2}), (("pin", "web", "0-1"), "pin", {"cpus": [0, 1]}),
            (("pin", "web", "all", "--vcpu", "0"), "pin", {"cpus": [0, 1], "vcpu": 0}),
            (("schedule", "web", "--weight", "512"), "scheduler", {"weight": 512}),
            (("schedule", "--cap=50", "web"), "scheduler", {"cap": 50})):
        reference = "3" if "3" in words else "web"
        assert host.good(*words).out.startswith(reference + ": "), words
        assert sent(host) == ("POST", f"/v1/domains/{reference}/{path}", body), (words, sent(host))
        assert host.good(*words, "--json").json == DONE[1], words


def test_set_memory(host):
    host.api
    assert host.good("set-memory", "web", "64M").out == "web: 64 MiB\n"
    assert ("POST", "/v1/domains/web/memory", '{"kib":65536}') in host.api.requests
    assert "without a unit" in host.bad(2, "set-memory", "web", "64").err
    for wrong in ("abc", "0M", "64X", "", "1e9M"):
        host.bad(2, "set-memory", "web", wrong)
    assert "asked" in host.good("set-memory", "--no-wait", "web", "32M").out


def test_devices(host):
    host.api
    host.good("attach-disk", "web", "/srv/a & b.img", "xvdb", "--read-only")
    method, path, body = sent(host)
    assert (method, path) == ("POST", "/v1/domains/web/disks") and "file='/srv/a &amp; b.img'" in body and "<readonly/>" in body
    host.good("attach-interface", "web", "--bridge", "br0", "--mac", "00:16:3e:00:00:07")
    assert "bridge='br0'" in sent(host)[2] and "address='00:16:3e:00:00:07'" in sent(host)[2]
    host.good("attach-disk", "web", "--xml", host.file("d.xml", "<disk/>"))
    assert sent(host)[2] == "<disk/>"
    host.good("detach-disk", "web", "xvdb", "--force")
    assert sent(host)[:2] == ("DELETE", "/v1/domains/web/disks/xvdb?force=1")
    host.good("detach-interface", "web", "00:16:3e:00:00:07")
    assert sent(host)[:2] == ("DELETE", "/v1/domains/web/interfaces/00:16:3e:00:00:07")
    host.bad(2, "attach-disk", "web", "/srv/a.img")
    host.bad(2, "attach-interface", "web")


def test_shows(host):
    host.api
    assert "free:" in host.good("info").out
    assert "1 of 2" in host.good("dominfo", "web").out
    assert host.good("info", "web").out == host.good("dominfo", "web").out
    assert host.good("dumpxml", "web").out == "<domain type='xen'/>\n"
    assert host.good("dumpxml", "web", "--json").json == {"schema": "streak.xml/1", "xml": "<domain type='xen'/>\n"}
    assert host.good("dmesg").out == "(STREAK) started\n"
    host.good("debug-keys", "q")
    assert sent(host) == ("POST", "/v1/host/debug-keys", {"keys": "q"})


def test_top_once(host):
    host.api
    ran = host.good("top", "--once")
    assert re.search(r"^web +3 +(49|50|51)\.\d ", ran.out, re.MULTILINE)
    assert host.good("top", "--once", "--json").json["schema"] == "streak.stats/1"


def test_events(host):
    host.api.events = [{"number": 1, "time": "2026-01-31T12:00:00Z", "uuid": "u", "name": "web", "event": "started", "detail": ""}]
    assert host.good("events").out == "2026-01-31T12:00:00Z  web  started\n"
    assert host.good("events", "--since", "1").out == ""
    assert host.good("events", "--json").json["schema"] == "streak.events/1"


def test_validate(host):
    host.api
    assert "is accepted" in host.good("validate", host.file("a.xml", XML)).err
    ran = host.bad(3, "validate", host.file("b.xml", "<memory>lots</memory>"))
    assert re.search(r"^ +2 +refused +domain/memory +'lots' is no number +write", ran.out, re.MULTILINE)


def test_store(host):
    host.start_store()
    host.good("store", "write", "/a/b", "two\x1b[31m")
    assert "a" in host.good("store", "ls", "/").out.splitlines()
    assert '/a = ""\n/a/b = "two\\x1b[31m"\n' in host.good("store", "ls", "--recursive").out
    assert host.good("store", "ls", "--json", "/a").json["nodes"] == [{"path": "/a/b"}]
    assert host.good("store", "read", "/a/b").out == "two\x1b[31m\n"
    assert r"two\x1b[31m" in host.in_terminal("store", "read", "/a/b").out
    assert host.good("store", "read", "--json", "/a/b").json["value"] == "two\x1b[31m"
    host.good("store", "write", "/a/c", "--", "-v")
    assert host.good("store", "read", "/a/c").out == "-v\n"
    host.good("store", "rm", "/a/c")
    assert host.bad(4, "store", "read", "/a/c").err == "streak: the store has no node /a/c\n"
    host.bad(2, "store", "read", "no path")
    assert "\nsessions" in host.good("store", "stats").out
    assert "store ls" in host.good("store").out


def test_store_watch(host):
    host.start_store()
    watcher = subprocess.Popen([host.streak, "store", "watch", "--count", "2", "/a"], stdout=subprocess.PIPE, text=True,
                               env=host.environment())
    deadline = time.monotonic() + 10
    while "watches 1" not in host.good("store", "stats").out and time.monotonic() < deadline:
        time.sleep(0.02)
    host.good("store", "write", "/a/b", "1")
    host.good("store", "write", "/a/c", "1")
    assert watcher.communicate(timeout=10)[0] == "/a/b\n/a/c\n" and watcher.returncode == 0


def test_doctor(host):
    host.file("sys/hypervisor/type", "xen\n")
    host.file("sys/hypervisor/version/extra", ".0-streak\n")
    host.file("proc/xen/capabilities", "control_d\n")
    for name in ("privcmd", "evtchn", "gntdev", "gntalloc"):
        host.file(f"dev/xen/{name}", "")
    for name in ("xen_blkback", "xen_netback", "loop"):
        host.file(f"sys/module/{name}/x", "")
    host.file("sys/class/net/br0/bridge/x", "")
    host.file("proc/17/comm", "streak-consoled\n")
    host.start_store()
    host.api
    ran = host.good("doctor")
    assert "FAILED" not in ran.out and "br0" in ran.out and "1.5 GiB" in ran.out
    (host.root / "sys/module/loop/x").unlink()
    (host.root / "sys/module/loop").rmdir()
    ran = host.bad(8, "doctor")
    assert "modprobe -a loop" in ran.out and "1 of 12 checks failed" in ran.err
    states = {check["name"]: check["state"] for check in json.loads(host.run("doctor", "--json").out)["checks"]}
    assert states["modules"] == "failed" and states["streakd"] == "ok"


def test_exit_status_of_every_kind(host):
    for kind, status in (("usage", 2), ("invalid", 3), ("not_found", 4), ("conflict", 5), ("refused", 6), ("resources", 7),
                         ("unavailable", 8), ("timeout", 9), ("internal", 1)):
        host.api.answers["POST", "/v1/domains/web/pause"] = error(kind, "it is so", expected="x", found="y", remedy="z")
        ran = host.bad(status, "pause", "web")
        assert ran.err == "streak: it is so\n  expected: x\n  found:    y\n  remedy:   z\n" and ran.out == ""
        ran = host.bad(status, "pause", "web", "--json")
        assert ran.out == "" and ran.error == {"schema": "streak.error/1", "kind": kind, "what": "it is so", "expected": "x",
                                               "found": "y", "remedy": "z"}


def test_answers_that_make_no_sense(host):
    for answer in ((200, b"not JSON"), (200, b"[]"), (500, b"<html>"), (200, b"")):
        host.api.answers["GET", "/v1/domains"] = answer
        host.bad(1, "list")
    for answer in ((200, {"domains": 7}), (200, {"domains": [3, None, {"name": 5, "id": "x", "state": [], "memory_kib": -1}]})):
        host.api.answers["GET", "/v1/domains"] = answer
        host.good("list")


def test_names_of_guests_do_not_steer_the_terminal(host):
    host.api.domains["web"]["name"] = "we\x1b[2Jb"
    assert "\x1b[2J" not in host.good("list").out and r"we\x1b[2Jb" in host.good("list").out


def test_references_are_quoted(host):
    host.api
    host.bad(4, "pause", "../a b/c?d")
    assert host.api.requests[-1][1] == "/v1/domains/..%2Fa%20b%2Fc%3Fd/pause"
    host.bad(2, "pause", "")
    host.bad(4, "pause", "..")
