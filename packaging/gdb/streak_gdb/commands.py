# SPDX-License-Identifier: GPL-2.0-only
"""The commands that show the hypervisor's state. They read memory only and work wherever the machine stands."""
import re

import gdb

from streak_gdb import machine
from streak_gdb.printers import lock_state, page_words
from streak_gdb.values import enumerator, heap_nodes, length, number, static

IDLE_DOMAIN_NAMES = {0x7ff1: "DOMID_IO", 0x7ff2: "DOMID_XEN", 0x7ff4: "nobody", 0x7fff: "DOMID_IDLE"}
VIRQS = {0: "TIMER", 1: "DEBUG", 2: "CONSOLE", 3: "DOM_EXC", 4: "TBUF", 6: "DEBUGGER", 7: "XENOPROF", 8: "CON_RING",
         9: "PCPU_STATE", 10: "MEM_EVENT", 11: "ARGO", 12: "ENOMEM", 13: "XENPMU", 16: "MCA"}
PORTS_PER_BUCKET = 256
ACTIVES_PER_BUCKET = MAPPINGS_PER_FRAME = 256
FIFO_WORDS_PER_PAGE = 1024
MOST_GRANTS_SHOWN = 32
NEVER = (1 << 64) - 1
EXPRESSION = -1  # for Command.most: all that is typed is one argument


class Command(gdb.Command):
    """A command whose class names it in `name`, documents it, and does it in run(arguments)."""

    def __init__(self):
        super().__init__(self.name, gdb.COMMAND_STATUS)

    def invoke(self, argument, from_tty):
        arguments = gdb.string_to_argv(argument)
        if self.most == EXPRESSION:
            arguments = [argument] if argument else []
        elif len(arguments) > self.most:
            raise gdb.GdbError(f"{self.name} takes at most {self.most} arguments: help {self.name}")
        with machine.hypervisor_memory():
            try:
                self.run(arguments)
            except gdb.MemoryError as error:
                raise gdb.GdbError(f"{self.name}: {error}") from None


def chosen_domains(arguments):
    return [machine.domain(machine.argument(arguments[0], "domain id"))] if arguments else machine.domains()


def owner_name(owner):
    return IDLE_DOMAIN_NAMES.get(owner, f"d{owner}")


def domain_state(domain):
    words = [word for word, flag in (("dead", "dead"), ("dying", "dying"), ("crashed", "crashed"), ("shut down", "shutting_down"))
             if number(domain[flag])]
    pauses = number(domain["pause_count"])
    return ", ".join(words + [f"paused {pauses} times"] * (pauses > 0)) or "alive"


def vcpu_line(vcpu):
    sched, info = vcpu["sched"], vcpu["info"]
    state = enumerator(sched["runstate"]["state"])
    cpu = number(sched["cpu"])
    events = "no vcpu_info"
    if int(info):
        events = f"upcall {'pending' if int(info['evtchn_upcall_pending']) else 'not pending'}, " \
                 f"{'masked' if int(info['evtchn_upcall_mask']) else 'open'}"
    pauses = number(sched["state"]["pauses_"])
    return (f"  {machine.vcpu_name(vcpu):7} {state:8} {'on' if number(sched['on_cpu']) else 'of'} CPU {cpu}, "
            f"{'kernel' if int(vcpu['in_kernel']) else 'user'} mode, {events}"
            + (f", paused {pauses} times" if pauses else "") + ("" if bool(vcpu["initialised"]) else ", not initialised"))


class Domains(Command):
    """List the domains and their vCPUs.
Usage: streak-domains

A domain's line: how it is, its frames of those it may own, hypervisor pages shown to it, references to it.
A vCPU's: what it does, the CPU it runs on or belongs to (`of`), the mode of its guest, its upcall."""

    name, most = "streak-domains", 0

    def run(self, arguments):
        for domain in machine.domains():
            pages = domain["pages"]
            print(f"d{number(domain['id'])}{' (privileged)' if bool(domain['privileged']) else ''}: {domain_state(domain)}, "
                  f"{int(pages['total'])} frames of {int(pages['max'])}, {int(pages['shared_heap'])} shown, "
                  f"{number(domain['references'])} references, Domain at {int(domain.address):#x}")
            for vcpu in machine.vcpus(domain):
                print(vcpu_line(vcpu))


