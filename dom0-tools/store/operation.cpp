// SPDX-License-Identifier: GPL-2.0-only
#include "store/operation.hpp"

namespace streak::store {

namespace {

using Right = bool (Permissions::*)(const Caller&) const;

/// The nearest node above a path that exists; the root always does.
struct Ancestor {
    std::string_view path;
    NodeRef node;
    std::size_t missing = 0; ///< nodes between it and the path, the path's own included
};

[[nodiscard]] Ancestor nearest(const Tree& tree, std::string_view path) {
    Ancestor a{parent_of(path), nullptr, 1};
    while (!(a.node = tree.find(a.path))) {
        a.path = parent_of(a.path);
        ++a.missing;
    }
    return a;
}

/// The node with a right on it. Who may not look above a missing node doesn't learn that it is missing.
[[nodiscard]] Result<NodeRef> find_with(const Tree& tree, const Caller& who, std::string_view path, Right right) {
    const NodeRef node = tree.find(path);
    const NodeRef judged = node ? node : nearest(tree, path).node;
    if (!(judged->permissions.*right)(who)) return fail(Errno::EACCES);
    if (!node) return fail(Errno::ENOENT);
    return node;
}

/// Makes a node and all that are missing above it; they inherit permissions, and belong to who makes them.
[[nodiscard]] Result<> create(Tree& tree, const Caller& who, const Environment& environment, const Operation& op,
                              std::vector<Change>& changes) {
    const Ancestor above = nearest(tree, op.path);
    if (!above.node->permissions.may_write(who)) return fail(Errno::EACCES);
    Permissions permissions = above.node->permissions;
    if (!who.privileged) permissions.set_owner(who.id);
    const std::size_t owned = tree.owned_by(who.id) + above.missing;
    if (!environment.within(who, "nodes", owned, environment.quota.nodes)) return fail(Errno::ENOSPC);
    const std::size_t first = above.path == "/" ? 0 : above.path.size();
    for (auto end = op.path.find('/', first + 1); end != op.path.npos; end = op.path.find('/', end + 1))
        tree.put(op.path.substr(0, end), "", permissions);
    tree.put(op.path, op.value, permissions);
    changes.push_back({op.path, tree.find(op.path), false});
    return {};
}

[[nodiscard]] Result<> write(Tree& tree, const Caller& who, const Environment& environment, const Operation& op,
                             std::vector<Change>& changes) {
    if (!environment.within(who, "node-size", op.path.size() + op.value.size(), environment.quota.node_bytes))
        return fail(Errno::ENOSPC);
    const NodeRef node = tree.find(op.path);
    if (!node) return create(tree, who, environment, op, changes);
    if (!node->permissions.may_write(who)) return fail(Errno::EACCES);
    if (op.kind == Operation::Kind::make) return {};
    tree.put(op.path, op.value, node->permissions);
    changes.push_back({op.path, tree.find(op.path), false});
    return {};
}

[[nodiscard]] Result<> remove(Tree& tree, const Caller& who, const Operation& op, std::vector<Change>& changes) {
    if (op.path == "/") return fail(Errno::EINVAL);
    auto node = find_with(tree, who, op.path, &Permissions::may_write);
    if (!node) {
        // What is not there is as good as removed, when its parent is there.
        if (node.error() == Errno::ENOENT && tree.find(parent_of(op.path))) return {};
        return fail(node.error());
    }
    tree.remove(op.path);
    changes.push_back({op.path, *node, true});
    return {};
}

[[nodiscard]] Result<> set_permissions(Tree& tree, const Caller& who, const Environment& environment,
                                       const Operation& op, std::vector<Change>& changes) {
    TRY_ASSIGN(node, find_with(tree, who, op.path, &Permissions::may_write));
    const DomId owner = node->permissions.owner();
    const bool owns = who.privileged || owner == who.id || owner == who.target;
    if (!owns || (!who.privileged && op.permissions.owner() != owner)) return fail(Errno::EPERM);
    if (!environment.within(who, "permissions", op.permissions.size(), environment.quota.permissions))
        return fail(Errno::ENOSPC);
    tree.put(op.path, node->value, op.permissions);
    changes.push_back({op.path, tree.find(op.path), false});
    return {};
}

} // namespace

Result<NodeRef> read_node(const Tree& tree, const Caller& who, std::string_view path, Reads* reads,
                          Reads::Paths Reads::* what) {
    if (reads) reads->note(what, path);
    return find_with(tree, who, path, &Permissions::may_read);
}

Result<> apply(Tree& tree, const Caller& who, const Environment& environment, const Operation& op,
               std::vector<Change>& changes) {
    switch (op.kind) {
    case Operation::Kind::write:
    case Operation::Kind::make: return write(tree, who, environment, op, changes);
    case Operation::Kind::remove: return remove(tree, who, op, changes);
    case Operation::Kind::set_permissions: return set_permissions(tree, who, environment, op, changes);
    }
    return fail(Errno::EINVAL);
}

} // namespace streak::store
