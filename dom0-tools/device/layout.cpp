// SPDX-License-Identifier: GPL-2.0-only
#include "device/layout.hpp"

#include <fmt/format.h>

namespace streak::device {

namespace {

using Change = store::Client::Change;

/// One end's directory: its permissions first, which the nodes below inherit.
class Directory {
public:
    Directory(Changes& changes, std::string path, DomId owner, DomId reader)
        : changes_(changes), path_(std::move(path)) {
        changes_.push_back({Change::Kind::write, path_});
        changes_.push_back({Change::Kind::permissions, path_, fmt::format("n{} r{}", owner.raw(), reader.raw())});
    }
    Directory& set(std::string_view key, std::string value) {
        changes_.push_back({Change::Kind::write, fmt::format("{}/{}", path_, key), std::move(value)});
        return *this;
    }

private:
    Changes& changes_;
    std::string path_;
};

Directory frontend_directory(Changes& changes, const Address& at) {
    Directory directory(changes, at.frontend(), at.domain, dom0_id);
    directory.set("backend", at.backend()).set("backend-id", "0").set("state", "1");
    return directory;
}

Directory backend_directory(Changes& changes, const Address& at) {
    Directory directory(changes, at.backend(), dom0_id, at.domain);
    directory.set("frontend", at.frontend()).set("frontend-id", std::to_string(at.domain.raw()));
    directory.set("online", "1").set("state", "1");
    return directory;
}

/// xen-netback counts bytes per interval: the value of its node `rate`.
std::string rate(std::uint64_t kib_per_s) {
    constexpr std::uint64_t interval_us = 50'000;
    return fmt::format("{},{}", kib_per_s * 1024 * interval_us / 1'000'000, interval_us);
}

/// Where dom0's drivers leave what went wrong with a domain's devices of this kind.
std::string errors_of(const Address& at) {
    return fmt::format("/local/domain/0/error/backend/{}/{}", at.word(), at.domain.raw());
}

} // namespace

std::string Address::frontend() const {
    return fmt::format("/local/domain/{}/device/{}/{}", domain.raw(), word(), number);
}

std::string Address::backends() const { return fmt::format("/local/domain/0/backend/{}/{}", word(), domain.raw()); }

std::string Address::backend() const { return fmt::format("{}/{}", backends(), number); }

std::string Address::error_node() const { return fmt::format("{}/{}/error", errors_of(*this), number); }

std::string Address::vif() const { return fmt::format("vif{}.{}", domain.raw(), number); }

base::Outcome<std::uint32_t> disk_number(std::string_view target) {
    if (const auto number = config::virtual_device_number(target)) return *number;
    return base::error(base::ErrorKind::invalid, "a disk can't have this target",
                       "xvda to xvdzzzz, hda to hdd or sda to sdp, with a partition's number or without",
                       std::string(target));
}

std::string bridge_of(const config::Interface& interface) {
    if (interface.source == config::Interface::Source::ethernet) return {};
    if (interface.source == config::Interface::Source::network && interface.bridge == "default") return "virbr0";
    return interface.bridge;
}

void add_disk(Changes& changes, const Address& at, const config::Disk& disk, BlockNumber number) {
    const std::string type = disk.cdrom ? "cdrom" : "disk";
    frontend_directory(changes, at).set("virtual-device", std::to_string(at.number)).set("device-type", type);
    backend_directory(changes, at)
        .set("dev", disk.target)
        .set("device-type", type)
        .set("mode", disk.read_only || disk.cdrom ? "r" : "w")
        .set("params", disk.path)
        .set("physical-device", fmt::format("{:x}:{:x}", number.major, number.minor));
}

void add_interface(Changes& changes, const Address& at, const config::Interface& interface) {
    const std::string mac = config::to_text(interface.mac), handle = std::to_string(at.number);
    frontend_directory(changes, at).set("handle", handle).set("mac", mac);
    // xen-netback refuses a device without the node `script`; there is none to run.
    auto backend = backend_directory(changes, at);
    backend.set("handle", handle).set("mac", mac).set("script", "");
    if (const std::string bridge = bridge_of(interface); !bridge.empty()) backend.set("bridge", bridge);
    if (interface.outbound_kib_per_s) backend.set("rate", rate(interface.outbound_kib_per_s));
}

void add_interface_ready(Changes& changes, const Address& at) {
    changes.push_back({Change::Kind::write, at.backend() + "/hotplug-status", "connected"});
}

void add_close_request(Changes& changes, const Address& at) {
    changes.push_back({Change::Kind::write, at.backend() + "/online", "0"});
    changes.push_back({Change::Kind::write, at.backend() + "/state", "5"});
}

void remove_device(Changes& changes, const Address& at) {
    changes.push_back({Change::Kind::remove, at.backend()});
    changes.push_back({Change::Kind::remove, at.frontend()});
}

void remove_backends(Changes& changes, DomId domain) {
    for (const Kind kind : {Kind::disk, Kind::interface}) {
        const Address all{domain, kind};
        for (const std::string& path : {all.backends(), errors_of(all)})
            changes.push_back({Change::Kind::remove, path});
    }
}

} // namespace streak::device
