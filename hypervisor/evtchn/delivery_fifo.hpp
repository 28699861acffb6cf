// SPDX-License-Identifier: GPL-2.0-only
#pragma once

#include <array>

#include "evtchn/delivery_2l.hpp"
#include "evtchn/port_table.hpp"

// FIFO delivery (Xen's "FIFO-based event channel ABI"). Each port has a word of flags and a link in pages that
// the guest gives; each vCPU has a control block with the heads of 16 queues. The hypervisor appends, the guest
// takes from the head. Everything shared may be scribbled on: the hypervisor keeps the tails and its own
// bookkeeping itself, uses links of the guest for nothing, and drops an event rather than wait for a guest.
//
// Frames are opaque here (their virtual addresses); the caller owns the references. The caller serialises
// link-changing calls (raise, unmask) of one domain with one lock.

namespace streak::evtchn {

class Fifo : NotCopyable {
public:
    static constexpr u32 words_per_page = page_size / sizeof(event_word_t);
    static constexpr u32 max_pages = EVTCHN_FIFO_NR_CHANNELS / words_per_page;
    static constexpr u32 queues = EVTCHN_FIFO_MAX_QUEUES;

    /// A vCPU's control block and the queues' tails.
    struct Control {
        evtchn_fifo_control_block_t* block = nullptr;
        void* page = nullptr;
        std::array<u32, queues> tail{}; ///< port last linked; 0: the queue is empty for sure
    };

    Fifo(MemorySource memory, u32 vcpus) : memory_(memory), vcpus_(vcpus) {}
    ~Fifo();
    /// ENOMEM. To be called once before anything else.
    [[nodiscard]] Result<> init();

    /// May `offset` hold a control block? EINVAL.
    [[nodiscard]] static Result<> check_offset(u32 offset);
    [[nodiscard]] bool has_control(VcpuId vcpu) const { return controls_[vcpu.raw()].block != nullptr; }
    /// Uses the block at `offset` of the page at `page` for a vCPU that has none.
    void set_control(VcpuId vcpu, void* page, u32 offset);

    /// Event words of another page, for the ports that follow those of the last; the array must not be full.
    /// Afterwards the caller raises those of its ports that are marked raised_early.
    [[nodiscard]] bool array_full(u32 port_limit) const { return page_count() * words_per_page >= port_limit; }
    void add_page(void* page);
    [[nodiscard]] u32 page_count() const { return page_count_.load(std::memory_order_acquire); }
    [[nodiscard]] void* array_page(u32 index) const { return pages_[index]; }
    [[nodiscard]] void* control_page(VcpuId vcpu) const { return controls_[vcpu.raw()].page; }
    [[nodiscard]] u32 vcpus() const { return vcpus_; }

    [[nodiscard]] Raised raise(Port& port, EvtchnPort number);
    [[nodiscard]] Raised unmask(Port& port, EvtchnPort number);
    void clear_pending(Port& port, EvtchnPort number);
    [[nodiscard]] bool is_pending(EvtchnPort number) const;
    [[nodiscard]] bool is_masked(EvtchnPort number) const;
    /// The port's number can't be used anew while a queue still links it.
    [[nodiscard]] bool is_busy(EvtchnPort number) const;

private:
    [[nodiscard]] event_word_t* word(EvtchnPort port) const {
        const u32 page = port.raw() / words_per_page;
        return page < page_count() ? &pages_[page][port.raw() % words_per_page] : nullptr;
    }
    [[nodiscard]] bool append(Port& port, EvtchnPort number);
    [[nodiscard]] bool set_link(event_word_t& tail, EvtchnPort next);

    MemorySource memory_;
    u32 vcpus_;
    Control* controls_ = nullptr;
    std::atomic<u32> page_count_{0};
    std::array<event_word_t*, max_pages> pages_{};
};

} // namespace streak::evtchn
