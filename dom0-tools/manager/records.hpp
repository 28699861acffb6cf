// SPDX-License-Identifier: GPL-2.0-only
#pragma once

#include "manager/threads.hpp"

#include <functional>

#include "config/report.hpp"
#include "manager/domain.hpp"
#include "manager/paths.hpp"

// Domains on paper: what survives streakd, and what survives the machine.

namespace streak::manager {

/// What a domain is now, devices included.
[[nodiscard]] config::Definition live_definition(const Running& running);

/// /run/streak/domains/UUID.json: a running domain.
[[nodiscard]] base::Outcome<> save_running(const Paths& paths, const Domain& domain, const Running& running);
void forget_running(const Paths& paths, const base::Uuid& uuid);
/// All of them; the id may have died meanwhile. What can't be read is logged and left.
[[nodiscard]] std::vector<std::shared_ptr<Domain>> load_running(const Paths& paths);

/// /var/lib/streak/definitions: UUID.xml as it was given, UUID.json for the rest; on the disk when it returns.
[[nodiscard]] base::Outcome<> save_definition(const Paths& paths, const Domain& domain);
/// UUID.json alone.
[[nodiscard]] base::Outcome<> save_properties(const Paths& paths, const Domain& domain, Durable durable);
void forget_definition(const Paths& paths, const base::Uuid& uuid);
/// All of them, not running. `parse` is asked only for an XML that is not the one UUID.json was made from.
[[nodiscard]] std::vector<std::shared_ptr<Domain>> load_definitions(
    const Paths& paths, const std::function<base::Outcome<config::Parsed>(const std::string&, bool)>& parse);

} // namespace streak::manager
