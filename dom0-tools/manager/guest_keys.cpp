// SPDX-License-Identifier: GPL-2.0-only
#include "manager/guest_keys.hpp"

#include <fmt/format.h>

namespace streak::manager {

namespace {

using Change = store::Client::Change;

/// Nodes below a domain's own directory.
class Nodes {
public:
    Nodes(device::Changes& changes, std::string base, DomId domain)
        : changes_(changes), base_(std::move(base)), guest_(fmt::format("n{}", domain.raw())) {}
    void set(std::string_view key, std::string value = {}) {
        changes_.push_back({Change::Kind::write, fmt::format("{}/{}", base_, key), std::move(value)});
    }
    /// A node that the guest writes.
    void set_for_guest(std::string_view key) {
        set(key);
        changes_.push_back({Change::Kind::permissions, fmt::format("{}/{}", base_, key), guest_});
    }

private:
    device::Changes& changes_;
    std::string base_, guest_;
};

std::string vm_path(const base::Uuid& uuid) { return "/vm/" + uuid.text(); }

void add_root(device::Changes& changes, const std::string& path, DomId domain) {
    changes.push_back({Change::Kind::write, path});
    changes.push_back({Change::Kind::permissions, path, fmt::format("n0 r{}", domain.raw())});
}

} // namespace

std::string domain_path(DomId domain) { return fmt::format("/local/domain/{}", domain.raw()); }

void add_guest(device::Changes& changes, DomId domain, const base::Uuid& uuid, const config::Definition& definition,
               const builder::Built& built, GuestPorts ports) {
    add_root(changes, domain_path(domain), domain);
    Nodes nodes(changes, domain_path(domain), domain);
    nodes.set("vm", vm_path(uuid));
    nodes.set("domid", std::to_string(domain.raw()));
    for (std::uint32_t vcpu = 0; vcpu < definition.max_vcpus; ++vcpu)
        nodes.set(fmt::format("cpu/{}/availability", vcpu), vcpu < definition.vcpus ? "online" : "offline");
    nodes.set("memory/static-max", std::to_string(definition.max_memory_kib));
    nodes.set("memory/target", std::to_string(definition.memory_kib));
    for (const char* key : {"shutdown", "sysrq", "feature-poweroff", "feature-reboot", "feature-suspend"})
        nodes.set_for_guest(fmt::format("control/{}", key));
    nodes.set("control/platform-feature-multiprocessor-suspend", "1");
    nodes.set("control/platform-feature-xs_reset_watches", "1");
    for (const char* key : {"data", "attr", "error"}) nodes.set_for_guest(key);
    nodes.set("device");
    nodes.set("store/port", std::to_string(ports.store.raw()));
    nodes.set("store/ring-ref", std::to_string(built.store_frame.raw()));
    nodes.set("console/port", std::to_string(ports.console.raw()));
    nodes.set("console/ring-ref", std::to_string(built.console_frame.raw()));
    add_root(changes, vm_path(uuid), domain);
    changes.push_back({Change::Kind::write, vm_path(uuid) + "/uuid", uuid.text()});
    add_name(changes, domain, uuid, definition.name);
}

void add_name(device::Changes& changes, DomId domain, const base::Uuid& uuid, const std::string& name) {
    changes.push_back({Change::Kind::write, domain_path(domain) + "/name", name});
    changes.push_back({Change::Kind::write, vm_path(uuid) + "/name", name});
}

void remove_guest(device::Changes& changes, DomId domain, const base::Uuid& uuid) {
    // Backends last: a guest's own keys are gone before dom0's drivers let go.
    changes.push_back({Change::Kind::remove, domain_path(domain)});
    changes.push_back({Change::Kind::remove, vm_path(uuid)});
    device::remove_backends(changes, domain);
}

} // namespace streak::manager
