// SPDX-License-Identifier: GPL-2.0-only
#include "store/transaction.hpp"

#include <algorithm>

namespace streak::store {

Result<> Transaction::apply(const Caller& who, const Environment& environment, Operation operation) {
    const std::size_t before = tree_.size();
    TRY(store::apply(tree_, who, environment, operation, changes_));
    log_bytes_ += kept_by(operation, before, tree_.size());
    log_.push_back(std::move(operation));
    return {};
}

bool Transaction::conflicts(const Tree& now) const {
    const auto differs = [&](std::uint64_t Node::* number) {
        return [this, &now, number](const std::string& path) {
            const NodeRef before = base_.find(path), after = now.find(path);
            return !before != !after || (before && before.get()->*number != after.get()->*number);
        };
    };
    return std::ranges::any_of(reads_.contents, differs(&Node::content)) ||
           std::ranges::any_of(reads_.listings, differs(&Node::listing));
}

Result<> Transaction::commit(Tree& now, const Caller& who, const Environment& environment,
                             std::vector<Change>& changes) const {
    if (lost_) return fail(Errno::EAGAIN);
    if (now == base_) {
        now = tree_;
        changes.insert(changes.end(), changes_.begin(), changes_.end());
        return {};
    }
    if (conflicts(now)) return fail(Errno::EAGAIN);
    Tree merged = now;
    std::vector<Change> made;
    for (const Operation& operation : log_)
        if (!store::apply(merged, who, environment, operation, made)) return fail(Errno::EAGAIN);
    now = merged;
    changes.insert(changes.end(), made.begin(), made.end());
    return {};
}

} // namespace streak::store
