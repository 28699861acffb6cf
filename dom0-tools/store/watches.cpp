// SPDX-License-Identifier: GPL-2.0-only
#include "store/watches.hpp"

#include <algorithm>

namespace streak::store {

Result<> Watches::add(const std::string& path, Watch watch) {
    auto& list = by_path_[path];
    const auto same = [&](const Watch& w) { return w.session == watch.session && w.token == watch.token; };
    if (std::ranges::any_of(list, same)) return fail(Errno::EEXIST);
    ++counts_[watch.session];
    list.push_back(std::move(watch));
    return {};
}

Result<> Watches::remove(std::string_view path, SessionId session, std::string_view token) {
    const auto found = by_path_.find(path);
    if (found == by_path_.end()) return fail(Errno::ENOENT);
    if (std::erase_if(found->second, [&](const Watch& w) { return w.session == session && w.token == token; }) == 0)
        return fail(Errno::ENOENT);
    --counts_[session];
    if (found->second.empty()) by_path_.erase(found);
    return {};
}

void Watches::remove_all(SessionId session) {
    for (auto it = by_path_.begin(); it != by_path_.end();) {
        std::erase_if(it->second, [&](const Watch& w) { return w.session == session; });
        it = it->second.empty() ? by_path_.erase(it) : std::next(it);
    }
    counts_.erase(session);
}

std::size_t Watches::count(SessionId session) const {
    const auto found = counts_.find(session);
    return found == counts_.end() ? 0 : found->second;
}

} // namespace streak::store
