// SPDX-License-Identifier: GPL-2.0-only
#pragma once

#include <string>
#include <string_view>

#include "config/report.hpp"

// The form of the sandbox's answers: the members one after the other, without names. Reading JSON takes several times as
// long as reading the XML itself.

namespace streak::config {

[[nodiscard]] std::string pack(const Parsed& parsed);
/// Checks every value: the sandbox is not trusted. Error: internal.
[[nodiscard]] base::Outcome<Parsed> unpack(std::string_view bytes);

} // namespace streak::config
