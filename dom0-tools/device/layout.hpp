// SPDX-License-Identifier: GPL-2.0-only
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/error.hpp"
#include "config/definition.hpp"
#include "device/xenbus.hpp"
#include "lib/ids.hpp"
#include "store/client.hpp"

// Which store keys a device has (xen/io/blkif.h, xen/io/netif.h; what Linux's xen-blkback and xen-netback read).

namespace streak::device {

enum class Kind : std::uint8_t { disk, interface };

using Changes = std::vector<store::Client::Change>;

/// Where a device's keys are.
struct Address {
    DomId domain{};
    Kind kind = Kind::disk;
    std::uint32_t number = 0; ///< disk: virtual device number; interface: its handle

    [[nodiscard]] std::string_view word() const { return kind == Kind::disk ? "vbd" : "vif"; }
    [[nodiscard]] std::string frontend() const;
    [[nodiscard]] std::string backend() const;
    /// What all backends of this kind that the domain has are below.
    [[nodiscard]] std::string backends() const;
    /// Where Linux's backends leave the reason of a failure.
    [[nodiscard]] std::string error_node() const;
    /// The network interface in dom0, as xen-netback names it: vif3.0.
    [[nodiscard]] std::string vif() const;
};

/// A block device of dom0.
struct BlockNumber {
    std::uint32_t major = 0, minor = 0;
};

/// The virtual device number of xvda, sdb1, hdc, …: 202 << 8, or 1 << 28 from the 17th disk or partition on. `invalid`: no such name.
[[nodiscard]] base::Outcome<std::uint32_t> disk_number(std::string_view target);

/// The bridge an interface belongs to; empty: none.
[[nodiscard]] std::string bridge_of(const config::Interface& interface);

void add_disk(Changes& changes, const Address& at, const config::Disk& disk, BlockNumber number);
void add_interface(Changes& changes, const Address& at, const config::Interface& interface);
/// dom0 has set up the interface: xen-netback goes on to connect.
void add_interface_ready(Changes& changes, const Address& at);
/// Asks both ends to close.
void add_close_request(Changes& changes, const Address& at);
void remove_device(Changes& changes, const Address& at);
/// All backends of a domain, and what they had to complain of.
void remove_backends(Changes& changes, DomId domain);

} // namespace streak::device
