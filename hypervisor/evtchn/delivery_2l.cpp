// SPDX-License-Identifier: GPL-2.0-only
#include "evtchn/delivery_2l.hpp"

#include <atomic>

namespace streak::evtchn::two_level {

namespace {

constexpr unsigned word_bits = 64;
static_assert(sizeof(xen_ulong_t) * 8 == word_bits);

using Word = std::atomic_ref<xen_ulong_t>;

Word pending_word(shared_info_t& s, EvtchnPort port) { return Word(s.evtchn_pending[port.raw() / word_bits]); }
Word mask_word(shared_info_t& s, EvtchnPort port) { return Word(s.evtchn_mask[port.raw() / word_bits]); }
u64 bit(EvtchnPort port) { return 1ull << (port.raw() % word_bits); }

} // namespace

Raised unmask(shared_info_t& shared, vcpu_info_t* info, EvtchnPort port) {
    const bool was_masked = mask_word(shared, port).fetch_and(~bit(port)) & bit(port);
    if (!was_masked || !(pending_word(shared, port).load() & bit(port))) return {};
    return {.newly_pending = true, .upcall = select(info, port.raw())};
}

void clear_pending(shared_info_t& shared, EvtchnPort port) { pending_word(shared, port).fetch_and(~bit(port)); }

bool is_pending(shared_info_t& shared, EvtchnPort port) { return pending_word(shared, port).load() & bit(port); }

bool is_masked(shared_info_t& shared, EvtchnPort port) { return mask_word(shared, port).load() & bit(port); }

} // namespace streak::evtchn::two_level
