// SPDX-License-Identifier: GPL-2.0-only
#pragma once

#include <algorithm>
#include <string>
#include <string_view>

#include "config/report.hpp"
#include "config/values.hpp"
#include "config/xml_tree.hpp"

// The members of a definition, once, for all forms it is written in and read from. An archive has
//   reading                                   whether it sets the members
//   text(name, string, longest, Characters)   number(name, integer, least, most)   flag(name, bool)
//   list(name, vector, most, item)            calls item(archive, element) for each, which are objects
//   require(condition, name)                  when reading, throws Wrong
// and, when reading, checks the limits.

namespace streak::config {

/// Why what is read is no definition. from_json() and unpack() alone catch it.
struct Wrong {
    std::string what;
};

enum class Characters { printable, any };

namespace fields {

inline void require(bool condition, std::string_view name) {
    if (!condition) throw Wrong{cat(name, " has a wrong value")};
}

/// An enumerator by its name.
template <class A, class T, std::size_t N>
void choice(A& archive, std::string_view name, T& value, const std::string_view (&known)[N]) {
    std::string text;
    if constexpr (!A::reading) text = known[static_cast<std::size_t>(value)];
    archive.text(name, text, 32, Characters::printable);
    if constexpr (A::reading) {
        const auto found = std::ranges::find(known, text);
        A::require(found != std::end(known), name);
        value = static_cast<T>(found - known);
    }
}

/// An absolute path, or nothing.
template <class A> void path(A& archive, std::string_view name, std::string& value) {
    archive.text(name, value, max_path, Characters::printable);
    A::require(value.empty() || value.front() == '/', name);
}

template <class A> void cpus(A& archive, std::string_view name, CpuList& list) {
    std::string text = cpu_list_text(list);
    archive.text(name, text, max_cpus * 5, Characters::printable);
    if constexpr (A::reading) {
        if (text.empty()) return list.clear();
        auto parsed = parse_cpu_list(text);
        A::require(parsed.has_value(), name);
        list = std::move(*parsed);
    }
}

template <class A> void pin(A& archive, VcpuPin& pin) {
    archive.number("vcpu", pin.vcpu, 0, max_vcpus - 1);
    cpus(archive, "cpus", pin.cpus);
    A::require(!pin.cpus.empty(), "cpus");
}

template <class A> void disk(A& archive, Disk& disk) {
    choice(archive, "type", disk.source, Disk::source_names);
    path(archive, "path", disk.path);
    archive.text("target", disk.target, 16, Characters::printable);
    archive.flag("read_only", disk.read_only);
    archive.flag("shareable", disk.shareable);
    archive.flag("cdrom", disk.cdrom);
    A::require(virtual_device_number(disk.target).has_value(), "target");
    A::require(!disk.path.empty() || disk.cdrom, "path");
}

template <class A> void mac(A& archive, MacAddress& mac) {
    std::string text = mac == MacAddress{} ? "" : to_text(mac);
    archive.text("mac", text, 17, Characters::printable);
    if (!A::reading || text.empty()) return;
    const auto parsed = parse_mac(text);
    A::require(parsed && ((*parsed)[0] & 1) == 0, "mac");
    mac = *parsed;
}

template <class A> void interface(A& archive, Interface& interface) {
    choice(archive, "type", interface.source, Interface::source_names);
    archive.text("bridge", interface.bridge, 64, Characters::printable);
    mac(archive, interface.mac);
    archive.list("ips", interface.ips, 16, [](A& inner, std::string& ip) {
        inner.text("address", ip, 64, Characters::printable);
        A::require(is_ip_address(ip), "ips");
    });
    archive.text("script", interface.script, max_path, Characters::printable);
    archive.text("vifname", interface.vifname, 15, Characters::printable);
    archive.text("model", interface.model, 64, Characters::printable);
    archive.number("outbound_kib_per_s", interface.outbound_kib_per_s, 0, max_kib_per_s);
    archive.flag("link_up", interface.link_up);
    using enum Interface::Source;
    A::require(interface.source != bridge || device_name_fault(interface.bridge).empty(), "bridge");
    A::require(interface.source != network || !interface.bridge.empty(), "bridge");
    A::require(interface.vifname.empty() || device_name_fault(interface.vifname).empty(), "vifname");
}

template <class A> void devices(A& archive, Definition& d) {
    archive.list("disks", d.disks, max_devices, [](A& inner, Disk& item) { disk(inner, item); });
    archive.list("interfaces", d.interfaces, max_devices, [](A& inner, Interface& item) { interface(inner, item); });
}

template <class A> void definition(A& archive, Definition& d) {
    archive.text("name", d.name, 256, Characters::printable);
    std::string uuid = d.uuid ? d.uuid->text() : "";
    archive.text("uuid", uuid, 36, Characters::printable);
    if (A::reading && !uuid.empty()) {
        d.uuid = base::Uuid::parse(uuid);
        A::require(d.uuid.has_value(), "uuid");
    }
    archive.text("title", d.title, 1024, Characters::printable);
    archive.text("description", d.description, max_xml_bytes, Characters::any);
    archive.number("max_memory_kib", d.max_memory_kib, min_memory_kib, max_memory_kib);
    archive.number("memory_kib", d.memory_kib, min_memory_kib, max_memory_kib);
    archive.number("max_vcpus", d.max_vcpus, 1, max_vcpus);
    archive.number("vcpus", d.vcpus, 1, max_vcpus);
    cpus(archive, "cpus", d.cpus);
    archive.list("pins", d.pins, max_vcpus, [](A& inner, VcpuPin& item) { pin(inner, item); });
    archive.number("weight", d.weight, 1, 65535);
    archive.number("cap", d.cap_percent, 0, 65535);
    path(archive, "kernel", d.kernel);
    path(archive, "initrd", d.initrd);
    archive.text("command_line", d.command_line, max_command_line, Characters::any);
    archive.text("bootloader", d.bootloader, max_path, Characters::any);
    choice(archive, "on_poweroff", d.on_poweroff, action_names);
    choice(archive, "on_reboot", d.on_reboot, action_names);
    choice(archive, "on_crash", d.on_crash, action_names);
    choice(archive, "clock", d.clock, Definition::clock_names);
    archive.number("clock_offset_seconds", d.clock_offset_seconds, INT32_MIN, INT32_MAX);
    archive.number("tsc_mode", d.tsc_mode, 0, 2);
    devices(archive, d);
    archive.number("max_grant_frames", d.max_grant_frames, 0, max_grant_frames);
    archive.number("max_event_channels", d.max_event_channels, 0, max_event_channels);
    archive.text("seclabel", d.seclabel, 256, Characters::printable);
    archive.flag("autostart", d.autostart);
}

template <class A> void finding(A& archive, Finding& finding) {
    choice(archive, "fate", finding.fate, Finding::fate_names);
    archive.number("line", finding.line, 0, max_xml_bytes);
    archive.text("element", finding.element, 1 << 16, Characters::any);
    archive.text("text", finding.text, 1 << 14, Characters::any);
    archive.text("remedy", finding.remedy, 1 << 14, Characters::any);
}

/// What must hold between the members of a definition.
void check(const Definition& definition);

/// All of it. A refused definition is not written, and a device's is its devices only.
template <class A> void parsed(A& archive, Parsed& p) {
    archive.list("findings", p.findings, max_xml_nodes * 2, [](A& inner, Finding& item) { finding(inner, item); });
    bool accepted = p.accepted(), device = p.definition.name.empty();
    archive.flag("accepted", accepted);
    A::require(accepted == p.accepted(), "accepted");
    archive.flag("device", device);
    if (!accepted) return;
    archive.object("definition", [&](A& inner) {
        if (device) devices(inner, p.definition);
        else definition(inner, p.definition);
    });
    if (A::reading && !device) check(p.definition);
}

} // namespace fields

} // namespace streak::config
