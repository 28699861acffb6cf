// SPDX-License-Identifier: GPL-2.0-only
#pragma once

#include <cstddef>
#include <functional>
#include <memory>
#include <utility>

namespace streak::store {

/// An ordered map whose copies share what is equal: copying is O(1), a change makes O(log n) new entries and leaves
/// all other copies as they are; entries that no other copy has are changed in place. (A treap whose priorities are hashes of the keys, so that equal contents have equal
/// shapes.)
template <class Key, class Value, class Less = std::less<>> class PersistentMap {
public:
    /// The value, or nullptr.
    template <class K> [[nodiscard]] const Value* find(const K& key) const {
        for (const Entry* e = root_.get(); e;) {
            if (Less{}(key, e->key)) e = e->left.get();
            else if (Less{}(e->key, key)) e = e->right.get();
            else return &e->value;
        }
        return nullptr;
    }
    /// The value, to be changed in this copy alone, or nullptr.
    template <class K> [[nodiscard]] Value* own(const K& key) {
        for (Link* at = &root_; *at;) {
            if (at->use_count() != 1) *at = std::make_shared<Entry>(**at);
            Entry& e = **at;
            if (Less{}(key, e.key)) at = &e.left;
            else if (Less{}(e.key, key)) at = &e.right;
            else return &e.value;
        }
        return nullptr;
    }
    void set(const Key& key, Value value) {
        if (Value* present = own(key)) *present = std::move(value);
        else root_ = with(root_, key, std::move(value));
    }
    template <class K> void erase(const K& key) { root_ = without(root_, key); }

    [[nodiscard]] bool empty() const { return !root_; }
    [[nodiscard]] std::size_t size() const { return root_ ? root_->size : 0; }
    /// `visit(key, value)` in order of the keys.
    template <class Visit> void for_each(Visit&& visit) const { walk(root_.get(), visit); }

private:
    struct Entry;
    using Link = std::shared_ptr<Entry>;
    struct Entry {
        Key key;
        Value value;
        std::size_t priority;
        Link left, right;
        std::size_t size;
    };

    static Link make(const Key& key, Value value, std::size_t priority, Link left, Link right) {
        const std::size_t size = 1 + (left ? left->size : 0) + (right ? right->size : 0);
        return std::make_shared<Entry>(Entry{key, std::move(value), priority, std::move(left), std::move(right), size});
    }
    static Link with_children(const Entry& e, Link left, Link right) {
        return make(e.key, e.value, e.priority, std::move(left), std::move(right));
    }

    /// With an entry that was not there before.
    static Link with(const Link& at, const Key& key, Value value) {
        if (!at) return make(key, std::move(value), std::hash<Key>{}(key) * 0x9e3779b97f4a7c15ull, {}, {});
        if (Less{}(key, at->key)) {
            Link left = with(at->left, key, std::move(value));
            if (left->priority <= at->priority) return with_children(*at, std::move(left), at->right);
            return with_children(*left, left->left, with_children(*at, left->right, at->right));
        }
        Link right = with(at->right, key, std::move(value));
        if (right->priority <= at->priority) return with_children(*at, at->left, std::move(right));
        return with_children(*right, with_children(*at, at->left, right->left), right->right);
    }

    static Link merge(const Link& left, const Link& right) {
        if (!left) return right;
        if (!right) return left;
        if (left->priority > right->priority) return with_children(*left, left->left, merge(left->right, right));
        return with_children(*right, merge(left, right->left), right->right);
    }
    template <class K> static Link without(const Link& at, const K& key) {
        if (!at) return at;
        if (Less{}(key, at->key)) {
            Link left = without(at->left, key);
            return left == at->left ? at : with_children(*at, std::move(left), at->right);
        }
        if (Less{}(at->key, key)) {
            Link right = without(at->right, key);
            return right == at->right ? at : with_children(*at, at->left, std::move(right));
        }
        return merge(at->left, at->right);
    }

    template <class Visit> static void walk(const Entry* e, Visit& visit) {
        for (; e; e = e->right.get()) {
            walk(e->left.get(), visit);
            visit(e->key, e->value);
        }
    }

    Link root_;
};

} // namespace streak::store
