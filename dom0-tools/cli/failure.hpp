// SPDX-License-Identifier: GPL-2.0-only
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/error.hpp"
#include "config/report.hpp"

namespace streak::cli {

/// Why a verb failed: an error, and the findings when a definition is at fault.
struct Failure {
    base::Error error;
    std::vector<config::Finding> findings{};
    // NOLINTNEXTLINE(google-explicit-constructor): every error is a failure
    Failure(base::Error e, std::vector<config::Finding> f = {}) : error(std::move(e)), findings(std::move(f)) {}
};

template <class T = void> using Outcome = std::expected<T, Failure>;

/// What went wrong, one aspect a line; `colour`: with the terminal's colours.
[[nodiscard]] std::string error_text(const Failure& failure, bool colour);
/// The same as `streak.error/1`.
[[nodiscard]] std::string error_json(const Failure& failure);
/// An answer of streakd that is not a success. Bodies that are no `streak.error/1` are internal errors.
[[nodiscard]] Failure failure_from_answer(int status, std::string_view body);

/// A table of what became of a definition's elements.
[[nodiscard]] std::string findings_text(const std::vector<config::Finding>& findings);

} // namespace streak::cli
