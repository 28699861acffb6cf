// SPDX-License-Identifier: GPL-2.0-only
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.hpp"
#include "base/uuid.hpp"

// A domain as its definition says, after all checks of form. Names of files and bridges are not looked up here.

namespace streak::config {

enum class Action : std::uint8_t { destroy, restart, rename_restart, preserve };
inline constexpr std::string_view action_names[] = {"destroy", "restart", "rename-restart", "preserve"};
[[nodiscard]] constexpr std::string_view name_of(Action action) {
    return action_names[static_cast<std::size_t>(action)];
}

/// Bits of a set of CPUs; empty: all.
using CpuList = std::vector<std::uint32_t>;

struct Disk {
    enum class Source : std::uint8_t { file, block };
    static constexpr std::string_view source_names[] = {"file", "block"};
    Source source = Source::file;
    std::string path;   ///< empty: no medium
    std::string target; ///< xvda
    bool read_only = false, shareable = false, cdrom = false;
    bool operator==(const Disk&) const = default;
};

/// The number by which front-end and back-end know a disk's `target`: xvda…, hda to hdd, sda to sdp, with the number of a
/// partition or without (xen-vbd-interface(7)); absent: no such name.
[[nodiscard]] std::optional<std::uint32_t> virtual_device_number(std::string_view target);

using MacAddress = std::array<std::uint8_t, 6>;
[[nodiscard]] std::optional<MacAddress> parse_mac(std::string_view text);
[[nodiscard]] std::string to_text(const MacAddress& mac);
/// An address of 00:16:3e, which belongs to Xen guests, from a domain's UUID and the interface's place; always the same.
[[nodiscard]] MacAddress derived_mac(const base::Uuid& uuid, std::size_t place);

struct Interface {
    enum class Source : std::uint8_t { bridge, network, ethernet };
    static constexpr std::string_view source_names[] = {"bridge", "network", "ethernet"};
    Source source = Source::bridge;
    std::string bridge; ///< bridge: its name; network: the network's name, whose bridge is `virbr0` for `default`
    MacAddress mac{};   ///< all zero: not given; complete() makes one
    std::vector<std::string> ips;
    std::string script, vifname, model;
    std::uint64_t outbound_kib_per_s = 0; ///< bandwidth/outbound average; 0: no limit
    bool link_up = true;
    bool operator==(const Interface&) const = default;
};

struct VcpuPin {
    std::uint32_t vcpu = 0;
    CpuList cpus;
    bool operator==(const VcpuPin&) const = default;
};

struct Definition {
    std::string name;
    std::optional<base::Uuid> uuid; ///< absent: made when the domain is defined
    std::string title, description;
    std::uint64_t max_memory_kib = 0, memory_kib = 0; ///< memory_kib at start, ≤ max_memory_kib
    std::uint32_t max_vcpus = 1, vcpus = 1;           ///< vcpus at start
    CpuList cpus;                                     ///< vcpu/@cpuset
    std::vector<VcpuPin> pins;
    std::uint16_t weight = 256, cap_percent = 0;
    std::string kernel, initrd, command_line;
    std::string bootloader; ///< as given; a definition with one and without a kernel is refused
    Action on_poweroff = Action::destroy, on_reboot = Action::restart, on_crash = Action::destroy;
    enum class Clock : std::uint8_t { utc, localtime } clock = Clock::utc;
    static constexpr std::string_view clock_names[] = {"utc", "localtime"};
    std::int32_t clock_offset_seconds = 0;
    std::uint32_t tsc_mode = 0; ///< XEN_DOMCTL_settscinfo: clock/timer name='tsc' mode: auto 0, emulate 1, native 2
    std::vector<Disk> disks;
    std::vector<Interface> interfaces;
    std::uint32_t max_grant_frames = 0, max_event_channels = 0; ///< controller type='xenbus'; 0: default
    std::string seclabel;                                       ///< empty: the default
    bool autostart = false;                                     ///< not of the XML
    bool operator==(const Definition&) const = default;
};

/// Whether a domain may be called `name`: 1 to 64 characters, printable, no '/', not a number and not a UUID.
[[nodiscard]] base::Outcome<> check_name(std::string_view name);

/// Makes the UUID and the MAC addresses that a definition leaves open.
void complete(Definition& definition);

} // namespace streak::config
