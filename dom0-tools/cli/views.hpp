// SPDX-License-Identifier: GPL-2.0-only
#pragma once

#include "cli/json.hpp"

#include <string>

// Answers of streakd as text. Pure.

namespace streak::cli {

/// `streak.domains/1`; `all`: those that are shut off, too.
[[nodiscard]] std::string domains_text(const Json& answer, bool all);
/// "2 more are shut off …", or nothing.
[[nodiscard]] std::string domains_note(const Json& answer, bool all);
/// `streak.domain/1`
[[nodiscard]] std::string domain_text(const Json& answer);
/// `streak.host/1`
[[nodiscard]] std::string host_text(const Json& answer);
/// `streak.leftovers/1`
[[nodiscard]] std::string leftovers_text(const Json& answer);
/// `streak.validation/1` of a file.
[[nodiscard]] std::string validation_text(const Json& answer);
/// One event.
[[nodiscard]] std::string event_text(const Json& event);
/// Two `streak.stats/1`, `ns` apart; the first may be empty.
[[nodiscard]] std::string top_text(const Json& before, const Json& now, std::uint64_t ns);

} // namespace streak::cli
