// SPDX-License-Identifier: GPL-2.0-only
#pragma once

#include "manager/threads.hpp"

#include <optional>
#include <string>
#include <vector>

#include "manager/disk_claims.hpp"

namespace streak::manager {

struct Disk {
    config::Disk definition;
    std::uint32_t number = 0;
    DiskClaims::Claim claim{};
    base::Fd hold{}; ///< keeps a loop device until xen-blkback has it, and no longer than the guest
};

struct Interface {
    config::Interface definition;
    std::uint32_t handle = 0;
};

/// A domain that runs.
struct Running {
    DomId id{};
    std::int64_t started_s = 0;    ///< Environment::uptime_s
    config::Definition definition; ///< as it is now; without devices, which stand below
    std::vector<Disk> disks{};
    std::vector<Interface> interfaces{};
    bool preserved = false; ///< it ended and stays to be looked at
    bool ending = false;    ///< this streakd is destroying it

    [[nodiscard]] device::Address at(const Disk& disk) const { return {id, device::Kind::disk, disk.number}; }
    [[nodiscard]] device::Address at(const Interface& nic) const { return {id, device::Kind::interface, nic.handle}; }
};

/// A domain that is defined or runs.
///
/// Locking, outer to inner: `operation` (held during a whole change, kernels unpacked and guests waited for included),
/// Registry::mutex (held for moments only), then the locks of journal, events, disk claims and store. Nobody holds
/// two domains' `operation`. The members below are written with both locks held, so that either is enough to read them.
struct Domain {
    explicit Domain(base::Uuid id) : uuid(id) {}

    const base::Uuid uuid;
    std::mutex operation;

    std::string name;
    config::Definition definition; ///< of the next start
    std::string xml;               ///< as it was given
    bool persistent = false, autostart = false;
    std::optional<Running> running;
    std::string reason;      ///< why it stopped last
    unsigned quick_ends = 0; ///< times in a row that it ended soon after its start
    bool listed = false;     ///< the registry has it
    bool resting = true;     ///< does not run and is not about to
};

} // namespace streak::manager
