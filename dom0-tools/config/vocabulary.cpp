// SPDX-License-Identifier: GPL-2.0-only
#include "config/vocabulary.hpp"

#include <algorithm>
#include <unordered_map>

#include "config/values.hpp"

namespace streak::config {

namespace {

using enum Finding::Fate;

/// `names` at `places`, both lists separated by blanks; '+' after an element's name: it may be repeated.
struct Entry {
    std::string_view places, names;
    Finding::Fate fate = used;
    std::string_view why{}, remedy{};
};

#define DISK       "domain/devices/disk"
#define INTERFACE  "domain/devices/interface"
#define CONSOLE    "domain/devices/console"
#define CONTROLLER "domain/devices/controller"

constexpr std::string_view only_hvm = "it is of fully virtualized guests; a paravirtual guest has no such thing";
constexpr std::string_view host_state = "it describes the running guest, not its definition";
constexpr std::string_view no_emulator = "no device emulator runs for a paravirtual guest";
constexpr std::string_view text_only = "a paravirtual guest has a text console only";
constexpr std::string_view plain_file = "files and block devices are attached as they are";
constexpr std::string_view kept = "it is kept in the definition and not read";
constexpr std::string_view in_guest = "it is set inside the guest";

constexpr Entry entries[] = {
    {"domain", "@type name uuid title description memory currentMemory vcpu vcpus cputune os bootloader "
               "on_poweroff on_reboot on_crash clock features devices seclabel+"},
    {"domain", "@id", ignored, host_state},
    {"domain", "metadata", ignored, kept},
    {"domain", "genid cpu sysinfo+ pm iothreads iothreadids defaultiothread", ignored, only_hvm},
    {"domain", "bootloader_args", ignored, "no bootloader is run"},
    {"domain", "maxMemory", ignored, "memory modules cannot be added; <memory> is the most that a guest can have"},
    {"domain", "memoryBacking", ignored, "a guest's memory is always locked, private and made of 4 KiB pages"},
    {"domain", "blkiotune", ignored, "disk bandwidth is not shared out",
     "Limit the back-end's thread by control groups in dom0"},
    {"domain", "memtune", ignored, "a guest's memory is its own; there is no swap and no overcommitment"},
    {"domain", "numatune", ignored, "memory is not placed by NUMA node", "Pin vCPUs to the node with vcpu/@cpuset"},
    {"domain", "resource", ignored, "guests are in no control group"},
    {"domain", "perf", ignored, "counters are not virtualized"},
    {"domain", "idmap", ignored, "it is of containers"},
    {"domain", "on_lockfailure", ignored, "no lock manager is used"},
    {"domain", "keywrap", ignored, "it is of another processor"},
    {"domain", "launchSecurity", refused, "encrypted memory is not offered, and a guest that asks for it relies on it",
     "Remove the element"},

    {"domain/vcpu", "@current @cpuset"},
    {"domain/vcpu", "@placement", ignored, "vCPUs run on the CPUs of @cpuset, or on all"},
    {"domain/vcpus", "vcpu+"},
    {"domain/vcpus/vcpu", "@id @enabled"},
    {"domain/vcpus/vcpu", "@hotpluggable @order", ignored, "every vCPU but the first can be unplugged, in their order"},
    {"domain/memory", "@unit"},
    {"domain/memory", "@dumpCore", ignored, "no core dumps are written"},
    {"domain/currentMemory", "@unit"},
    {"domain/cputune", "shares global_period global_quota period quota vcpupin+"},
    {"domain/cputune",
     "emulator_period emulator_quota emulatorpin iothread_period iothread_quota iothreadpin+ "
     "emulatorsched iothreadsched+",
     ignored, no_emulator},
    {"domain/cputune", "vcpusched+", ignored, "the scheduler has weights and caps only", "Use <shares> and <quota>"},
    {"domain/cputune", "cachetune+ memorytune+", ignored, "caches and memory bandwidth are not partitioned"},
    {"domain/cputune/vcpupin", "@vcpu @cpuset"},

    {"domain/os", "type kernel initrd root cmdline"},
    {"domain/os", "@firmware firmware loader nvram boot+ bootmenu smbios bios acpi", ignored,
     "a paravirtual guest starts from <kernel>; there is no firmware"},
    {"domain/os", "dtb", ignored, "it is of another processor"},
    {"domain/os", "init initarg+ initenv+ initdir inituser initgroup", ignored, "it is of containers"},
    {"domain/os/type", "@arch @machine"},

    {"domain/clock", "@offset @adjustment @basis timer+"},
    {"domain/clock", "@timezone @start", refused, "the clock's offset must be known in seconds",
     "Use offset='variable' adjustment='SECONDS'"},
    {"domain/clock/timer", "@name @mode"},
    {"domain/clock/timer", "@present @track @tickpolicy catchup", ignored, only_hvm},
    {"domain/clock/timer", "@frequency", ignored, "the guest sees the host's TSC frequency"},

    {"domain/features", "xen"},
    {"domain/features",
     "acpi apic pae hap hyperv viridian kvm pmu vmport gic smm ioapic hpt vmcoreinfo htm nested-hv "
     "msrs ccf-assist cfpc sbbc ibs tcg",
     ignored, only_hvm},
    {"domain/features", "privnet capabilities", ignored, "it is of containers"},
    {"domain/features", "pvspinlock", ignored, "the guest's kernel decides", "Add nopvspin to <cmdline>"},
    {"domain/features/xen", "e820_host passthrough"},
    {"domain/features/xen/e820_host", "@state"},
    {"domain/features/xen/passthrough", "@state @mode"},
    {"domain/seclabel", "@type @model label"},
    {"domain/seclabel", "@relabel imagelabel baselabel", ignored, "files are not relabelled"},

    {"domain/devices", "disk+ interface+ console+ controller+ memballoon"},
    {"domain/devices", "emulator", ignored, no_emulator},
    {"domain/devices", "graphics+ video+ input+ sound+ audio+", ignored, text_only,
     "Log in on the console or over the network"},
    {"domain/devices", "serial+ parallel+", ignored, "a paravirtual guest's console is hvc0; it has no UART",
     "Use <console> and console=hvc0 in <cmdline>"},
    {"domain/devices", "channel+", ignored, only_hvm},
    {"domain/devices", "hub+ redirdev+ redirfilter+ smartcard+ watchdog+ panic+ nvram iommu+ rng+", ignored, only_hvm},
    {"domain/devices", "lease+", ignored, "no lock manager is used", "Mark disks that guests share as <shareable/>"},
    {"domain/devices", "hostdev+", refused, "devices of the host are not passed through", "Remove the element"},
    {"domain/devices", "filesystem+", refused, "directories of the host are not shared", "Use a disk, or NFS"},
    {"domain/devices", "tpm+ shmem+ vsock+ crypto+ memory+", refused,
     "there is no such device here, and a guest with one relies on it", "Remove the element"},

    {DISK " " INTERFACE " " CONSOLE " " CONTROLLER " domain/devices/memballoon", "alias address acpi boot", ignored,
     "devices are numbered by Streak"},
    {"domain/devices/memballoon", "@model"},
    {"domain/devices/memballoon", "@autodeflate @freePageReporting driver stats", ignored, only_hvm},

    {CONTROLLER, "@type @maxGrantFrames @maxEventChannels"},
    {CONTROLLER, "@index @model @ports @vectors driver master model+ target+ pcihole64", ignored, only_hvm},

    {CONSOLE, "@type target"},
    {CONSOLE, "@tty", ignored, host_state},
    {CONSOLE, "source+ protocol log", ignored, "the console is a terminal and a log file, always",
     "Use streak console NAME, or --log"},
    {CONSOLE "/target", "@type @port"},
    {CONSOLE "/target", "model", ignored, only_hvm},

    {DISK, "@type @device driver source target readonly shareable backingStore"},
    {DISK, "@model @rawio @sgio @snapshot", ignored, plain_file},
    {DISK, "mirror privateData", ignored, host_state},
    {DISK, "serial geometry blockio wwn vendor product", ignored, "a paravirtual disk has a size and nothing else"},
    {DISK, "iotune", ignored, "disk bandwidth is not limited", "Limit the back-end's thread by control groups in dom0"},
    {DISK, "auth", refused, "only files and block devices of dom0 can be disks", "Attach the storage in dom0 first"},
    {DISK " " DISK "/source", "encryption", refused, "the guest would read cipher text",
     "Open the volume in dom0 (cryptsetup) and use its block device"},
    {DISK, "transient", refused, "what the guest writes stays written", "Make a copy of the image and use that"},
    {DISK, "backenddomain", refused, "disks are served by dom0 only", "Remove the element"},
    {DISK "/driver", "@name @type"},
    {DISK "/driver",
     "@cache @io @error_policy @rerror_policy @copy_on_read @discard @detect_zeroes @ioeventfd @event_idx @iothread "
     "@iommu @ats @packed @page_per_vq @queues @queue_size metadata_cache",
     ignored, "the kernel's block back-end serves the disk"},
    {DISK "/source", "@file @dev @startupPolicy"},
    {DISK "/source", "@index @fdgroup reservations privateData seclabel+", ignored, plain_file},
    {DISK "/source", "slices", refused, "a slice of a file cannot be a disk",
     "Make a loop device with losetup --offset and use it"},
    {DISK "/source",
     "@name @protocol @pool @volume @mode @dir @path @namespace @managed @type @query @tls @tlsHostname host+ snapshot "
     "config auth initiator address cookies readahead timeout ssl identity reconnect",
     refused, "only files and block devices of dom0 can be disks", "Attach the storage in dom0 first"},
    {DISK "/target", "@dev @bus"},
    {DISK "/target", "@removable @rotation_rate @tray", ignored, "a paravirtual disk has a size and nothing else"},
    {DISK "/backingStore", "@type"},
    {DISK "/backingStore", "@index source format backingStore", ignored, host_state},

    {INTERFACE, "@type source mac ip+ script target bandwidth model link port"},
    {INTERFACE, "@managed @trustGuestRxFilters guest tune coalesce rom driver backend teaming", ignored,
     "the kernel's network back-end serves the interface"},
    {INTERFACE, "route+ mtu", ignored, in_guest},
    {INTERFACE, "downscript", refused, "Streak runs no scripts", "Remove the element"},
    {INTERFACE, "backenddomain", refused, "interfaces are served by dom0 only", "Remove the element"},
    {INTERFACE, "vlan virtualport+", refused, "a plain bridge does not separate its ports",
     "Make a bridge per VLAN in dom0"},
    {INTERFACE, "filterref", refused, "packets are not filtered, and whoever asks for a filter relies on it",
     "Filter by nftables on the bridge, then remove the element"},
    {INTERFACE, "portForward+", refused, "dom0 forwards no ports", "Use a bridge"},
    {INTERFACE "/source", "@bridge @network @dev"},
    {INTERFACE "/source", "@portgroup @portid @connectionid @macTableManager", ignored, host_state},
    {INTERFACE "/source",
     "@address @missing @mode @name @path @port @portgroupid @switchid @type address vendor product local reconnect "
     "ip+ route+",
     refused, "an interface is on a bridge of dom0", "Use <source bridge='NAME'/>"},
    {INTERFACE "/mac", "@address"},
    {INTERFACE "/mac", "@type @check", ignored, "an address is as good as another"},
    {INTERFACE "/ip", "@address @family"},
    {INTERFACE "/ip", "@prefix @peer", ignored, in_guest},
    {INTERFACE "/script", "@path"},
    {INTERFACE "/target", "@dev"},
    {INTERFACE "/target", "@managed", ignored, "the network back-end makes the device"},
    {INTERFACE "/model", "@type"},
    {INTERFACE "/link", "@state"},
    {INTERFACE "/port", "@isolated"},
    {INTERFACE "/bandwidth", "outbound"},
    {INTERFACE "/bandwidth", "@classID inbound", ignored, "only what a guest sends is limited"},
    {INTERFACE "/bandwidth/outbound", "@average"},
    {INTERFACE "/bandwidth/outbound", "@peak @burst @floor", ignored, "the limit is the average"},
};

#undef DISK
#undef INTERFACE
#undef CONSOLE
#undef CONTROLLER

/// Calls `use` with each word of a list separated by blanks.
void for_each_word(std::string_view list, auto&& use) {
    while (!list.empty()) {
        const std::size_t end = std::min(list.find(' '), list.size());
        if (end) use(list.substr(0, end));
        list.remove_prefix(std::min(end + 1, list.size()));
    }
}

using Place = std::unordered_map<std::string_view, Rule>;

const std::unordered_map<std::string_view, Place>& places() {
    static const auto all = [] {
        std::unordered_map<std::string_view, Place> made;
        for (const Entry& entry : entries) {
            for_each_word(entry.places, [&](std::string_view place) {
                for_each_word(entry.names, [&](std::string_view name) {
                    const bool repeatable = name.ends_with('+');
                    if (repeatable) name.remove_suffix(1);
                    made[place].emplace(name, Rule{entry.fate, repeatable, entry.why, entry.remedy});
                });
            });
        }
        return made;
    }();
    return all;
}

const Place* find_place(std::string_view place) {
    const auto found = places().find(place);
    return found == places().end() ? nullptr : &found->second;
}

} // namespace

const Rule* find_rule(std::string_view place, std::string_view name) {
    const Place* const here = find_place(place);
    if (!here) return nullptr;
    const auto found = here->find(name);
    return found == here->end() ? nullptr : &found->second;
}

bool holds_elements(std::string_view place) {
    const Place* const here = find_place(place);
    return here && std::ranges::any_of(*here, [](const auto& known) { return known.first.front() != '@'; });
}

std::string_view suggestion(std::string_view place, std::string_view name) {
    const Place* const here = find_place(place);
    if (!here || name.size() > 40) return {};
    std::string_view best;
    std::size_t least = name.size() / 3 + 1; // a third of the letters may be wrong
    for (const auto& [known, rule] : *here) {
        const std::size_t d = known.front() == name.front() || known.front() != '@' ? distance(known, name) : least + 1;
        if (d < least || (d == least && (best.empty() || known < best))) best = known, least = d;
    }
    return best;
}

} // namespace streak::config
