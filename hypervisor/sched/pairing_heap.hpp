// SPDX-License-Identifier: GPL-2.0-only
#pragma once

#include <utility>

namespace streak::sched {

/// Links of an element of a PairingHeap; unlinked when all are null and it is not the root.
struct HeapNode {
    HeapNode* child = nullptr;
    HeapNode* next = nullptr; ///< sibling
    HeapNode* back = nullptr; ///< previous sibling, or the parent for a first child
};

/// An intrusive priority queue without memory of its own: insertion and look at the minimum in constant
/// time, removal of any element in amortised logarithmic time. `Less` orders two nodes.
template <class Less> class PairingHeap {
public:
    [[nodiscard]] HeapNode* top() const { return root_; }
    [[nodiscard]] bool empty() const { return root_ == nullptr; }

    void insert(HeapNode& node) {
        node = {};
        root_ = root_ == nullptr ? &node : meld(root_, &node);
    }

    /// `node` is an element of this heap.
    void remove(HeapNode& node) {
        HeapNode* rest = merge_children(node);
        if (&node == root_) {
            root_ = rest;
        } else {
            detach(node);
            if (rest != nullptr) root_ = meld(root_, rest);
        }
        node = {};
    }

    HeapNode* pop() {
        HeapNode* first = root_;
        if (first != nullptr) remove(*first);
        return first;
    }

    /// Calls `f(node)` for each element, in no useful order, until it returns true; that element or null.
    template <class F> HeapNode* find(F&& f) const {
        HeapNode* node = root_;
        while (node != nullptr) {
            if (f(*node)) return node;
            node = successor(*node);
        }
        return nullptr;
    }

private:
    /// Both are roots; the smaller becomes the parent (the first one on a tie: first in, first out).
    static HeapNode* meld(HeapNode* a, HeapNode* b) {
        if (Less{}(*b, *a)) std::swap(a, b);
        b->back = a;
        b->next = a->child;
        if (a->child != nullptr) a->child->back = b;
        a->child = b;
        a->next = nullptr;
        a->back = nullptr;
        return a;
    }

    static void detach(HeapNode& node) {
        if (node.back->child == &node) node.back->child = node.next;
        else node.back->next = node.next;
        if (node.next != nullptr) node.next->back = node.back;
    }

    /// Makes one tree of the children: pairs from left to right, then all from right to left.
    static HeapNode* merge_children(HeapNode& node) {
        HeapNode* pairs = nullptr; // a stack through `next`
        HeapNode* child = node.child;
        while (child != nullptr) {
            HeapNode* second = child->next;
            HeapNode* following = second != nullptr ? second->next : nullptr;
            child->next = child->back = nullptr;
            if (second != nullptr) {
                second->next = second->back = nullptr;
                child = meld(child, second);
            }
            child->next = pairs;
            pairs = child;
            child = following;
        }
        HeapNode* merged = nullptr;
        while (pairs != nullptr) {
            HeapNode* rest = pairs->next;
            pairs->next = nullptr;
            merged = merged == nullptr ? pairs : meld(merged, pairs);
            pairs = rest;
        }
        node.child = nullptr;
        return merged;
    }

    static HeapNode* successor(HeapNode& from) {
        if (from.child != nullptr) return from.child;
        HeapNode* node = &from;
        while (node != nullptr) {
            if (node->next != nullptr) return node->next;
            while (node->back != nullptr && node->back->child != node) node = node->back;
            node = node->back;
        }
        return nullptr;
    }

    HeapNode* root_ = nullptr;
};

} // namespace streak::sched
