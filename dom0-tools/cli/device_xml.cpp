// SPDX-License-Identifier: GPL-2.0-only
#include "cli/device_xml.hpp"

#include "config/text_edit.hpp"

namespace streak::cli {
namespace {

/// `<name attribute='value'/>`, nothing when there is no value.
std::string element(std::string_view name, std::string_view attribute, std::string_view value) {
    if (value.empty()) return {};
    return "  <" + std::string(name) + ' ' + std::string(attribute) + "='" + config::escaped(value) + "'/>\n";
}

} // namespace

std::string disk_xml(const NewDisk& disk) {
    return std::string("<disk type='") + (disk.block ? "block" : "file") + "' device='" +
           (disk.cdrom ? "cdrom" : "disk") + "'>\n  <driver name='qemu' type='raw'/>\n" +
           element("source", disk.block ? "dev" : "file", disk.path) + "  <target dev='" +
           config::escaped(disk.target) + "' bus='xen'/>\n" + (disk.read_only ? "  <readonly/>\n" : "") +
           (disk.shareable ? "  <shareable/>\n" : "") + "</disk>\n";
}

std::string interface_xml(const NewInterface& interface) {
    return "<interface type='bridge'>\n" + element("source", "bridge", interface.bridge) +
           element("mac", "address", interface.mac) + element("script", "path", interface.script) +
           element("target", "dev", interface.vifname) + "</interface>\n";
}

} // namespace streak::cli
