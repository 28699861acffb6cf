// SPDX-License-Identifier: GPL-2.0-only
#pragma once

#include "builder/builder.hpp"
#include "device/layout.hpp"

// The store keys of a domain itself: what guests, the daemons and Debian's tools read, and no more.

namespace streak::manager {

[[nodiscard]] std::string domain_path(DomId domain);

struct GuestPorts {
    EvtchnPort store{}, console{};
};

void add_guest(device::Changes& changes, DomId domain, const base::Uuid& uuid, const config::Definition& definition,
               const builder::Built& built, GuestPorts ports);
void add_name(device::Changes& changes, DomId domain, const base::Uuid& uuid, const std::string& name);
/// Everything of a domain that is gone, its backends too.
void remove_guest(device::Changes& changes, DomId domain, const base::Uuid& uuid);

} // namespace streak::manager
