// SPDX-License-Identifier: GPL-2.0-only
#pragma once

#include "sched/pairing_heap.hpp"
#include "tests/invariants/invariants.hpp"

namespace streak::invariants {

/// Calls `visit` for each element of a pairing heap, whose links and order are checked. Returns how many there are.
template <class Less, class F>
u64 for_each_in(const sched::PairingHeap<Less>& heap, const char* which, CpuId cpu, F&& visit) {
    constexpr u64 most = 1'000'000;
    u64 count = 0;
    if (heap.root_ && (heap.root_->next || heap.root_->back))
        broken("{} of CPU {}: the root has neighbours", which, cpu);
    heap.find([&](const sched::HeapNode& node) {
        for (const sched::HeapNode *child = node.child, *before = &node; child; before = child, child = child->next) {
            if (child->back != before) broken("{} of CPU {}: a link leads back elsewhere", which, cpu);
            if (Less{}(*child, node)) broken("{} of CPU {}: out of order", which, cpu);
        }
        visit(node);
        if (++count > most) broken("{} of CPU {}: they have no end", which, cpu);
        return false;
    });
    return count;
}

} // namespace streak::invariants
