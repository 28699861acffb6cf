# SPDX-License-Identifier: GPL-2.0-only
"""What is known to annoy people about `xl` at the command line; none of it happens here. (Numbers: a list of 29, of which
these are the ones that are the command line's business.)"""
import os
import re
import socket
import subprocess
import threading

from fake_api import DONE, error


def silent_socket(path):
    """Somebody listens and never answers."""
    path.parent.mkdir(parents=True, exist_ok=True)
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(str(path))
    listener.listen(16)
    return listener


def test_rough_edge_02_21_a_guest_is_not_saved_by_halves(host):
    """There is neither save nor restore, and whoever types them learns so at once; nothing is asked of streakd."""
    host.api
    for words in (("save", "-c", "web", "/tmp/f"), ("save", "web", "/tmp/f"), ("restore", "/tmp/f")):
        ran = host.bad(2, *words)
        assert f"no command is called '{words[0]}'" in ran.err and len(ran.err.splitlines()) <= 3
    assert host.api.requests == []


def test_rough_edge_03_a_daemon_that_is_down_is_told_at_once(host):
    for words, who in ((("list",), "streakd"), (("create", "-"), "streakd"), (("store", "ls"), "streak-stored")):
        ran = host.bad(8, *words)
        assert ran.seconds < 2 and f"{who} is not running" in ran.err and f"systemctl start {who}" in ran.err
    host.file("run/streak/api.sock", "")
    assert "nobody listens there" in host.bad(8, "list").err


