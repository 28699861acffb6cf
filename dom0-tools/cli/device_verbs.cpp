// SPDX-License-Identifier: GPL-2.0-only
#include "cli/verbs.hpp"

#include "cli/device_xml.hpp"
#include "cli/text.hpp"

#include <sys/stat.h>

#include <optional>

// Disks and network interfaces of running domains.

namespace streak::cli {
namespace {

struct DiskValues {
    std::string domain;
    NewDisk disk;
    std::optional<std::string> xml;
};

struct InterfaceValues {
    std::string domain;
    std::optional<std::string> bridge, mac, script, vifname, xml;
};

struct DetachValues {
    std::string domain, device;
    bool force = false;
};

bool is_block_device(const std::string& path) {
    struct stat file{};
    return ::stat(path.c_str(), &file) == 0 && S_ISBLK(file.st_mode);
}

Outcome<> attach(Context& context, const std::string& domain, std::string_view list, std::string xml,
                 const std::string& what) {
    TRY_ASSIGN(path, domain_path(domain, list));
    context.step("attaching " + what + " to " + printable(domain));
    TRY_ASSIGN(answer,
               context.ask({.method = "POST", .path = path, .body = std::move(xml), .content_type = "application/xml"},
                           Context::long_limit));
    context.print(answer, printable(domain) + ": " + what + " is attached\n");
    return {};
}

Outcome<> detach(Context& context, const DetachValues& v, std::string_view list) {
    if (v.device.empty()) return base::error(base::ErrorKind::usage, "which device is not said");
    TRY_ASSIGN(path,
               domain_path(v.domain, std::string(list) + percent_encoded(v.device) + (v.force ? "?force=1" : "")));
    context.step("detaching " + printable(v.device) + " from " + printable(v.domain));
    TRY_ASSIGN(answer, context.ask({.method = "DELETE", .path = path}, Context::long_limit));
    context.print(answer, printable(v.domain) + ": " + printable(v.device) + " is detached\n");
    return {};
}

base::Error either(std::string expected) {
    return {base::ErrorKind::usage, "what to attach is not said, or twice", std::move(expected), {}, {}};
}

Outcome<> attach_disk(Context& context, const DiskValues& v) {
    if (v.xml.has_value() == !v.disk.path.empty() || v.disk.path.empty() != v.disk.target.empty())
        return std::unexpected(either("PATH and TARGET, or --xml FILE"));
    if (v.xml) {
        TRY_ASSIGN(xml, read_file(*v.xml));
        return attach(context, v.domain, "/disks", std::move(xml), "the disk");
    }
    NewDisk disk = v.disk;
    disk.block = is_block_device(disk.path);
    return attach(context, v.domain, "/disks", disk_xml(disk), printable(disk.target));
}

Outcome<> attach_interface(Context& context, const InterfaceValues& v) {
    if (v.xml.has_value() == v.bridge.has_value()) return std::unexpected(either("--bridge NAME, or --xml FILE"));
    std::string xml =
        interface_xml({v.bridge.value_or(""), v.mac.value_or(""), v.script.value_or(""), v.vifname.value_or("")});
    if (v.xml) {
        TRY_ASSIGN(file, read_file(*v.xml));
        xml = std::move(file);
    }
    return attach(context, v.domain, "/interfaces", std::move(xml), "the interface");
}

std::shared_ptr<DetachValues> declare_detach(Options& options, std::string_view name, std::string_view text) {
    auto values = std::make_shared<DetachValues>();
    options.argument("DOMAIN", values->domain, "name, number or UUID");
    options.argument(name, values->device, text);
    options.flag("--force", values->force, "without the guest's consent");
    return values;
}

} // namespace

Action declare_attach_disk(Options& options) {
    auto values = std::make_shared<DiskValues>();
    options.argument("DOMAIN", values->domain, "name, number or UUID");
    options.optional_argument("PATH", values->disk.path, "raw image or block device");
    options.optional_argument("TARGET", values->disk.target, "what the guest calls it, such as xvdb");
    options.flag("--read-only", values->disk.read_only, "the guest can't write");
    options.flag("--shareable", values->disk.shareable, "others may use it at the same time");
    options.flag("--cdrom", values->disk.cdrom, "as a CD-ROM");
    options.value("--xml", "FILE", values->xml, "a <disk> element instead");
    return with(values, +attach_disk);
}

Action declare_attach_interface(Options& options) {
    auto values = std::make_shared<InterfaceValues>();
    options.argument("DOMAIN", values->domain, "name, number or UUID");
    options.value("--bridge", "NAME", values->bridge, "the bridge to join");
    options.value("--mac", "ADDRESS", values->mac, "instead of one derived from the UUID");
    options.value("--script", "FILE", values->script, "hot-plug script, accepted as in libvirt's XML");
    options.value("--vifname", "NAME", values->vifname, "name of the interface in dom0");
    options.value("--xml", "FILE", values->xml, "an <interface> element instead");
    return with(values, +attach_interface);
}

Action declare_detach_disk(Options& options) {
    return with(
        declare_detach(options, "TARGET", "what the guest calls it, such as xvdb"),
        +[](Context& context, const DetachValues& v) { return detach(context, v, "/disks/"); });
}

Action declare_detach_interface(Options& options) {
    return with(
        declare_detach(options, "MAC", "its address"),
        +[](Context& context, const DetachValues& v) { return detach(context, v, "/interfaces/"); });
}

} // namespace streak::cli
