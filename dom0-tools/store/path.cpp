// SPDX-License-Identifier: GPL-2.0-only
#include "store/path.hpp"

#include <algorithm>

#include <xen/io/xs_wire.h>

namespace streak::store {

namespace {

[[nodiscard]] bool good_character(char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
           std::string_view("-/_@").contains(c);
}

} // namespace

std::string home_of(DomId domain) { return "/local/domain/" + std::to_string(domain.raw()); }

Result<std::string> absolute_path(std::string_view text, DomId caller) {
    const bool absolute = text.starts_with('/');
    if (text.empty() || text.size() > (absolute ? XENSTORE_ABS_PATH_MAX : XENSTORE_REL_PATH_MAX))
        return fail(Errno::EINVAL);
    if (!std::ranges::all_of(text, good_character) || text.contains("//")) return fail(Errno::EINVAL);
    if (is_special(text) || (text != "/" && text.ends_with('/'))) return fail(Errno::EINVAL);
    return absolute ? std::string(text) : home_of(caller) + "/" + std::string(text);
}

Result<std::string> watched_path(std::string_view text, DomId caller) {
    if (!is_special(text)) return absolute_path(text, caller);
    if (text.size() > XENSTORE_REL_PATH_MAX || !std::ranges::all_of(text, good_character)) return fail(Errno::EINVAL);
    return std::string(text);
}

std::string_view parent_of(std::string_view path) {
    const auto slash = path.rfind('/');
    return slash == 0 || slash == path.npos ? std::string_view("/") : path.substr(0, slash);
}

std::string_view take_part(std::string_view& path) {
    path.remove_prefix(std::min<std::size_t>(1, path.size()));
    const auto part = path.substr(0, path.find('/'));
    path.remove_prefix(part.size());
    return part;
}

} // namespace streak::store
