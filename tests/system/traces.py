# SPDX-License-Identifier: GPL-2.0-only
"""What is in the JSON that the case `trace` leaves on its disk: a trace of `streak trace`, and an answer of `streak top --hypercalls`."""
import json

DISK_MIB = 96
CPU_TRACKS = 0x8000  # the "process" whose threads are the CPUs
MOST_TRACE_MIB = 64


def judge_trace(trace):
    problems = []
    events = trace["traceEvents"]
    spans = [e for e in events if e["ph"] == "X"]
    calls = [e for e in spans if e["pid"] != CPU_TRACKS]
    runs = [e for e in spans if e["pid"] == CPU_TRACKS]
    names = {e["name"] for e in calls}
    tracks = {(e["pid"], e["tid"]) for e in events if e["ph"] == "M" and e["name"] == "thread_name"}
    guests = {e["pid"] for e in calls} - {0}
    if trace["schema"] != "streak.trace/1" or not isinstance(trace["lost"], int):
        problems.append("no schema, or not how many records were lost")
    problems += [f"no call of {name}" for name in ("sched_op", "event_channel_op", "iret") if name not in names]
    if not guests:
        problems.append("no calls of a guest")
    if not {e["name"] for e in runs} & {f"d{guest}v{vcpu}" for guest in guests for vcpu in (0, 1)}:
        problems.append("the guest ran on no CPU")
    if any(e["dur"] < 0 or e["ts"] < 0 for e in spans):
        problems.append("something ended before it began")
    if any((e["pid"], e["tid"]) not in tracks for e in events):
        problems.append("a track without a name")
    last = {}  # what a CPU runs does not overlap
    for e in sorted(runs, key=lambda e: e["ts"]):
        if e["ts"] + 0.002 < last.get(e["tid"], 0):
            problems.append(f"CPU {e['tid']} runs two at {e['ts']}")
            break
        last[e["tid"]] = e["ts"] + e["dur"]
    return problems


def judge_top(top):
    uses = {use["name"]: use for use in top["hypercalls"]}
    problems = [f"top has no {name}" for name in ("sched_op", "sysctl") if name not in uses]
    problems += [f"top: {name} {use}" for name, use in uses.items()
                 if use["calls"] < 1 or not 0 <= use["share"] <= 1 or use["p50_ns"] > use["p99_ns"]]
    if top["schema"] != "streak.hypercalls/1":
        problems.append(f"top's schema is {top['schema']}")
    return problems


def judge(disk):
    """What is wrong; empty when nothing is."""
    content = disk.read_bytes()
    parts = content[:MOST_TRACE_MIB << 20], content[MOST_TRACE_MIB << 20:]
    try:
        trace, top = (json.loads(part.rstrip(b"\0")) for part in parts)
    except ValueError as error:
        return [f"what should be JSON isn't: {error}"]
    return judge_trace(trace) + judge_top(top)
