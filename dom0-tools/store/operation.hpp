// SPDX-License-Identifier: GPL-2.0-only
#pragma once

#include <functional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "store/tree.hpp"

// What a caller may do to a tree: permissions and quotas are judged before anything changes.

namespace streak::store {

/// Limits of a domain; the control domain has none. The values are the incumbent's.
struct Quota {
    std::size_t nodes = 1000;
    std::size_t node_bytes = 2048; ///< name and value
    std::size_t permissions = 5;
    std::size_t watches = 128;
    std::size_t transactions = 10;
    std::size_t transaction_bytes = 512 << 10; ///< that all open ones keep (Service::has_room)
    std::size_t output_bytes = 1 << 20;        ///< replies and events that a client doesn't fetch
};

/// Told of each refusal by a quota: whose, which, and the value that was too much.
using QuotaLog = std::function<void(DomId domain, std::string_view quota, std::size_t value)>;

struct Environment {
    Quota quota;
    QuotaLog refused;

    /// True when a caller's `value` is within `limit`; logs otherwise.
    [[nodiscard]] bool within(const Caller& who, std::string_view name, std::size_t value, std::size_t limit) const {
        if (who.privileged || value <= limit) return true;
        if (refused) refused(who.id, name, value);
        return false;
    }
};

/// For watches and the journal: a node that was made, changed or removed.
struct Change {
    std::string path;
    NodeRef node; ///< as it is now; for a removal, as it was
    bool removed = false;
};

/// What a transaction looked at: a change of these by others is a conflict.
struct Reads {
    using Paths = std::set<std::string, std::less<>>;
    Paths contents; ///< values, permissions, and that a node is absent
    Paths listings;
    std::size_t bytes = 0; ///< about how much memory they take

    void note(Paths Reads::* which, std::string_view path) {
        if ((this->*which).emplace(path).second) bytes += 2 * sizeof(std::string) + path.size();
    }
};

/// A change that was asked for.
struct Operation {
    enum class Kind { write, make, remove, set_permissions };
    Kind kind{};
    std::string path;
    std::string value;
    Permissions permissions{DomId(0)}; ///< set_permissions only
};

/// About how much memory an operation keeps when a snapshot has the tree as it was; `before`, `after`: nodes in the tree.
[[nodiscard]] inline std::size_t kept_by(const Operation& operation, std::size_t before, std::size_t after) {
    const std::size_t nodes = 1 + (before < after ? after - before : before - after);
    return 512 * nodes + 2 * (operation.path.size() + operation.value.size());
}

/// A node that the caller may read. ENOENT, EACCES. `reads` (if any) notes `what` of it was looked at.
[[nodiscard]] Result<NodeRef> read_node(const Tree& tree, const Caller& who, std::string_view path, Reads* reads,
                                        Reads::Paths Reads::* what = &Reads::contents);

/// Does it, and adds what changed. EACCES, EPERM (another owner), ENOENT, EINVAL (the root), ENOSPC (a quota).
[[nodiscard]] Result<> apply(Tree& tree, const Caller& who, const Environment& environment, const Operation& operation,
                             std::vector<Change>& changes);

} // namespace streak::store
