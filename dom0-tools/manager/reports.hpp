// SPDX-License-Identifier: GPL-2.0-only
#pragma once

#include "manager/manager.hpp"

// What the API tells (docs/api.md), as JSON.

namespace streak::manager {

[[nodiscard]] base::Outcome<std::string> host_report(Manager& manager);
[[nodiscard]] base::Outcome<std::string> domains_report(Manager& manager);
[[nodiscard]] base::Outcome<std::string> domain_report(Manager& manager, const DomainPointer& domain);
[[nodiscard]] base::Outcome<std::string> stats_report(Manager& manager);
[[nodiscard]] base::Outcome<std::string> leftovers_report(Manager& manager);
/// Parses, and looks for files, bridges and modules that the definition needs.
[[nodiscard]] base::Outcome<std::string> validation_report(Manager& manager, const std::string& xml);
[[nodiscard]] std::string findings_json(const std::vector<config::Finding>& findings);

} // namespace streak::manager
