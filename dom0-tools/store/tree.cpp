// SPDX-License-Identifier: GPL-2.0-only
#include "store/tree.hpp"

namespace streak::store {

namespace {

/// Changes are numbered through all trees, so that equal numbers mean equal contents.
std::uint64_t last_change = 0;
std::uint64_t next_change() { return ++last_change; }

/// Replaces the node at `rest` below `at`, or removes it (nullptr). What no other tree has is changed in place.
void change(NodeRef& at, std::string_view rest, const NodeRef& leaf) {
    if (rest.empty()) {
        at = leaf;
        return;
    }
    if (at.use_count() != 1) at = std::make_shared<Node>(*at);
    auto& node = const_cast<Node&>(*at); // all nodes are made as ones that can change
    const std::string name(take_part(rest));
    NodeRef* child = node.children.own(name);
    if (child && (leaf || !rest.empty())) return change(*child, rest, leaf);
    node.listing = next_change();
    if (leaf) node.children.set(name, leaf);
    else node.children.erase(name);
}

} // namespace

const NodeRef* find_below(const NodeRef& node, std::string_view rest) {
    const NodeRef* at = &node;
    while (at && !rest.empty()) at = (*at)->children.find(take_part(rest));
    return at;
}

Tree::Tree() : root_(std::make_shared<Node>(Node{"", Permissions(DomId(0)), {}, 0, 0})) {
    count(root_->permissions, 1);
}

std::uint64_t Tree::latest_change() { return last_change; }

NodeRef Tree::find(std::string_view path) const {
    const NodeRef* const found = find_below(root_, path == "/" ? "" : path);
    return found ? *found : nullptr;
}

void Tree::put(std::string_view path, std::string value, const Permissions& permissions) {
    const NodeRef before = find(path);
    auto node =
        before ? std::make_shared<Node>(*before) : std::make_shared<Node>(Node{"", permissions, {}, 0, next_change()});
    if (!before || before->permissions != permissions) {
        if (before) count(before->permissions, -1);
        count(permissions, 1);
    }
    node->value = std::move(value);
    node->permissions = permissions;
    node->content = next_change();
    change(root_, path == "/" ? "" : path, node);
}

void Tree::remove(std::string_view path) {
    const NodeRef node = find(path);
    if (!node || path == "/") return;
    uncount_all(*node);
    change(root_, path, nullptr);
}

Tree::Counts Tree::counts_of(DomId domain) const {
    const Counts* c = counts_.find(domain.raw());
    return c ? *c : Counts{};
}

void Tree::count(const Permissions& permissions, int change) {
    std::size_t Counts::* which = &Counts::owned;
    for (const Permissions::Entry& entry : permissions.entries()) {
        Counts now = counts_of(entry.domain);
        now.*which += static_cast<std::size_t>(change);
        if (now.owned == 0 && now.named == 0) counts_.erase(entry.domain.raw());
        else counts_.set(entry.domain.raw(), now);
        which = &Counts::named;
    }
    size_ += static_cast<std::size_t>(change);
}

void Tree::uncount_all(const Node& node) {
    count(node.permissions, -1);
    node.children.for_each([this](const std::string&, const NodeRef& child) { uncount_all(*child); });
}

} // namespace streak::store