class Vcpus(Command):
    """Show the registers and tables of vCPUs.
Usage: streak-vcpus [DOMAIN]

The registers are those of the last entry into the hypervisor, or the processor's where the guest runs now ("live").
streak-bt DOMAIN VCPU shows the guest's stack."""

    name, most = "streak-vcpus", 1

    def run(self, arguments):
        from streak_gdb.backtrace import guest_registers, guest_symbol
        cpus = machine.processors()
        for domain in chosen_domains(arguments):
            for vcpu in machine.vcpus(domain):
                print(vcpu_line(vcpu))
                if not bool(vcpu["initialised"]):
                    continue
                regs = guest_registers(vcpu, cpus)
                print(f"          rip {regs.rip:016x} {guest_symbol(number(domain['id']), regs.rip)}"
                      f"{'  (live)' if regs.live else ''}\n"
                      f"          rsp {regs.rsp:016x}  rbp {regs.rbp:016x}  cs {regs.cs:#x}\n"
                      f"          cr3 kernel {int(vcpu['cr3_kernel']):#x}, user {int(vcpu['cr3_user']):#x}"
                      f"   Vcpu at {int(vcpu.address):#x}")


class Page(Command):
    """Show what the hypervisor knows of a machine frame.
Usage: streak-page FRAME

FRAME is an expression: 0x1a2b, $streak_vcpu(0, 0)->cr3_kernel >> 12, or a value of type Mfn. Shown: owner, general references, the type with its
references (docs/page-types.md), the guest's number of it (M2P)."""

    name, most = "streak-page", EXPRESSION

    def run(self, arguments):
        if not arguments:
            raise gdb.GdbError("usage: streak-page FRAME")
        frame = machine.argument(arguments[0], "frame number")
        page = machine.page(frame)
        owner = int(page["owner"])
        count, flags, kind, uses, type_flags = page_words(page)
        print(f"frame {frame:#x}, machine address {frame << 12:#x}: {owner_name(owner)}'s")
        print(f"  count {count}{''.join(', ' + flag for flag in flags)}")
        print(f"  type {kind}, {uses} uses{''.join(', ' + flag for flag in type_flags)}")
        if kind in ("l1", "l2", "l3", "l4"):
            print(f"  entries validated: {int(page['progress'])}")
        pfn = machine.read_u64(machine.M2P + frame * 8)
        print(f"  pfn {'none' if pfn == NEVER else hex(pfn)}, TLB stamp {int(page['tlb_stamp'])}, "
              f"PageInfo at {int(page.address):#x}")


def fifo_word(domain, port):
    fifo = domain["fifo"].dereference()
    at, rest = divmod(port, FIFO_WORDS_PER_PAGE)
    return int(fifo["pages_"]["_M_elems"][at][rest]) if at < number(fifo["page_count_"]) else 0


