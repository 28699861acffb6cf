// SPDX-License-Identifier: GPL-2.0-only
#pragma once

#include <algorithm>
#include <array>
#include <span>
#include <utility>

#include "lib/abi.hpp"
#include "sched/vcpu_state.hpp"

// Trace buffers (xen/trace.h), which XEN_SYSCTL_tbuf_op sets up (hypercall/trace_op.cpp).

namespace streak {
struct Vcpu;
}

namespace streak::trace {

/// The ring of one CPU, written by that CPU alone, read by a tool that maps it for writing. What the tool makes of the
/// page is its own loss: only `cons` is read, once for each record, and one that can't be stands for a full ring.
struct Ring {
    t_buf* shared = nullptr;
    u32 size = 0;        ///< bytes of records behind it
    u32 produced = 0;    ///< what `prod` is to be, modulo twice the size
    bool silent = false; ///< nothing of this CPU is asked for
    u32 lost = 0;
    u64 lost_since = 0; ///< TSC

    /// A record with time stamp; without room it is lost, and a later one tells so. True when this one makes the ring
    /// half full.
    bool put(u32 event, u64 tsc, std::span<const u32> words) {
        const u32 before = unread(), bytes = bytes_of(words.size()) + (lost != 0 ? bytes_of(4) : 0);
        if (size - before < bytes + bytes_of(TRACE_EXTRA_MAX)) { // and what may be left over at the memory's end
            if (lost++ == 0) lost_since = tsc;
            return false;
        }
        const u32 loss[] = {lost, 0, static_cast<u32>(lost_since), static_cast<u32>(lost_since >> 32)};
        if (std::exchange(lost, 0) != 0) append(TRC_LOST_RECORDS, tsc, loss);
        append(event, tsc, words);
        __atomic_store_n(&shared->prod, produced, __ATOMIC_RELEASE);
        return before < size / 2 && before + bytes >= size / 2;
    }

private:
    [[nodiscard]] static u32 bytes_of(u64 words) { return static_cast<u32>(3 + words) * 4; } // header, time stamp

    [[nodiscard]] u32 unread() const {
        const u32 consumed = __atomic_load_n(&shared->cons, __ATOMIC_ACQUIRE);
        return consumed < 2 * size ? std::min((produced + 2 * size - consumed) % (2 * size), size) : size;
    }

    /// The next words of the ring, which are in one piece.
    [[nodiscard]] u32* take(u32 bytes) {
        u32* words = reinterpret_cast<u32*>(shared + 1) + produced % size / 4;
        produced = (produced + bytes) % (2 * size);
        return words;
    }

    void append(u32 event, u64 tsc, std::span<const u32> words) {
        const u32 count = static_cast<u32>(words.size());
        // Records don't go round the end: some without meaning take up what is left there.
        for (u32 left; left = size - produced % size, left < bytes_of(count);) {
            const u32 filler = std::min(left / 4 - 1, u32{TRACE_EXTRA_MAX});
            *take(4 + filler * 4) = TRC_TRACE_WRAP_BUFFER | filler << TRACE_EXTRA_SHIFT;
        }
        u32* to = take(bytes_of(count));
        *to++ = event | count << TRACE_EXTRA_SHIFT | u32{TRC_HD_CYCLE_FLAG};
        *to++ = static_cast<u32>(tsc);
        *to++ = static_cast<u32>(tsc >> 32);
        std::ranges::copy(words, to);
    }
};

extern std::array<Ring, max_cpus> rings; ///< with memory while `on`
extern u32 events;                       ///< a mask: which are asked for

/// Not an atomic object: the compiler compares it where it is, so that asking takes two instructions.
extern bool on;
/// All that places with something to record do as a rule.
[[nodiscard]] inline bool enabled() { return unlikely(on); }

/// A record with time stamp in this CPU's ring, when event and CPU are among those asked for. At most 7 words.
void record(u32 event, std::span<const u32> words);

/// TRC_SCHED_*. No burden on the callers' registers.
[[gnu::cold, gnu::no_caller_saved_registers]] void switches(const Vcpu& from, const Vcpu& to);
[[gnu::cold, gnu::no_caller_saved_registers]] void changes(const Vcpu& vcpu, sched::RunState from, sched::RunState to);

} // namespace streak::trace
