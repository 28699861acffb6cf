// SPDX-License-Identifier: GPL-2.0-only
#pragma once

#include "lib/panic.hpp"
#include "mm/page_type_ops.hpp"

// Debug builds check what must hold between hypercalls (docs/testing.md). Everything here runs on one CPU while all
// others stand on their way out of the hypervisor: no lock is held, no operation is half done. It is compiled without
// access control, so that it can read what classes keep to themselves, and changes nothing.

namespace streak::invariants {

/// From the command line's check-invariants=N on, all is checked after every N hypercalls. Without that: never.
void start();

/// What is found about a frame by looking at everything that can refer to it.
struct Expected {
    u32 general, typed;      ///< references
    i16 foreign, foreign_rw; ///< page-table entries of unprivileged domains for frames of others, less their grants
    u8 uses;                 ///< a bit for each PageType that a typed reference stands for
    bool listed, free;       ///< on its owner's list; on a list of the allocator
};

/// The records of all RAM frames, empty at first.
void clear_expected();
[[nodiscard]] Expected& expected(const mm::PageInfo& page);
/// A general and a type reference.
void hold(const mm::PageInfo& page, mm::PageType as);
void hold_at(const void* memory, mm::PageType as);

/// Ends the machine with what is wrong.
template <class... Args> [[noreturn]] void broken(const char* what, const Args&... args) {
    log_emergency("An invariant does not hold:");
    panic(what, args...);
}
/// The same about a frame, with its record.
[[noreturn]] void broken_frame(const mm::PageInfo& page, const char* what, u64 wanted, u64 found);

inline void require(bool holds, const mm::PageInfo& page, const char* what, u64 wanted, u64 found) {
    if (!holds) [[unlikely]]
        broken_frame(page, what, wanted, found);
}
inline void require_equal(const mm::PageInfo& page, const char* what, u64 wanted, u64 found) {
    require(wanted == found, page, what, wanted, found);
}
void require_free(const SpinLock& lock, const char* which, u64 owner);

// The parts, each in a file of its own.
void count_domains();  ///< what domains and vCPUs hold, and their lists of frames
void count_tables();   ///< page tables' entries
void compare_frames(); ///< after those: the frames' own counts
void check_events();   ///< ports, both ends
void check_grants();   ///< entries in use are those that somebody has mapped
void check_run_queues();
void check_timers();
void check_free_lists(); ///< marks free frames; before compare_frames()
void check_heap();

} // namespace streak::invariants