def port_bits(domain, port):
    """(pending, masked)"""
    if int(domain["fifo"]):
        word = fifo_word(domain, port)
        return word >> 31 & 1, word >> 30 & 1
    shared = domain["shared_info"]
    return tuple(int(shared[name][port // 64]) >> port % 64 & 1 for name in ("evtchn_pending", "evtchn_mask"))


def port_meaning(state, port):
    detail = int(port["detail"])
    return {"unbound": f"waits for d{number(port['remote_domain'])}",
            "interdomain": f"port {detail} of d{number(port['remote_domain'])}",
            "pirq": f"interrupt {detail}",
            "virq": f"VIRQ_{VIRQS.get(detail, detail)}"}.get(state, "")


class EventChannels(Command):
    """List the event channel ports in use.
Usage: streak-evtchn [DOMAIN]

Each port with its kind, what it is bound to, the vCPU that is notified, and the guest's bits."""

    name, most = "streak-evtchn", 1

    def run(self, arguments):
        for domain in chosen_domains(arguments):
            if int(domain["ports"]) == 0:
                continue
            ports = domain["ports"].dereference()
            print(f"d{number(domain['id'])}: {'FIFO' if int(domain['fifo']) else '2-level'} event channels")
            for number_ in range(1, int(ports["allocated_"])):
                port = ports["buckets_"][number_ // PORTS_PER_BUCKET][number_ % PORTS_PER_BUCKET]
                state = enumerator(port["state"])
                if state == "free":
                    continue
                pending, masked = port_bits(domain, number_)
                words = [word for word, flag in (("pending", pending), ("masked", masked)) if flag]
                print(f"  {number_:4} {state:11} {port_meaning(state, port):18} v{int(port['vcpu'])} {', '.join(words)}".rstrip())


def granted(table, version, ref):
    """(flags, domain, frame) of a shared entry."""
    per_frame, kind = (512, "grant_entry_v1_t") if version == 1 else (256, "grant_entry_v2_t")
    frame = table["frames_"][ref // per_frame]
    entry = frame.cast(gdb.lookup_type(kind).pointer())[ref % per_frame]
    if version == 1:
        return int(entry["flags"]), int(entry["domid"]), int(entry["frame"])
    header = entry["hdr"]
    return int(header["flags"]), int(header["domid"]), int(entry["full_page"]["frame"])


class Grants(Command):
    """Show the grants domains give and what they have mapped of others'.
Usage: streak-grants [DOMAIN]

`offers`: entries in the guest's table (at most 32 are listed); `r`/`w` behind one count its readers and writers.
`mapped`: handles of the maptrack table."""

    name, most = "streak-grants", 1

    def run(self, arguments):
        for domain in chosen_domains(arguments):
            if int(domain["grants"]):
                self.offers(domain)
            if int(domain["maptrack"]):
                self.mappings(domain)

    @staticmethod
    def active(table, ref):
        bucket = table["actives_"][ref // ACTIVES_PER_BUCKET]
        return bucket[ref % ACTIVES_PER_BUCKET] if int(bucket) else None

    def offers(self, domain):
        table = domain["grants"].dereference()
        version, entries = int(table["version_"]), int(table["entry_count_"])
        print(f"d{number(domain['id'])}: grant table version {version}, {int(table['frame_count_'])} of "
              f"{int(table['max_frames_'])} frames, {entries} entries")
        shown = 0
        for ref in range(entries):
            flags, user, frame = granted(table, version, ref)
            active = self.active(table, ref)
            readers, writers = (int(active["readers"]), int(active["writers"])) if active is not None else (0, 0)
            if not flags & 3 and not readers and not writers:
                continue
            shown += 1
            if shown > MOST_GRANTS_SHOWN:
                continue
            print(f"  offers {ref}: frame {frame:#x} to d{user}{', read-only' if flags & 4 else ''}"
                  f"{f', in use r {readers} w {writers}' if readers or writers else ''}")
        if shown > MOST_GRANTS_SHOWN:
            print(f"  … and {shown - MOST_GRANTS_SHOWN} more")

    @staticmethod
    def mappings(domain):
        track = domain["maptrack"].dereference()
        handles = number(track["count_"])
        for handle in range(handles):
            mapping = track["buckets_"][handle // MAPPINGS_PER_FRAME][handle % MAPPINGS_PER_FRAME]
            flags = int(mapping["flags"])
            if flags & 3 or flags >> 8 & 3:
                kinds = [word for word, bit in (("device", 1), ("host", 2)) if flags & bit or flags >> 8 & bit]
                print(f"  mapped {handle}: grant {number(mapping['ref'])} of d{number(mapping['granter'])}, frame "
                      f"{int(mapping['frame']):#x}, {'+'.join(kinds)}{', read-only' if flags & 4 else ''}")


class RunQueues(Command):
    """Show what each CPU runs, what waits for it, and its next timer.
Usage: streak-runq

Times are in ns: a vCPU's virtual clock against the queue's (the smallest runs next), deadlines in system time."""

    name, most = "streak-runq", 0

    def run(self, arguments):
        queues = static("streak::scheduler::queues")["_M_elems"]
        timers = static("streak::timers::(anonymous namespace)::all", "domain/timers.cpp")["_M_elems"]
        for cpu in range(number(static("streak::arch::online_count"))):
            at, queue = queues[cpu], queues[cpu]["queue"]
            running = at["running"]
            print(f"CPU {cpu}: runs {machine.vcpu_name(running.dereference()) if int(running) else 'nothing yet'}, "
                  f"{int(queue['waiting_'])} waiting, {int(queue['throttled_count_'])} throttled, "
                  f"clock {number(queue['clock_'])}")
            for heap, word in (("ready_", "waits"), ("throttled_", "throttled")):
                for entity in heap_nodes(queue[heap]["root_"], "streak::VcpuSched"):
                    print(f"  {machine.vcpu_name(entity['vcpu'].dereference()):7} {word}, "
                          f"{int(entity['vruntime']) - number(queue['clock_']):+} ns, weight {int(entity['weight'])}")
            for timer in sorted(heap_nodes(timers[cpu]["heap"]["heap_"]["root_"], "streak::Timer"),
                                key=lambda timer: int(timer["deadline"])):
                function = gdb.block_for_pc(int(timer["function"])) if int(timer["function"]) else None
                print(f"  timer at {int(timer['deadline'])}: "
                      f"{function.function.name if function and function.function else hex(int(timer['function']))}")


def locks_in(value, name):
    """(name, SpinLock) of every lock inside an object, pointers not followed."""
    kind = value.type.strip_typedefs()
    if kind.name == "streak::SpinLock":
        yield name, value
    elif has_lock(kind) and kind.code == gdb.TYPE_CODE_ARRAY:
        for i in range(length(value)):
            yield from locks_in(value[i], f"{name}[{i}]")
    elif has_lock(kind):
        for field in kind.fields():
            if field.name is not None and has_lock(field.type):
                inner = name if field.is_base_class or field.name == "_M_elems" else f"{name}.{field.name}"
                yield from locks_in(value[field], inner)


lock_types = {}


def has_lock(kind):
    kind = kind.strip_typedefs().unqualified()
    if kind.code == gdb.TYPE_CODE_ARRAY:
        return has_lock(kind.target())
    if kind.code not in (gdb.TYPE_CODE_STRUCT, gdb.TYPE_CODE_UNION):
        return False
    if kind.name == "streak::SpinLock":
        return True
    key = kind.name or str(kind)
    if key not in lock_types:
        lock_types[key] = any(has_lock(field.type) for field in kind.fields() if hasattr(field, "bitpos"))
    return lock_types[key]


def variables_with_locks():
    """(name, value) of the image's variables that are or hold a lock."""
    listing = gdb.execute("info variables -q -n ^streak::", to_string=True)
    file = ""
    for line in listing.splitlines():
        if line.startswith("File "):
            file = line[5:].rstrip(":")
        match = re.match(r"\d+:\s.*?((?:\w+::|\(anonymous namespace\)::)*\w+)(?:\[\d*\])*;$", line)
        if not match:
            continue
        for symbol in [*gdb.lookup_static_symbols(match[1]), gdb.lookup_global_symbol(match[1])]:
            if symbol is not None and symbol.is_variable and symbol.symtab.filename == file and has_lock(symbol.type):
                yield match[1].replace("(anonymous namespace)::", "").removeprefix("streak::"), symbol.value()
                break


class Locks(Command):
    """List the spin locks that are held.
Usage: streak-locks [all]

Looks at every lock of the image's variables, the domains and their vCPUs. A lock does not know its holder: streak-bt
on the other threads shows who waits. `all` lists the free ones, too."""

    name, most = "streak-locks", 1
    images = None  # the image's variables stay the same

    def run(self, arguments):
        if Locks.images is None:
            Locks.images = list(variables_with_locks())
        places = list(Locks.images)
        try:
            for domain in machine.domains():
                name = f"d{number(domain['id'])}"
                places.append((name, domain))
                places += [(machine.vcpu_name(vcpu), vcpu) for vcpu in machine.vcpus(domain)]
        except gdb.GdbError:
            pass  # none yet
        held = looked_at = 0
        for name, value in places:
            # Values of lookups may be cached from an earlier stop.
            for lock_name, lock in locks_in(value.address.dereference(), name):
                looked_at += 1
                taken, waiting = lock_state(lock)
                held += taken
                if taken or arguments == ["all"]:
                    print(f"  {lock_name:44} {f'held, {waiting} waiting' if taken else 'free'}")
        print(f"{held} of {looked_at} locks held")


def register():
    for command in (Domains, Vcpus, Page, EventChannels, Grants, RunQueues, Locks):
        command()
    machine.DomainFunction()
    machine.VcpuFunction()
