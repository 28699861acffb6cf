// SPDX-License-Identifier: GPL-2.0-only
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "store/path.hpp"
#include "store/permissions.hpp"
#include "store/persistent_map.hpp"

namespace streak::store {

struct Node;
using NodeRef = std::shared_ptr<const Node>;

/// A node that two trees have never changes: a change makes a new one, and new ones up to the root.
struct Node {
    std::string value;
    Permissions permissions;
    PersistentMap<std::string, NodeRef> children;
    std::uint64_t content = 0; ///< number of the change that set value or permissions
    std::uint64_t listing = 0; ///< number of the change that last added or removed a child
};

/// The node at `rest`, such as `/a/b`, below one, or nullptr; at nothing it is itself.
[[nodiscard]] const NodeRef* find_below(const NodeRef& node, std::string_view rest);

/// All nodes. A copy is a snapshot and costs nothing. No permissions are looked at and nothing is refused here:
/// operation.hpp does that.
class Tree {
public:
    Tree();

    /// The node, or nullptr.
    [[nodiscard]] NodeRef find(std::string_view path) const;
    /// Sets value and permissions of a node that exists, or that has a parent.
    void put(std::string_view path, std::string value, const Permissions& permissions);
    /// Removes a node and all below it; not the root.
    void remove(std::string_view path);

    /// Nodes that a domain owns.
    [[nodiscard]] std::size_t owned_by(DomId domain) const { return counts_of(domain).owned; }
    /// Nodes of others on which a domain has rights of its own.
    [[nodiscard]] std::size_t naming(DomId domain) const { return counts_of(domain).named; }
    /// `visit(domain)` for those that own nodes or have rights of their own.
    template <class Visit> void for_each_domain(Visit&& visit) const {
        counts_.for_each([&](std::uint16_t id, const Counts&) { visit(DomId(id)); });
    }
    /// The number of the latest change in all trees (Node::content).
    [[nodiscard]] static std::uint64_t latest_change();
    [[nodiscard]] std::size_t size() const { return size_; }
    [[nodiscard]] bool operator==(const Tree& other) const { return root_ == other.root_; }

    /// `visit(path, node)`, parents before their children.
    template <class Visit> void for_each(Visit&& visit) const { walk("/", *root_, visit); }

private:
    struct Counts {
        std::size_t owned = 0, named = 0;
    };
    [[nodiscard]] Counts counts_of(DomId domain) const;
    void count(const Permissions& permissions, int change);
    void uncount_all(const Node& node);
    template <class Visit> static void walk(const std::string& path, const Node& node, Visit& visit) {
        visit(path, node);
        node.children.for_each([&](const std::string& name, const NodeRef& child) {
            walk(path == "/" ? "/" + name : path + "/" + name, *child, visit);
        });
    }

    NodeRef root_;
    PersistentMap<std::uint16_t, Counts> counts_;
    std::size_t size_ = 0;
};

} // namespace streak::store
