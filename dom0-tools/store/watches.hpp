// SPDX-License-Identifier: GPL-2.0-only
#pragma once

#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "store/operation.hpp"

namespace streak::store {

/// Names a session (service.hpp): those of domains by the domain's id, those of sockets by numbers from here on.
using SessionId = std::uint64_t;
inline constexpr SessionId first_socket_session = 1u << 16;

/// Somebody waits for changes of a node and of all below it.
struct Watch {
    SessionId session = 0;
    std::string token;
    bool relative = false; ///< was set by a path relative to the session's home: events name paths in the same way
    bool operator==(const Watch&) const = default;
};

/// All watches, by path, so that a change costs as much as its path is deep, however many there are.
class Watches {
public:
    /// EEXIST: the session has this one.
    [[nodiscard]] Result<> add(const std::string& path, Watch watch);
    /// ENOENT.
    [[nodiscard]] Result<> remove(std::string_view path, SessionId session, std::string_view token);
    void remove_all(SessionId session);
    [[nodiscard]] std::size_t count(SessionId session) const;

    /// `fire(watch, path)` for each event that a change causes, in the order the watches were set on each path.
    template <class Fire> void for_change(const Change& change, Fire&& fire) const {
        for (std::string_view above = change.path;; above = parent_of(above)) {
            fire_at(above, change.path, fire);
            if (above == "/" || is_special(above)) break;
        }
        if (!change.removed) return;
        // A node that went with one above it is known to those that waited for that very node.
        const std::string below = change.path + "/";
        for (auto it = by_path_.lower_bound(below); it != by_path_.end() && it->first.starts_with(below); ++it)
            if (find_below(change.node, std::string_view(it->first).substr(change.path.size())))
                for (const Watch& watch : it->second) fire(watch, it->first);
    }
    /// `visit(path, watch)`
    template <class Visit> void for_each(Visit&& visit) const {
        for (const auto& [path, list] : by_path_)
            for (const Watch& watch : list) visit(path, watch);
    }

private:
    template <class Fire> void fire_at(std::string_view at, const std::string& path, Fire& fire) const {
        if (const auto found = by_path_.find(at); found != by_path_.end())
            for (const Watch& watch : found->second) fire(watch, path);
    }

    std::map<std::string, std::vector<Watch>, std::less<>> by_path_;
    std::map<SessionId, std::size_t> counts_;
};

} // namespace streak::store
