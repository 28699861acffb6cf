// SPDX-License-Identifier: GPL-2.0-only
#pragma once

#include <string>
#include <string_view>

#include "lib/errno.hpp"
#include "lib/ids.hpp"

// Names of nodes: `/a/b`, absolute and without a slash at the end; the root is `/`.

namespace streak::store {

/// `/local/domain/N`
[[nodiscard]] std::string home_of(DomId domain);

/// The absolute form of a path in a request: relative ones are below the caller's home. EINVAL: a character outside of
/// the documented set, an empty part, or too long (xen/io/xs_wire.h, XENSTORE_ABS_PATH_MAX and XENSTORE_REL_PATH_MAX).
[[nodiscard]] Result<std::string> absolute_path(std::string_view text, DomId caller);

/// The same for watches, which may also name the events `@introduceDomain` and `@releaseDomain`.
[[nodiscard]] Result<std::string> watched_path(std::string_view text, DomId caller);

[[nodiscard]] inline bool is_special(std::string_view path) { return path.starts_with('@'); }
/// Of `/a/b`: `/a`; of `/a` and `/`: `/`.
[[nodiscard]] std::string_view parent_of(std::string_view path);
/// Takes the first part off `/a/b` (which becomes `/b`, then empty).
[[nodiscard]] std::string_view take_part(std::string_view& path);

} // namespace streak::store
