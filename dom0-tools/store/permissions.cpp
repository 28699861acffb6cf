// SPDX-License-Identifier: GPL-2.0-only
#include "store/permissions.hpp"

#include "base/text.hpp"

#include <algorithm>
#include <ranges>

namespace streak::store {

Result<Permissions> Permissions::parse(const std::vector<std::string_view>& words) {
    Permissions p;
    for (const std::string_view word : words) {
        if (word.empty() || !std::string_view("nrwb").contains(word[0])) return fail(Errno::EINVAL);
        const auto id = base::parse_number<std::uint16_t>(word.substr(1));
        if (!id) return fail(Errno::EINVAL);
        p.entries_.push_back({DomId(*id), static_cast<Right>(word[0])});
    }
    if (p.entries_.empty()) return fail(Errno::EINVAL);
    return p;
}

Result<Permissions> Permissions::parse_text(std::string_view text) {
    std::vector<std::string_view> words;
    for (const auto word : std::views::split(text, ' ')) words.emplace_back(word.begin(), word.end());
    return parse(words);
}

std::string Permissions::to_wire() const {
    std::string wire;
    for (const Entry& e : entries_) {
        wire += static_cast<char>(e.right);
        wire += std::to_string(e.domain.raw());
        wire += '\0';
    }
    return wire;
}

void Permissions::forget(DomId domain) {
    const auto gone = std::ranges::remove(entries_.begin() + 1, entries_.end(), domain, &Entry::domain);
    entries_.erase(gone.begin(), gone.end());
}

bool Permissions::may(const Caller& who, Right wanted) const {
    if (who.privileged || owner() == who.id || owner() == who.target) return true;
    const auto named = [&](const Entry& e) { return e.domain == who.id || e.domain == who.target; };
    const auto own = std::find_if(entries_.begin() + 1, entries_.end(), named);
    const Right right = own != entries_.end() ? own->right : entries_.front().right;
    return right == wanted || right == Right::both;
}

} // namespace streak::store
