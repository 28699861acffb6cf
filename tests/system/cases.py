# SPDX-License-Identifier: GPL-2.0-only
"""The system tests, as data. A new combination of hardware is a new line here."""
import dataclasses

HV_OPTIONS = "console=com1,vga com1=115200,8n1 loglvl=all guest_loglvl=all dom0_mem=512M,max:512M"
DOM0_OPTIONS = "console=hvc0 earlyprintk=xen panic=1 loglevel=7"


class Monitor(str):
    """A line for QEMU's monitor."""


@dataclasses.dataclass
class Case:
    """One boot. `test` names a script of dom0/tests; `markers` are verdicts that have to appear."""
    name: str
    test: str
    machine: str = "i440fx"
    firmware: str = "bios"
    smp: int = 1
    cpu: str = "qemu64"
    memory_mib: int = 1024
    disk: str = ""  # ide, ahci, virtio
    judge: str = ""  # what looks at the disk instead: cores, traces (cores.py, traces.py)
    nic: str = ""  # e1000, virtio-net
    hv: str = ""  # further options of the hypervisor; a repeated one replaces the default
    dom0: str = ""  # further options of dom0's kernel
    markers: tuple = ()
    ends: str = "poweroff"  # or reboot, or panic; or twice: a panic, and power-off after another boot
    log_has: tuple = ()  # patterns that have to appear in the serial log
    typing: tuple = ()  # (pattern to wait for, text to type, or a Monitor line) in order
    guest_sees: str = ""  # of the hypervisor, by the page tables it runs on: "entry" code and stacks, or "all"
    stock_kernel: bool = False  # Debian's image as it is, not the unpacked copy that a kernel hook makes
    image: str = ""  # what dom0 has besides: "stress" (stress-ng), "hv" (hv_probe), "xl" (Debian's toolstack and a guest)
    suites: tuple = ("full",)
    only: str = ""  # hypervisor the case applies to
    dom0_cpus: int = 0  # vCPUs dom0 is expected to have; smp by default
    seconds: int = 240


SMOKE = ("smoke", "full")

