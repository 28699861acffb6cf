// SPDX-License-Identifier: GPL-2.0-only
#pragma once

#include "arch/guest_words.hpp"
#include "arch/segment.hpp"
#include "domain/domain.hpp"
#include "pv/guest_mode.hpp"

// The frame of a guest entry (pv/trap_bounce.hpp says what it looks like), inline for the entries that count.

namespace streak::pv {

/// What lies between rcx/r11 and rip.
enum class FrameExtra { none, error_code, selectors };

[[nodiscard]] constexpr unsigned frame_words(FrameExtra extra) {
    return 7 + (extra == FrameExtra::error_code ? 1 : extra == FrameExtra::selectors ? 4 : 0);
}

/// Ends the domain of a guest whose stack can't take the frame.
[[gnu::cold, gnu::noinline]] void cannot_push_frame(Vcpu& v);

namespace detail {

/// Flags that are off when a guest entry begins. IF stays on: it is the processor's, not the guest's.
inline constexpr u64 cleared_at_entry =
    arch::rflags::tf | arch::rflags::nt | arch::rflags::rf | arch::rflags::vm | arch::rflags::ac | arch::rflags::iopl;

/// rflags as the guest sees its own: IF is the upcall mask, IOPL virtual.
[[nodiscard, gnu::always_inline]] inline u64 shown_flags(const Vcpu& v, u64 mask) {
    constexpr u64 virtual_bits = arch::rflags::if_ | arch::rflags::iopl;
    u64 shown = v.regs.rflags & ~virtual_bits;
    if (mask == 0) shown |= arch::rflags::if_;
    if (v.domain->vm_assist & (1u << VMASST_TYPE_architectural_iopl)) [[unlikely]]
        shown |= static_cast<u64>(v.pv.iopl) << 12;
    return shown;
}

template <FrameExtra extra>
[[nodiscard, gnu::always_inline]] inline bool write_frame(const Vcpu& v, u64 sp, u64 cs, u32 error_code) {
    using arch::put_guest_word;
    constexpr unsigned words = frame_words(extra), tail = words - 5;
    const arch::Registers& r = v.regs;
    const u64 mask = v.info->evtchn_upcall_mask;
    if (unlikely(!arch::guest_range_ok(sp, words * sizeof(u64)))) return false;
    arch::open_guest_words();
    bool ok = put_guest_word<0>(sp, r.rcx) && put_guest_word<1>(sp, r.r11);
    if constexpr (extra == FrameExtra::error_code) ok = ok && put_guest_word<2>(sp, error_code);
    if constexpr (extra == FrameExtra::selectors)
        ok = ok && put_guest_word<2>(sp, arch::read_ds()) && put_guest_word<3>(sp, arch::read_es()) &&
             put_guest_word<4>(sp, arch::read_fs()) && put_guest_word<5>(sp, arch::read_gs());
    ok = ok && put_guest_word<tail>(sp, r.rip) && put_guest_word<tail + 1>(sp, cs | mask << 32) &&
         put_guest_word<tail + 2>(sp, shown_flags(v, mask)) && put_guest_word<tail + 3>(sp, r.rsp) &&
         put_guest_word<tail + 4>(sp, r.ss);
    arch::close_guest_words();
    return ok;
}

} // namespace detail

/// Enters the guest kernel at `address` (0: there is no entry, the domain ends). The address is canonical: all
/// entries are checked when they are registered.
template <FrameExtra extra>
[[gnu::always_inline]] inline void push_frame(Vcpu& v, u64 address, bool masks_events, u32 error_code = 0) {
    arch::Registers& r = v.regs;
    u64 top = r.rsp;
    u64 cs = r.cs & ~3ull;
    if (!v.in_kernel) {
        enter_kernel_mode(v);
        top = v.pv.kernel_sp;
        cs |= 3;
    }
    const u64 sp = (top & ~15ull) - frame_words(extra) * sizeof(u64);
    if (unlikely(address == 0 || !detail::write_frame<extra>(v, sp, cs, error_code))) return cannot_push_frame(v);

    if (masks_events) v.info->evtchn_upcall_mask = 1;
    r.vector = arch::vector_bounced; // the handler takes rcx and r11 from the frame
    r.rip = address;
    r.cs = FLAT_KERNEL_CS;
    r.rflags &= ~detail::cleared_at_entry;
    r.rsp = sp;
    r.ss = FLAT_KERNEL_SS;
}

} // namespace streak::pv
