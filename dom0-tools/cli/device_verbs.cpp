// SPDX-License-Identifier: GPL-2.0-only
#include "cli/verbs.hpp"

#include "cli/device_xml.hpp"
#include "cli/text.hpp"

#include <sys/stat.h>

// Disks and network interfaces of running domains.

namespace streak::cli {
namespace {

bool is_block_device(const std::string& path) {
    struct stat file{};
    return ::stat(path.c_str(), &file) == 0 && S_ISBLK(file.st_mode);
}

Outcome<> attach(Context& context, const std::string& domain, std::string_view list, Outcome<std::string> xml,
                 const std::string& what) {
    if (!xml) return std::unexpected(xml.error());
    TRY_ASSIGN(path, domain_path(domain, list));
    context.step("attaching " + what + " to " + printable(domain));
    TRY_ASSIGN(answer, context.ask({"POST", path, std::move(*xml), "application/xml"}, Context::long_limit));
    return context.print(answer, printable(domain) + ": " + what + " is attached\n");
}

Action detach(Options& options, std::string list, std::string_view name, std::string_view text) {
    const auto& domain = options.domain();
    const auto& device = options.argument(name, text);
    const auto& force = options.flag("--force", "without the guest's consent");
    return [=, &domain, &device, &force](Context& context) -> Outcome<> {
        if (device.empty()) return base::error(base::ErrorKind::usage, "which device is not said");
        TRY_ASSIGN(path, domain_path(domain, list + percent_encoded(device) + (force ? "?force=1" : "")));
        context.step("detaching " + printable(device) + " from " + printable(domain));
        TRY_ASSIGN(answer, context.ask({.method = "DELETE", .path = path}, Context::long_limit));
        return context.print(answer, printable(domain) + ": " + printable(device) + " is detached\n");
    };
}

std::unexpected<base::Error> not_said(std::string expected) {
    return base::error(base::ErrorKind::usage, "what to attach is not said, or twice", std::move(expected));
}

} // namespace

Action declare_attach_disk(Options& options) {
    const auto& domain = options.domain();
    const auto& path = options.argument("PATH", "raw image or block device", false);
    const auto& target = options.argument("TARGET", "what the guest calls it, such as xvdb", false);
    const auto& read_only = options.flag("--read-only", "the guest can't write");
    const auto& shareable = options.flag("--shareable", "others may use it at the same time");
    const auto& cdrom = options.flag("--cdrom", "as a CD-ROM");
    const auto& xml = options.value("--xml", "FILE", "a <disk> element instead");
    return [&domain, &path, &target, &read_only, &shareable, &cdrom, &xml](Context& context) -> Outcome<> {
        if (xml.has_value() == !path.empty() || path.empty() != target.empty())
            return not_said("PATH and TARGET, or --xml FILE");
        if (xml) return attach(context, domain, "/disks", read_file(*xml), "the disk");
        return attach(context, domain, "/disks",
                      disk_xml({path, target, is_block_device(path), read_only, shareable, cdrom}), printable(target));
    };
}

Action declare_attach_interface(Options& options) {
    const auto& domain = options.domain();
    const auto& bridge = options.value("--bridge", "NAME", "the bridge to join");
    const auto& mac = options.value("--mac", "ADDRESS", "instead of one derived from the UUID");
    const auto& script = options.value("--script", "FILE", "hot-plug script, accepted as in libvirt's XML");
    const auto& vifname = options.value("--vifname", "NAME", "name of the interface in dom0");
    const auto& xml = options.value("--xml", "FILE", "an <interface> element instead");
    return [&domain, &bridge, &mac, &script, &vifname, &xml](Context& context) -> Outcome<> {
        if (xml.has_value() == bridge.has_value()) return not_said("--bridge NAME, or --xml FILE");
        if (xml) return attach(context, domain, "/interfaces", read_file(*xml), "the interface");
        return attach(context, domain, "/interfaces",
                      interface_xml({*bridge, mac.value_or(""), script.value_or(""), vifname.value_or("")}),
                      "the interface");
    };
}

Action declare_detach_disk(Options& options) {
    return detach(options, "/disks/", "TARGET", "what the guest calls it, such as xvdb");
}

Action declare_detach_interface(Options& options) { return detach(options, "/interfaces/", "MAC", "its address"); }

} // namespace streak::cli