CASES = [
    Case("boot", "boot", stock_kernel=True, suites=SMOKE),
    Case("smp2", "boot", smp=2, suites=SMOKE),
    Case("smp4", "boot", smp=4, memory_mib=2048),
    Case("dom0-max-vcpus", "boot", smp=4, hv="dom0_max_vcpus=2", dom0_cpus=2),
    Case("q35", "boot", machine="q35", smp=2),
    Case("uefi", "boot", firmware="uefi", stock_kernel=True),
    Case("uefi-q35", "hypervisor", machine="q35", firmware="uefi", smp=2),
    Case("haswell", "boot", cpu="Haswell-noTSX", smp=2),
    Case("max-nosmap", "hypervisor", cpu="max,-smap", machine="q35"),
    # The clock by the ACPI timer, where there is no HPET; processors of other makers and ages.
    Case("opteron-no-hpet", "boot", cpu="Opteron_G3", smp=2, machine="i440fx,hpet=off", hv="dom0_mem=-300M",
         log_has=("by ACPI timer",)),
    Case("nehalem-pinned", "boot", cpu="Nehalem", smp=4, hv="maxcpus=2 dom0_vcpus_pin", dom0_cpus=2),
    Case("smp8", "boot", cpu="max,-smap", smp=8, memory_mib=2048, hv="dom0_mem=max:1G,min:256M,1G"),
    Case("memory-8g", "memory", memory_mib=8192, hv="dom0_mem=3072M,max:3072M", dom0="streak.mib=3072"),
    Case("hypervisor", "hypervisor", suites=SMOKE, markers=("capabilities", "module-xen_privcmd")),
    Case("disk-ide", "disk", disk="ide"),
    Case("disk-ahci", "disk", machine="q35", disk="ahci", smp=2),
    Case("disk-virtio", "disk", disk="virtio", suites=SMOKE),
    Case("disk-virtio-q35", "disk", machine="q35", disk="virtio", smp=2),
    Case("net-e1000", "net", nic="e1000"),
    Case("net-virtio", "net", nic="virtio-net", smp=2),
    Case("net-virtio-q35", "net", machine="q35", nic="virtio-net"),
    Case("stress", "stress", image="stress", smp=2, dom0="streak.seconds=10"),
    # The hypercall library, operation by operation.
    Case("hv", "hv", image="hv", smp=2, only="streak", markers=("probe",)),
    # Debian's kernel boots as a guest from what the builder makes.
    Case("builder", "builder", image="builder", only="streak", memory_mib=1536, markers=("guest",)),
    # Guests of Debian's kernel with disks and a network, from their definitions; streakd is killed again and again.
    Case("streakd", "streakd", image="streak", smp=2, memory_mib=1536, only="streak", seconds=900),
    # The command line: the host's state, a console from the first byte to the guest's end, the store.
    Case("cli", "cli", image="streak", smp=2, memory_mib=1536, only="streak", seconds=300),
    # Debian's own toolstack, unmodified, starts and ends an unmodified guest.
    Case("xl", "xl", image="xl", smp=2, memory_mib=1536, seconds=420),
    # Consoles by streak-consoled: logs, terminals, restarts, a flood.
    Case("consoled", "consoled", image="xl", smp=2, memory_mib=1536, seconds=420),
    # The same with our own store, which is killed again and again.
    Case("stored", "stored", image="xl", smp=2, memory_mib=1536, seconds=600),
    # Streak's own toolstack: guests of several kinds, daemons that are killed, 200 guests one after the other.
    Case("guests", "guests", image="toolstack", smp=2, memory_mib=1536, only="streak", seconds=420),
    # What becomes of guests that end, where they run, what they get of the CPUs, the host's start.
    Case("lifecycle", "lifecycle", image="toolstack", smp=2, memory_mib=1536, only="streak", seconds=600),
    # Cores of guests, which the host's gdb reads.
    Case("dump", "dump", image="toolstack", smp=2, memory_mib=1536, disk="virtio", judge="cores", only="streak",
         hv="dom0_mem=768M,max:768M", seconds=420),
    # Tracing and counting of hypercalls, by streak and by Debian's tools.
    Case("trace", "trace", image="toolstack", smp=2, memory_mib=1536, disk="virtio", judge="traces", only="streak",
         seconds=300),
    Case("grub", "grub", image="grub", memory_mib=1536, only="streak", seconds=420),
    # Dirty pages: what the log tells, and the guests that it must not disturb.
    Case("dirty", "dirty", image="toolstack", smp=2, memory_mib=1536, only="streak", seconds=600),
    Case("restarts", "restarts", image="toolstack", smp=2, memory_mib=1536, only="streak", seconds=420),
    Case("cycles", "cycles", image="toolstack", only="streak", seconds=420),
    # How many requests to the store and hypercalls a guest costs.
    # A create whose every step fails in turn leaves nothing.
    Case("failures", "failures", image="toolstack", memory_mib=1536, only="streak", seconds=900),
    Case("counts", "counts", image="toolstack", memory_mib=1536, only="streak", seconds=420),
    Case("console", "console", typing=tuple(
        [(r"READY console\n", "line 0 abcdefghijklmnopqrstuvwxyz0123456789\n")]
        + [(f"line {i - 1} abc", f"line {i} abcdefghijklmnopqrstuvwxyz0123456789\n") for i in range(1, 20)])),
    # Three times Ctrl-A leads to the hypervisor's keys and back to dom0.
    Case("debug-keys", "console", only="streak", log_has=(r"(?i)event channel",), typing=tuple(
        [(r"READY console\n", "\x01\x01\x01"), ("input goes to Streak", "h"), ("(?i)event channel", "\x01\x01\x01")]
        + [("input goes to the control" if i == 0 else f"line {i - 1} abc",
            f"line {i} abcdefghijklmnopqrstuvwxyz0123456789\n") for i in range(20)])),
    Case("reboot", "reboot", ends="reboot", suites=SMOKE),
    Case("nmi", "boot", only="streak", typing=(("Run /init", Monitor("nmi")),),
         log_has=("NMI on CPU 0 at", "NMI received for unknown reason")),
    # An NMI that nobody takes: what each CPU was doing, by name.
    Case("nmi-fatal", "boot", smp=3, hv="nmi=fatal", only="streak", ends="panic",
         typing=(("Run /init", Monitor("nmi")),),
         log_has=("panic: unexpected NMI", "build id [0-9a-f]{40}", r"CPU \d, (idle|in a guest|in the hypervisor)",
                  r"  [0-9a-f]{16}  \w+.*\+0x")),
    # The log of a panic outlives a warm start.
    Case("previous", "previous", image="streak", smp=2, hv="nmi=fatal", only="streak", ends="twice",
         typing=(("READY for the end", Monitor("nmi")),), markers=("reason", "named", "json")),
    Case("xpti", "boot", smp=2, hv="xpti=yes", only="streak", guest_sees="entry",
         log_has=("no mapping is writable and executable",)),
    Case("xpti-off", "boot", hv="xpti=no", only="streak", guest_sees="all"),
    Case("skylake", "boot", cpu="Skylake-Client,-smap", dom0="retbleed=off", only="streak", guest_sees="entry"),
    Case("unknown-option", "boot", hv="no-such-option=1", only="streak", log_has=(r"no-such-option",)),
]
