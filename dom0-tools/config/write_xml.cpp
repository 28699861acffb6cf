// SPDX-License-Identifier: GPL-2.0-only
#include "config/report.hpp"
#include "config/text_edit.hpp"
#include "config/values.hpp"

namespace streak::config {

namespace {

/// Lines of XML, indented by depth.
class Writer {
public:
    void line(int depth, const auto&... parts) {
        text_.append(static_cast<std::size_t>(depth) * 2, ' ');
        text_ += cat(parts...) + "\n";
    }
    /// `<name>text</name>`, when there is a text.
    void leaf(int depth, std::string_view name, std::string_view text) {
        if (!text.empty()) line(depth, "<", name, ">", escaped(text), "</", name, ">");
    }
    [[nodiscard]] std::string take() { return std::move(text_); }

private:
    std::string text_;
};

/// ` name='value'`, when there is a value.
std::string attribute(std::string_view name, std::string_view value) {
    return value.empty() ? std::string() : cat(" ", name, "='", escaped(value), "'");
}

void write_vcpus(Writer& out, const Definition& d) {
    out.line(1, "<vcpu placement='static'", attribute("cpuset", cpu_list_text(d.cpus)),
             d.vcpus == d.max_vcpus ? "" : cat(" current='", d.vcpus, "'"), ">", d.max_vcpus, "</vcpu>");
    if (d.pins.empty() && d.weight == 256 && d.cap_percent == 0) return;
    out.line(1, "<cputune>");
    for (const VcpuPin& pin : d.pins)
        out.line(2, "<vcpupin vcpu='", pin.vcpu, "' cpuset='", cpu_list_text(pin.cpus), "'/>");
    if (d.weight != 256) out.line(2, "<shares>", d.weight, "</shares>");
    if (d.cap_percent != 0) {
        out.line(2, "<global_period>100000</global_period>");
        out.line(2, "<global_quota>", std::uint64_t{d.cap_percent} * 1000, "</global_quota>");
    }
    out.line(1, "</cputune>");
}

void write_clock(Writer& out, const Definition& d) {
    const std::string_view basis = Definition::clock_names[static_cast<std::size_t>(d.clock)];
    const std::string offset = d.clock_offset_seconds == 0 ? cat("<clock offset='", basis, "'")
                                                           : cat("<clock offset='variable' adjustment='",
                                                                 d.clock_offset_seconds, "' basis='", basis, "'");
    if (d.tsc_mode == 0) return out.line(1, offset, "/>");
    out.line(1, offset, ">");
    out.line(2, "<timer name='tsc' mode='", d.tsc_mode == 1 ? "emulate" : "native", "'/>");
    out.line(1, "</clock>");
}

void write_disk(Writer& out, const Disk& disk) {
    const bool file = disk.source == Disk::Source::file;
    out.line(2, "<disk type='", file ? "file" : "block", "' device='", disk.cdrom ? "cdrom" : "disk", "'>");
    out.line(3, "<driver name='", file ? "file" : "phy", "' type='raw'/>");
    if (!disk.path.empty()) out.line(3, "<source ", file ? "file" : "dev", "='", escaped(disk.path), "'/>");
    out.line(3, "<target dev='", escaped(disk.target), "' bus='xen'/>");
    if (disk.read_only) out.line(3, "<readonly/>");
    if (disk.shareable) out.line(3, "<shareable/>");
    out.line(2, "</disk>");
}

/// An element with one attribute, when the attribute has a value.
void write_single(Writer& out, std::string_view element, std::string_view name, std::string_view value) {
    if (!value.empty()) out.line(3, "<", element, attribute(name, value), "/>");
}

void write_interface(Writer& out, const Interface& interface) {
    const std::string_view type = Interface::source_names[static_cast<std::size_t>(interface.source)];
    out.line(2, "<interface type='", type, "'>");
    if (interface.mac != MacAddress{}) write_single(out, "mac", "address", to_text(interface.mac));
    write_single(out, "source", type, interface.bridge);
    for (const std::string& ip : interface.ips) write_single(out, "ip", "address", ip);
    write_single(out, "script", "path", interface.script);
    write_single(out, "target", "dev", interface.vifname);
    write_single(out, "model", "type", interface.model);
    if (interface.outbound_kib_per_s)
        out.line(3, "<bandwidth><outbound average='", interface.outbound_kib_per_s, "'/></bandwidth>");
    if (!interface.link_up) write_single(out, "link", "state", "down");
    out.line(2, "</interface>");
}

void write_devices(Writer& out, const Definition& d) {
    out.line(1, "<devices>");
    for (const Disk& disk : d.disks) write_disk(out, disk);
    for (const Interface& interface : d.interfaces) write_interface(out, interface);
    const auto limit = [](std::string_view name, std::uint32_t value) {
        return value == 0 ? std::string() : attribute(name, std::to_string(value));
    };
    if (d.max_grant_frames || d.max_event_channels)
        out.line(2, "<controller type='xenbus'", limit("maxGrantFrames", d.max_grant_frames),
                 limit("maxEventChannels", d.max_event_channels), "/>");
    out.line(2, "<console type='pty'><target type='xen' port='0'/></console>");
    out.line(1, "</devices>");
}

void write_os(Writer& out, const Definition& d) {
    out.leaf(1, "bootloader", d.bootloader);
    out.line(1, "<os>");
    out.line(2, "<type arch='x86_64' machine='xenpv'>linux</type>");
    out.leaf(2, "kernel", d.kernel);
    out.leaf(2, "initrd", d.initrd);
    out.leaf(2, "cmdline", d.command_line);
    out.line(1, "</os>");
}

} // namespace

std::string to_xml(const Definition& d) {
    Writer out;
    out.line(0, "<domain type='xen'>");
    out.leaf(1, "name", d.name);
    if (d.uuid) out.leaf(1, "uuid", d.uuid->text());
    out.leaf(1, "title", d.title);
    out.leaf(1, "description", d.description);
    out.line(1, "<memory unit='KiB'>", d.max_memory_kib, "</memory>");
    if (d.memory_kib != d.max_memory_kib) out.line(1, "<currentMemory unit='KiB'>", d.memory_kib, "</currentMemory>");
    write_vcpus(out, d);
    write_os(out, d);
    write_clock(out, d);
    out.leaf(1, "on_poweroff", name_of(d.on_poweroff));
    out.leaf(1, "on_reboot", name_of(d.on_reboot));
    out.leaf(1, "on_crash", name_of(d.on_crash));
    write_devices(out, d);
    if (!d.seclabel.empty())
        out.line(1, "<seclabel type='static' model='flask'><label>", escaped(d.seclabel), "</label></seclabel>");
    out.line(0, "</domain>");
    return out.take();
}

} // namespace streak::config
