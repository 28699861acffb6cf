# SPDX-License-Identifier: GPL-2.0-only
"""Help, manual and completion agree; a start of the program costs little."""
import pathlib
import re
import shutil
import subprocess

ROOT = pathlib.Path(__file__).resolve().parents[2]
COMPLETION = ROOT / "packaging/completion/streak"


def shown_verbs(host):
    lines = host.good("help").out.split("WHAT IT DOES\n", 1)[1].splitlines()
    names = [re.match(r"(store \S+|\S+)", line)[1] for line in lines if line.strip() and not line.startswith("DOMAIN")]
    assert len(names) >= 36, names
    return names


def test_every_verb_has_help_with_examples(host):
    for verb in shown_verbs(host):
        text = host.good(*verb.split(), "--help").out
        if verb != "help":
            assert text.startswith(f"usage: streak {verb}") and "examples:\n  streak" in text and "--json" in text, verb


def test_the_manual_tells_all_verbs_and_options(host):
    source = host.good("help", "--scdoc").out
    page = subprocess.run(["scdoc"], input="streak(1)\n\n# COMMANDS\n\n" + source, capture_output=True, text=True, check=True).stdout
    page = page.replace("\\", "")
    for verb in shown_verbs(host):
        for option in re.findall(r"^  (--[a-z-]+)", host.good(*verb.split(), "--help").out, re.MULTILINE):
            assert option in page, (verb, option)
        assert f"streak {verb}" in page, verb


def complete(host, *words):
    """What bash offers for the last word."""
    script = f'''source "{COMPLETION}"
COMP_WORDS=({" ".join(f"'{w}'" for w in words)}) COMP_CWORD=$(({len(words)} - 1))
_streak 2> /dev/null; printf '%s\\n' "${{COMPREPLY[@]}}"'''
    folder = pathlib.Path(host.streak).parent
    environment = host.environment()
    environment["PATH"] = f"{folder}:{environment['PATH']}"
    return subprocess.run(["bash", "-c", script], capture_output=True, text=True, env=environment, check=True).stdout.split("\n")[:-1]


def test_completion(host):
    host.api
    offered = complete(host, "streak", "")
    assert all(verb.split()[0] in offered for verb in shown_verbs(host)), offered
    assert complete(host, "streak", "crea") == ["create"]
    assert complete(host, "streak", "store", "w") == ["write", "watch"]
    assert complete(host, "streak", "destroy", "") == ["web", "db", "--json", "--help"]
    assert complete(host, "streak", "shutdown", "--w") == ["--wait"]
    for verb in shown_verbs(host):
        help_text = host.good(*verb.split(), "--help").out
        expected = set(re.findall(r"^  (--[a-z-]+)", help_text, re.MULTILINE))
        assert expected <= set(complete(host, "streak", *verb.split(), "--")), verb
    host.file("x.xml", "")
    assert complete(host, "streak", "create", f"{host.root}/x")[0] == f"{host.root}/x.xml"


def instructions(command, environment):
    """In user mode, by callgrind."""
    done = subprocess.run(["valgrind", "--tool=callgrind", "--callgrind-out-file=/dev/null", *command], capture_output=True,
                          text=True, env=environment, check=True)
    return int(re.search(r"Collected : (\d+)", done.stderr)[1])


def test_a_list_costs_what_true_costs(host):
    """Twice /bin/true's instructions in user mode; the kernel's share is less, for nothing is linked at the start."""
    if not shutil.which("valgrind"):
        return
    host.api
    cost = instructions([host.streak, "list"], host.environment())
    true = instructions(["/bin/true"], host.environment())
    print(f"      streak list: {cost} instructions, /bin/true: {true}")
    assert cost < 3 * true, f"{cost} against {true}"
