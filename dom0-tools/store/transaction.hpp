// SPDX-License-Identifier: GPL-2.0-only
#pragma once

#include <vector>

#include "store/operation.hpp"

namespace streak::store {

/// A caller's changes on a snapshot, to be made at once or not at all.
///
/// It conflicts with what others committed meanwhile only where it *looked*: a value, permissions, or that a node was
/// absent; or a list of children. Two transactions that add different nodes to one directory don't conflict. Example:
///
///     A starts, reads /x              B writes /x
///     A writes /y                     B writes /z
///     A ends: EAGAIN, /x has changed; had A read /q instead, its write of /y would be made beside B's changes.
class Transaction {
public:
    explicit Transaction(const Tree& now) : base_(now), tree_(now) {}
    /// For one whose changes are not known any more: it is served, and ends with EAGAIN, so that its caller repeats it.
    [[nodiscard]] static Transaction lost(const Tree& now) {
        Transaction t(now);
        t.lost_ = true;
        return t;
    }

    [[nodiscard]] const Tree& tree() const { return tree_; }
    [[nodiscard]] Reads& reads() { return reads_; }
    /// About how much memory it keeps.
    [[nodiscard]] std::size_t bytes() const { return log_bytes_ + reads_.bytes; }

    /// On the snapshot; the same errors as store::apply.
    [[nodiscard]] Result<> apply(const Caller& who, const Environment& environment, Operation operation);

    /// Makes the changes in `now`; `changes` for watches. EAGAIN: a conflict, nothing has happened.
    [[nodiscard]] Result<> commit(Tree& now, const Caller& who, const Environment& environment,
                                  std::vector<Change>& changes) const;

private:
    [[nodiscard]] bool conflicts(const Tree& now) const;

    Tree base_, tree_;
    Reads reads_;
    std::vector<Operation> log_;
    std::vector<Change> changes_;
    std::size_t log_bytes_ = 0;
    bool lost_ = false;
};

} // namespace streak::store
