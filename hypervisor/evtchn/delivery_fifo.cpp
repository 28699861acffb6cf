// SPDX-License-Identifier: GPL-2.0-only
#include "evtchn/delivery_fifo.hpp"

#include <new>

namespace streak::evtchn {

namespace {

using Word = std::atomic_ref<event_word_t>;

constexpr event_word_t pending = 1u << EVTCHN_FIFO_PENDING;
constexpr event_word_t masked = 1u << EVTCHN_FIFO_MASKED;
constexpr event_word_t linked = 1u << EVTCHN_FIFO_LINKED;
constexpr event_word_t busy = 1u << EVTCHN_FIFO_BUSY;
constexpr event_word_t link_mask = EVTCHN_FIFO_LINK_MASK;

static_assert(sizeof(event_word_t) == 4);

/// A guest that keeps changing a word makes the exchange fail; it gets no more attempts than this.
constexpr unsigned attempts = 4;

} // namespace

Fifo::~Fifo() {
    if (!controls_) return;
    memory_.release(controls_, vcpus_ * sizeof(Control));
}

Result<> Fifo::init() {
    controls_ = static_cast<Control*>(memory_.allocate(vcpus_ * sizeof(Control)));
    if (!controls_) return fail(Errno::ENOMEM);
    for (u32 i = 0; i < vcpus_; ++i) ::new (&controls_[i]) Control{};
    return {};
}

Result<> Fifo::check_offset(u32 offset) {
    if (offset % 8 != 0 || offset > page_size - sizeof(evtchn_fifo_control_block_t)) return fail(Errno::EINVAL);
    return {};
}

void Fifo::set_control(VcpuId vcpu, void* page, u32 offset) {
    Control& c = controls_[vcpu.raw()];
    c.page = page;
    c.block = reinterpret_cast<evtchn_fifo_control_block_t*>(static_cast<u8*>(page) + offset);
}

void Fifo::add_page(void* page) {
    const u32 count = page_count_.load(std::memory_order_relaxed);
    pages_[count] = static_cast<event_word_t*>(page);
    page_count_.store(count + 1, std::memory_order_release);
}

Raised Fifo::raise(Port& port, EvtchnPort number) {
    event_word_t* const at = word(number);
    if (!at) {
        port.raised_early = true;
        return {};
    }
    const event_word_t was = Word(*at).fetch_or(pending);
    Raised raised{.newly_pending = !(was & pending)};
    if (!(was & (masked | linked))) raised.upcall = append(port, number);
    return raised;
}

Raised Fifo::unmask(Port& port, EvtchnPort number) {
    event_word_t* const at = word(number);
    if (!at) return {};
    const event_word_t was = Word(*at).fetch_and(~masked);
    if (!(was & pending)) return {};
    return {.newly_pending = true, .upcall = !(was & linked) && append(port, number)};
}

/// Links a pending port at the end of its queue. True when the vCPU has to be told of the queue.
bool Fifo::append(Port& port, EvtchnPort number) {
    Control& control = controls_[port.vcpu];
    if (!control.block) return false;

    // The last port of another queue: that queue is empty now, its tail must not lead here.
    const bool moved = port.last_vcpu != port.vcpu || port.last_priority != port.priority;
    if (moved) {
        u32& old_tail = controls_[port.last_vcpu].tail[port.last_priority];
        if (old_tail == number.raw()) old_tail = 0;
        port.last_vcpu = port.vcpu;
        port.last_priority = port.priority;
    }
    if (Word(*word(number)).fetch_or(linked) & linked) return false;

    u32& tail = control.tail[port.priority];
    const u32 previous = tail;
    tail = number.raw();
    if (previous != 0 && previous != number.raw() && set_link(*word(EvtchnPort(previous)), number)) return false;

    std::atomic_ref(control.block->head[port.priority]).store(number.raw(), std::memory_order_release);
    const u32 bit = 1u << port.priority;
    return !(std::atomic_ref(control.block->ready).fetch_or(bit) & bit);
}

/// Makes the queue's present last word lead to `next`. False: the guest has taken that word already, so `next`
/// becomes the head; the same when the guest won't leave the word alone (its own loss).
bool Fifo::set_link(event_word_t& tail, EvtchnPort next) {
    Word at(tail);
    for (unsigned i = 0; i < 2 * attempts; ++i) {
        // After some failures a mark asks the guest to keep its hands off.
        event_word_t seen = i < attempts ? at.load() : at.fetch_or(busy) | busy;
        if (!(seen & linked)) {
            if (seen & busy) at.fetch_and(~busy);
            return false;
        }
        const event_word_t wanted = (seen & ~(busy | link_mask)) | next.raw();
        if (at.compare_exchange_strong(seen, wanted)) return true;
    }
    at.fetch_and(~busy);
    return false;
}

void Fifo::clear_pending(Port& port, EvtchnPort number) {
    port.raised_early = false;
    if (event_word_t* at = word(number)) Word(*at).fetch_and(~pending);
}

bool Fifo::is_pending(EvtchnPort number) const {
    event_word_t* at = word(number);
    return at && (Word(*at).load() & pending);
}

bool Fifo::is_masked(EvtchnPort number) const {
    event_word_t* at = word(number);
    return !at || (Word(*at).load() & masked);
}

bool Fifo::is_busy(EvtchnPort number) const {
    event_word_t* at = word(number);
    return at && (Word(*at).load() & linked);
}

} // namespace streak::evtchn
