// SPDX-License-Identifier: GPL-2.0-only
#pragma once

#include <optional>
#include <string_view>

#include "lib/types.hpp"

// The hypervisor's own text symbols; packaging/link.py writes the table.

namespace streak::symbols {

struct Symbol {
    std::string_view name;
    u64 address;
};

[[nodiscard]] u32 count();

/// Symbol number `index`, in ascending order of address.
[[nodiscard]] Symbol at(u32 index);

/// The symbol that the code at `address` belongs to; nothing outside the image's text.
[[nodiscard]] std::optional<Symbol> find(u64 address);

} // namespace streak::symbols
