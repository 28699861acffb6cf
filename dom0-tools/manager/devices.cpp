// SPDX-License-Identifier: GPL-2.0-only
#include "manager/manager.hpp"

#include "device/hotplug.hpp"

#include <algorithm>

#include <fmt/format.h>

namespace streak::manager {

namespace {

std::string task_text(const device::Address& at) { return fmt::format("{} {}", at.word(), at.number); }

std::unexpected<base::Error> no_such(const Domain& domain, std::string_view kind, const std::string& name) {
    return base::error(base::ErrorKind::not_found, fmt::format("'{}' has no {} {}", domain.name, kind, name));
}

std::unexpected<base::Error> exists(const Domain& domain, std::string_view kind, const std::string& name) {
    return base::error(base::ErrorKind::conflict, fmt::format("'{}' has a {} {} already", domain.name, kind, name), {},
                       {}, "Detach that one first, or choose another");
}

/// The lowest number that no interface has.
std::uint32_t free_handle(const Running& running) {
    std::uint32_t handle = 0;
    while (std::ranges::find(running.interfaces, handle, &Interface::handle) != running.interfaces.end()) ++handle;
    return handle;
}

} // namespace

base::Outcome<> Manager::attach(const std::string& ref, const config::Definition& device) {
    TRY_ASSIGN(domain, lock_running(ref));
    if (device.disks.size() + device.interfaces.size() != 1)
        return base::error(base::ErrorKind::invalid, "one device can be attached at a time",
                           "one <disk> or <interface>");
    if (!device.disks.empty()) return attach_disk(*domain, device.disks.front());
    config::Interface interface = device.interfaces.front();
    if (interface.mac == config::MacAddress{})
        interface.mac = config::derived_mac(domain->uuid, free_handle(*domain->running));
    return attach_interface(*domain, interface);
}

base::Outcome<Journal::Entry> Manager::connect_device(Domain& domain, const device::Address& at,
                                                      FunctionRef<base::Outcome<>()> set_up) {
    auto entry = journal_->begin({Task::Kind::attach, domain.uuid, at.domain.raw(), false, task_text(at)});
    if (!entry) return entry;
    base::Outcome<> done = set_up();
    if (done) done = device::wait_connected(environment_.store, at, environment_.patience);
    if (done) return entry;
    device::Changes removal;
    device::remove_device(removal, at);
    (void)environment_.store.apply(removal);
    return std::unexpected(done.error());
}

base::Outcome<> Manager::attach_disk(Domain& domain, const config::Disk& disk) {
    Running& running = *domain.running;
    TRY_ASSIGN(number, device::disk_number(disk.target));
    for (const Disk& other : running.disks)
        if (other.number == number) return exists(domain, "disk", disk.target);
    if (disk.path.empty())
        return base::error(base::ErrorKind::invalid, "a drive without a medium can't be attached", "a <source>");
    TRY(environment_.host.check_backend(device::Kind::disk));
    TRY_ASSIGN(file, environment_.host.check_disk(disk));
    TRY_ASSIGN(claim, claims_.claim(disk, file, domain.name));
    Disk attached{disk, number, std::move(claim)};
    const device::Address at = running.at(attached);
    const auto entry = connect_device(domain, at, [&]() -> base::Outcome<> {
        TRY_ASSIGN(open, environment_.host.open_disk(disk, domain.uuid.text()));
        attached.hold = std::move(open.hold);
        device::Changes changes;
        device::add_disk(changes, at, disk, open.number);
        return checked(environment_.store.apply(changes), "the store does not take the disk's keys");
    });
    if (!entry) return std::unexpected(entry.error());
    registry_.update([&] { running.disks.push_back(std::move(attached)); });
    return changed(domain, "device-attached", disk.target);
}

base::Outcome<> Manager::attach_interface(Domain& domain, const config::Interface& interface) {
    Running& running = *domain.running;
    const std::string mac = config::to_text(interface.mac);
    for (const Interface& other : running.interfaces)
        if (other.definition.mac == interface.mac) return exists(domain, "network interface", mac);
    TRY(check_network({interface}));
    const Interface attached{interface, free_handle(running)};
    const device::Address at = running.at(attached);
    const auto entry = connect_device(domain, at, [&]() -> base::Outcome<> {
        device::Changes changes, ready;
        device::add_interface(changes, at, interface);
        TRY(checked(environment_.store.apply(changes), "the store does not take the interface's keys"));
        TRY(connect_interface(environment_, at, interface));
        device::add_interface_ready(ready, at);
        return checked(environment_.store.apply(ready), "the store does not take the interface's state");
    });
    if (!entry) return std::unexpected(entry.error());
    registry_.update([&] { running.interfaces.push_back(attached); });
    return changed(domain, "device-attached", mac);
}

template <class Devices, class F> base::Outcome<> Manager::detach(const std::string& ref, Devices Running::* list,
                                                                  F&& is_it, std::string_view kind,
                                                                  const std::string& name, bool force) {
    TRY_ASSIGN(domain, lock_running(ref));
    Devices& devices = *domain->running.*list;
    const auto found = std::ranges::find_if(devices, is_it);
    if (found == devices.end()) return no_such(*domain, kind, name);
    const auto entry = let_go(*domain, domain->running->at(*found), force);
    if (!entry) return std::unexpected(entry.error());
    registry_.update([&] { devices.erase(found); });
    return changed(*domain, "device-detached", name);
}

base::Outcome<> Manager::detach_disk(const std::string& ref, const std::string& target, bool force) {
    const auto is_it = [&](const Disk& disk) { return disk.definition.target == target; };
    return detach(ref, &Running::disks, is_it, "disk", target, force);
}

base::Outcome<> Manager::detach_interface(const std::string& ref, const std::string& mac, bool force) {
    const auto address = config::parse_mac(mac);
    if (!address) return base::error(base::ErrorKind::usage, "this is no MAC address", "00:16:3e:11:22:33", mac);
    const auto is_it = [&](const Interface& nic) { return nic.definition.mac == *address; };
    return detach(ref, &Running::interfaces, is_it, "network interface", mac, force);
}

base::Outcome<Journal::Entry> Manager::let_go(Domain& domain, const device::Address& at, bool force) {
    if (!force) TRY(device::close_politely(environment_.store, at, environment_.patience));
    auto entry = journal_->begin({Task::Kind::detach, domain.uuid, at.domain.raw(), false, task_text(at)});
    if (!entry) return entry;
    device::Changes removal;
    device::remove_device(removal, at);
    TRY(checked(environment_.store.apply(removal), "the store does not remove the device's keys"));
    return entry;
}

} // namespace streak::manager
