// SPDX-License-Identifier: GPL-2.0-only
#include "cli/views.hpp"

#include <algorithm>

#include "cli/text.hpp"

namespace streak::cli {
namespace {

bool shut_off(const Json& domain) { return text_of(domain, "state") == "shut-off"; }

std::string id_text(const Json& domain) {
    const auto id = domain.find("id");
    return id != domain.end() && id->is_number() ? std::to_string(number_of(domain, "id")) : "-";
}

std::string state_text(const Json& domain) {
    const auto reason = text_of(domain, "reason");
    return text_of(domain, "state") + (reason.empty() ? "" : " (" + reason + ')');
}

/// "128 MiB of 256 MiB", "128 MiB" when both are equal.
std::string of_most(const std::string& value, const std::string& most) {
    return value == most ? value : value + " of " + most;
}

std::vector<std::uint32_t> numbers(const Json& list) {
    std::vector<std::uint32_t> all;
    for (const auto& item : list)
        if (item.is_number_unsigned()) all.push_back(item.get<std::uint32_t>());
    return all;
}

std::string vcpus_text(const Json& domain) {
    Table table{">VCPU", ">CPU", "STATE", ">CPU TIME", "MAY RUN ON"};
    for (const auto& vcpu : list_of(domain, "vcpus_list"))
        table.row({std::to_string(number_of(vcpu, "vcpu")), std::to_string(number_of(vcpu, "cpu")),
                   text_of(vcpu, "state"), duration_text(number_of(vcpu, "cpu_time_ns")),
                   cpus_text(numbers(list_of(vcpu, "affinity")))});
    return table.empty() ? "" : '\n' + table.text();
}

std::string devices_text(const Json& domain) {
    Table disks{"DISK", "STATE", "ACCESS", "PATH"};
    for (const auto& disk : list_of(domain, "disks"))
        disks.row({text_of(disk, "target"), text_of(disk, "state"),
                   flag_of(disk, "read_only") ? "read only" : "writable", text_of(disk, "path")});
    Table interfaces{"INTERFACE", "STATE", "BRIDGE", "MAC"};
    for (const auto& interface : list_of(domain, "interfaces"))
        interfaces.row({text_of(interface, "vif"), text_of(interface, "state"), text_of(interface, "bridge"),
                        text_of(interface, "mac")});
    return (disks.empty() ? "" : '\n' + disks.text()) + (interfaces.empty() ? "" : '\n' + interfaces.text());
}

std::string percent_text(std::uint64_t part_ns, std::uint64_t whole_ns) {
    const std::uint64_t tenths = whole_ns == 0 ? 0 : part_ns * 1000 / whole_ns;
    return std::to_string(tenths / 10) + '.' + std::to_string(tenths % 10);
}

std::uint64_t grown(const Json& before, const Json& now, std::string_view member) {
    const auto from = number_of(before, member), to = number_of(now, member);
    return to > from ? to - from : 0;
}

/// Bytes a second as KiB.
std::string rate_text(const Json& before, const Json& now, std::string_view member, std::uint64_t ns) {
    const std::uint64_t ms = ns / 1'000'000;
    return std::to_string(ms == 0 ? 0 : grown(before, now, member) * 1000 / 1024 / ms);
}

const Json& same_domain(const Json& stats, const std::string& uuid) {
    static const Json none = Json::object();
    for (const auto& domain : list_of(stats, "domains"))
        if (text_of(domain, "uuid") == uuid) return domain;
    return none;
}

} // namespace

std::string domains_text(const Json& answer, bool all) {
    Table table{"NAME", ">ID", "STATE", ">MEMORY", ">VCPUS", ">CPU TIME", ">UP FOR"};
    for (const auto& domain : list_of(answer, "domains")) {
        const bool off = shut_off(domain);
        if (off && !all) continue;
        table.row({text_of(domain, "name"), off ? "-" : id_text(domain), state_text(domain),
                   memory_text(number_of(domain, "memory_kib")), std::to_string(number_of(domain, "vcpus")),
                   off ? "-" : duration_text(number_of(domain, "cpu_time_ns")),
                   off ? "-" : duration_text(number_of(domain, "uptime_s") * 1'000'000'000)});
    }
    return table.text();
}

std::string domains_note(const Json& answer, bool all) {
    const auto count = all ? 0 : std::ranges::count_if(list_of(answer, "domains"), shut_off);
    return count == 0 ? "" : std::to_string(count) + " more shut off: `streak list --all` shows them\n";
}

std::string domain_text(const Json& d) {
    const auto& console = object_of(d, "console");
    const bool off = shut_off(d);
    std::string text = labelled({
        {"name", text_of(d, "name")},
        {"UUID", text_of(d, "uuid")},
        {"id", off ? "" : id_text(d)},
        {"state", state_text(d)},
        {"kept", flag_of(d, "persistent") ? "defined" : "until it ends"},
        {"autostart", flag_of(d, "autostart") ? "yes" : "no"},
        {"memory", of_most(memory_text(number_of(d, "memory_kib")), memory_text(number_of(d, "max_memory_kib")))},
        {"vCPUs", of_most(std::to_string(number_of(d, "vcpus")), std::to_string(number_of(d, "max_vcpus")))},
        {"CPU time", off ? "" : duration_text(number_of(d, "cpu_time_ns"))},
        {"up for", off ? "" : duration_text(number_of(d, "uptime_s") * 1'000'000'000)},
        {"weight", number_of(d, "weight") == 0 ? "" : std::to_string(number_of(d, "weight"))},
        {"cap", number_of(d, "cap") == 0 ? "" : std::to_string(number_of(d, "cap")) + " % of a CPU"},
        {"kernel", text_of(d, "kernel")},
        {"initrd", text_of(d, "initrd")},
        {"command line", text_of(d, "command_line")},
        {"on poweroff", text_of(d, "on_poweroff")},
        {"on reboot", text_of(d, "on_reboot")},
        {"on crash", text_of(d, "on_crash")},
        {"terminal", text_of(console, "tty")},
        {"log", text_of(console, "log")},
    });
    return text + vcpus_text(d) + devices_text(d);
}

std::string host_text(const Json& host) {
    const auto free_kib = number_of(host, "free_memory_kib"), all_kib = number_of(host, "memory_kib");
    const auto mhz = number_of(host, "cpu_khz") / 1000;
    return labelled({
        {"hypervisor", "Streak " + text_of(host, "version")},
        {"build id", text_of(host, "build_id")},
        {"CPUs", std::to_string(number_of(host, "cpus")) + (mhz == 0 ? "" : " at " + std::to_string(mhz) + " MHz")},
        {"memory", memory_text(all_kib)},
        {"free", memory_text(free_kib)},
    });
}

std::string leftovers_text(const Json& answer) {
    Table table{"LEFT OVER", "HELD BY"};
    for (const auto& item : list_of(answer, "leftovers")) table.row({text_of(item, "what"), text_of(item, "holder")});
    return table.empty() ? "nothing is left over\n" : table.text();
}

std::string validation_text(const Json& answer) {
    std::string text = findings_text(findings_of(answer));
    Table lacks{"THE HOST LACKS", "REMEDY"};
    for (const auto& item : list_of(answer, "lacks")) lacks.row({text_of(item, "what"), text_of(item, "remedy")});
    return text + (lacks.empty() ? "" : (text.empty() ? "" : "\n") + lacks.text());
}

std::string event_text(const Json& event) {
    const auto detail = text_of(event, "detail");
    return printable(text_of(event, "time") + "  " + text_of(event, "name") + "  " + text_of(event, "event") +
                     (detail.empty() ? "" : "  " + detail)) +
           '\n';
}

std::string top_text(const Json& before, const Json& now, std::uint64_t ns) {
    const auto& host = object_of(now, "host");
    Table table{"NAME",   ">ID",         ">CPU %",       ">CPU TIME", ">MEMORY",
                ">VCPUS", ">READ KiB/s", ">WRITE KiB/s", ">IN KiB/s", ">OUT KiB/s"};
    for (const auto& domain : list_of(now, "domains")) {
        const auto& was = same_domain(before, text_of(domain, "uuid"));
        const bool known = !was.empty();
        const auto rate = [&](std::string_view member) { return known ? rate_text(was, domain, member, ns) : "-"; };
        table.row({text_of(domain, "name"), id_text(domain),
                   known ? percent_text(grown(was, domain, "cpu_time_ns"), ns) : "-",
                   duration_text(number_of(domain, "cpu_time_ns")), memory_text(number_of(domain, "memory_kib")),
                   std::to_string(number_of(domain, "vcpus")), rate("read_bytes"), rate("written_bytes"),
                   rate("received_bytes"), rate("sent_bytes")});
    }
    const auto count = list_of(now, "domains").size();
    return std::to_string(count) + (count == 1 ? " domain, " : " domains, ") + std::to_string(number_of(host, "cpus")) +
           " CPUs, " + memory_text(number_of(host, "free_memory_kib")) + " of " +
           memory_text(number_of(host, "memory_kib")) + " free\n" + table.text();
}

} // namespace streak::cli
