// SPDX-License-Identifier: GPL-2.0-only
#pragma once

#include <expected>
#include <string_view>

#include "lib/try.hpp"

namespace streak::loader {

enum class LoadErrc : std::uint8_t {
#define LOAD_ERROR(name, sentence) name,
#include "loader/load_error.def"
#undef LOAD_ERROR
};

/// Why something was refused, with what was expected and what was found: as text where there is
/// text (views into the input or literals), as numbers otherwise. The caller prints it.
struct LoadError {
    LoadErrc code{};
    std::string_view item{}; ///< which item it is about, e.g. "program header" or "VIRT_BASE"
    std::uint64_t expected = 0;
    std::uint64_t found = 0;
    std::string_view expected_text{};
    std::string_view found_text{};
};

template <class T = void> using LoadResult = std::expected<T, LoadError>;

[[nodiscard]] constexpr std::unexpected<LoadError> refuse(LoadErrc code, std::string_view item,
                                                          std::uint64_t expected = 0, std::uint64_t found = 0) {
    return std::unexpected(LoadError{code, item, expected, found, {}, {}});
}

[[nodiscard]] constexpr std::unexpected<LoadError> refuse_text(LoadErrc code, std::string_view item,
                                                               std::string_view expected, std::string_view found) {
    return std::unexpected(LoadError{code, item, 0, 0, expected, found});
}

/// One sentence for `code`, without the values.
[[nodiscard]] std::string_view describe(LoadErrc code);

} // namespace streak::loader
