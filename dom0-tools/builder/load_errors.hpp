// SPDX-License-Identifier: GPL-2.0-only
#pragma once

#include <string_view>

#include "base/error.hpp"
#include "loader/bytes.hpp"
#include "loader/load_error.hpp"

namespace streak::builder {

/// What the loader refused in `file`, for people: what a kernel must be, what this one is, what helps.
/// @param contents of the file, for errors about its kind; may be empty
[[nodiscard]] base::Error explain(std::string_view file, const loader::LoadError& error, loader::Bytes contents);

/// What a file seems to be by its first bytes, such as "a text file" or "a kernel for 64-bit ARM".
[[nodiscard]] std::string kind_of_file(loader::Bytes contents);

} // namespace streak::builder
