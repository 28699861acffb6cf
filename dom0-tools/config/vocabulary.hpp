// SPDX-License-Identifier: GPL-2.0-only
#pragma once

#include <string_view>

#include "config/report.hpp"

// Every element and attribute that libvirt's schema knows for `<domain>`, and what becomes of it here.

namespace streak::config {

/// What the vocabulary says of one name at one place.
struct Rule {
    Finding::Fate fate = Finding::Fate::used;
    bool repeatable = false;
    std::string_view why{}, remedy{};
};

/// The rule of `name` (an attribute's begins with '@') below `place`, such as "domain/devices/disk"; null: unknown there.
[[nodiscard]] const Rule* find_rule(std::string_view place, std::string_view name);
/// Whether elements are known below `place`, so that it is no place for text.
[[nodiscard]] bool holds_elements(std::string_view place);
/// The known name most like `name` below `place`; empty when none is.
[[nodiscard]] std::string_view suggestion(std::string_view place, std::string_view name);

} // namespace streak::config
