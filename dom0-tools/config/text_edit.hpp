// SPDX-License-Identifier: GPL-2.0-only
#pragma once

#include <string>
#include <string_view>

#include "base/uuid.hpp"

// Changes of a definition's text that leave everything else as its author wrote it. The text is one that parse_xml()
// accepted; any other comes back as it was.

namespace streak::config {

/// `text` for use between tags and in attributes.
[[nodiscard]] std::string escaped(std::string_view text);

/// The definition with `uuid` as its UUID; unchanged when it has that one already.
[[nodiscard]] std::string with_uuid(std::string_view xml, const base::Uuid& uuid);

/// The definition with `name` as its name.
[[nodiscard]] std::string with_name(std::string_view xml, std::string_view name);

} // namespace streak::config