def test_rough_edge_03_a_daemon_that_hangs_is_not_waited_for(host):
    listeners = [silent_socket(host.root / "run/streak/api.sock"), silent_socket(host.root / "run/xenstored/socket")]
    ran = {}
    threads = [threading.Thread(target=lambda w=words: ran.__setitem__(w, subprocess.run(
        [host.streak, *w], capture_output=True, text=True, timeout=30, env=host.environment())))
        for words in (("list",), ("store", "read", "/a"), ("doctor",))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for listener in listeners:
        listener.close()
    assert ran["list",].returncode == 9 and "streakd does not answer" in ran["list",].stderr
    assert ran["store", "read", "/a"].returncode == 9 and "streak-stored does not answer" in ran["store", "read", "/a"].stderr
    assert ran["doctor",].returncode == 8 and "streak-stored does not answer" in ran["doctor",].stdout


def test_rough_edge_08_memory_that_does_not_change_is_no_success(host):
    host.api.answers["POST", "/v1/domains/web/memory"] = DONE
    ran = host.bad(9, "set-memory", "--wait", "1", "web", "200M")
    assert "128 MiB" in ran.err and "200 MiB" in ran.err


def test_rough_edge_09_what_failed_has_a_status(host):
    host.api.answers["POST", "/v1/domains/0/pause"] = error("refused", "the control domain can't be paused")
    host.api.answers["POST", "/v1/domains/0/shutdown"] = error("refused", "the control domain can't be shut down")
    host.bad(6, "pause", "0")
    host.bad(6, "shutdown", "0")
    host.bad(4, "dominfo", "nosuch")
    host.bad(2, "debug-keys", "")
    host.api.answers["POST", "/v1/host/debug-keys"] = error("usage", "no debug key is called '@'")
    host.bad(2, "debug-keys", "@")


def failing_create(host, kind, status, what, **more):
    host.api.answers["POST", "/v1/domains"] = error(kind, what, **more)
    ran = host.bad(status, "create", "-", stdin="<domain/>")
    lines = ran.err.splitlines()
    assert lines[0] == f"streak: {what}" and len(lines) == 1 + len(more), "the reason, once, and nothing else"
    return ran


def test_rough_edge_11_the_reason_once(host):
    failing_create(host, "not_found", 4, "the kernel /nope/vmlinuz can't be read", found="no such file")


def test_rough_edge_12_memory_figures(host):
    ran = failing_create(host, "resources", 7, "too little memory", expected="132 MiB", found="90 MiB free", remedy="free some")
    assert "132 MiB" in ran.err and "90 MiB" in ran.err


def test_rough_edge_13_kernels_that_are_none(host):
    failing_create(host, "invalid", 3, "/etc/passwd is no kernel", expected="an ELF file or a bzImage", found="text")


def test_rough_edge_14_no_error_says_success(host):
    for kind in ("internal", "timeout", "conflict"):
        host.api.answers["POST", "/v1/domains/web/vcpus"] = error(kind, "")
        assert "uccess" not in host.run("set-vcpus", "web", "2").err


def test_rough_edge_15_more_vcpus_than_cpus(host):
    host.api
    assert host.good("set-vcpus", "web", "64").err == ""


def test_rough_edge_16_waiting_shows_progress_and_says_why_it_ends(host):
    host.api.answers["POST", "/v1/domains/web/shutdown"] = error("timeout", "web did not shut down", expected="within 2 s",
                                                                 found="no reaction")
    host.api.delay = 2.2
    ran = host.in_terminal("shutdown", "--wait=2", "web")
    assert ran.status == 9 and "waiting for web: 1 s" in ran.out and "waiting for web: 2 s" in ran.out
    assert re.search("web did not shut down", ran.out)


def test_rough_edge_16_waiting_for_what_is_off(host):
    host.api.answers["POST", "/v1/domains/db/shutdown"] = DONE
    assert host.good("shutdown", "--wait", "db").seconds < 1


def test_rough_edge_18_options_anywhere_and_near_misses(host):
    host.api
    for words in (("dominfo", "web", "--json"), ("dominfo", "--json", "web"), ("--json", "dominfo", "web")):
        assert host.good(*words).json["name"] == "web"
    assert host.good("attach-disk", "web", "--read-only", "/a", "xvdb").status == 0
    assert "did you mean `streak list`?" in host.bad(2, "lst").err
    assert "did you mean --paused?" in host.bad(2, "create", "x", "--pused").err
    assert "no command is called 'foo'" in host.bad(2, "foo").err
    assert "FILE is missing" in host.bad(2, "create").err
    assert "a command is missing" in host.bad(2).err
    host.bad(2, "pause", "web", "db")


def test_rough_edge_20_what_is_wrong_stands_with_its_line(host):
    finding = {"fate": "refused", "line": 7, "element": "domain/memory", "text": "-1 is no amount", "remedy": "write 128"}
    host.api.answers["POST", "/v1/domains"] = error("invalid", "the definition is refused", findings=[finding])
    ran = host.bad(3, "create", "-", stdin="<domain/>")
    assert re.search(r"^ +7 +refused +domain/memory +-1 is no amount +write 128$", ran.err, re.MULTILINE)
    assert host.bad(3, "create", "-", "--json", stdin="<domain/>").error["findings"] == [finding]


def test_rough_edge_22_a_dry_run_looks_at_the_host(host):
    host.api
    ran = host.bad(8, "validate", "-", stdin="<kernel>/nope</kernel>")
    assert "kernel /nope" in ran.out and "name a file that exists" in ran.out
    ran = host.bad(8, "validate", "--quiet", "-", stdin="<kernel>/nope</kernel>")
    assert ran.out == ""


def test_rough_edge_23_one_line_and_a_status_of_the_table(host):
    host.api
    ran = host.bad(4, "destroy", "99")
    assert ran.err.splitlines()[0] == "streak: no domain is called '99'" and "existant" not in ran.err


def test_rough_edge_24_modules_are_named(host):
    ran = host.bad(8, "doctor")
    assert "modprobe -a xen-privcmd xen-evtchn xen-gntdev xen-gntalloc" in ran.out
    assert "mount -t xenfs xenfs /proc/xen" in ran.out


def test_rough_edge_24_permission(host):
    host.api
    if os.geteuid() != 0:
        host.api.path.chmod(0)
        assert "group `streak`" in host.bad(6, "list").err
        return
    for path in (host.root, host.root / "run", host.root / "run/streak"):
        path.chmod(0o755)
    host.api.path.chmod(0o600)
    binary = host.root / "streak"
    binary.write_bytes(open(host.streak, "rb").read())
    binary.chmod(0o755)
    done = subprocess.run([binary, "list"], capture_output=True, text=True, env=host.environment(), user=65534, check=False)
    assert done.returncode == 6 and "group `streak`" in done.stderr, done.stderr


def test_rough_edge_25_progress_only_on_a_terminal(host):
    host.api.delay = 1.2
    path = host.file("new.xml", "<domain/>")
    ran = host.in_terminal("create", path)
    assert ran.status == 0 and f"creating a domain from {path}: 1 s" in ran.out
    assert ran.out.endswith("new: started, id 4\r\n")
    assert host.good("create", path).err == ""
    assert "1 s" not in host.in_terminal("create", path, "--json").out


def test_rough_edge_27_a_guest_that_does_not_take_the_disk(host):
    host.api.answers["POST", "/v1/domains/web/disks"] = error("timeout", "the guest did not connect the disk")
    host.bad(9, "attach-disk", "web", "/a", "xvdb")
    host.api.answers["POST", "/v1/domains/web/interfaces"] = error("not_found", "there is no bridge nobr")
    ran = host.bad(4, "attach-interface", "web", "--bridge", "nobr")
    assert ran.err.splitlines()[0] == "streak: there is no bridge nobr"


def test_rough_edge_28_no_console_daemon(host):
    host.api
    for tty in ("", "/dev/pts/nowhere"):
        host.api.domains["web"]["console"]["tty"] = tty
        ran = host.bad(8, "console", "web")
        assert ran.seconds < 2 and "systemctl start streak-consoled" in ran.err


def test_rough_edge_29_the_console_ends_with_its_input(host):
    """Says how to leave, does not replay, and ends when there is nothing to type."""
    master, slave = os.openpty()
    host.api.domains["web"]["console"]["tty"] = os.ttyname(slave)
    ran = host.good("console", "web", stdin="hello")
    assert "Ctrl-] ends the connection" in ran.err and ran.out == "" and ran.seconds < 5
    assert os.read(master, 10) == b"hello"
    os.close(master)
    os.close(slave)


def test_colours_only_where_they_are_wanted(host):
    host.api
    assert "\x1b[" in host.in_terminal("pause", "nosuch").out
    assert "\x1b[" not in host.in_terminal("pause", "nosuch", NO_COLOR="1").out
    assert "\x1b[" not in host.run("pause", "nosuch").err
