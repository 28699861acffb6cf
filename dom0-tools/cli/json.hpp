// SPDX-License-Identifier: GPL-2.0-only
#pragma once

// The C library's error numbers are needed in here; lib/errno.hpp takes their names away.
#include <nlohmann/json.hpp>

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "config/report.hpp"

// Members of answers, read without surprises: what is absent, null or of another type is empty.

namespace streak::cli {

using Json = nlohmann::ordered_json;

/// What is no JSON is `discarded`.
[[nodiscard]] Json parse_json(std::string_view text);
[[nodiscard]] std::string text_of(const Json& object, std::string_view member);
[[nodiscard]] std::uint64_t number_of(const Json& object, std::string_view member);
[[nodiscard]] bool flag_of(const Json& object, std::string_view member);
/// The member, an empty list when it is no list.
[[nodiscard]] const Json& list_of(const Json& object, std::string_view member);
/// The member, an empty object when it is no object.
[[nodiscard]] const Json& object_of(const Json& object, std::string_view member);
/// One line with its end; bytes that are not UTF-8 are replaced.
[[nodiscard]] std::string to_line(const Json& json);

[[nodiscard]] std::vector<config::Finding> findings_of(const Json& json);
[[nodiscard]] Json findings_json(const std::vector<config::Finding>& findings);

} // namespace streak::cli
