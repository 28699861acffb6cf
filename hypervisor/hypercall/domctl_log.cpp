// SPDX-License-Identifier: GPL-2.0-only

#include "arch/tlb.hpp"
#include "domain/log_dirty.hpp"
#include "hypercall/domctl.hpp"
#include "mm/dirty_log.hpp"

// DOMCTL_shadow_op: the dirty pages of a domain.

namespace streak::hypercall {

namespace {

using mm::DirtyLog;

/// Bits of `pages` pages from `first` on, a multiple of 64 as far as they are not the last, to the caller. EFAULT: they
/// stay as they were.
[[nodiscard]] Result<> tell(DirtyLog& log, u64 first, u64 pages, bool clear, GuestHandle<u8> to) {
    std::array<u64, 64> words;
    const u64 count = DirtyLog::words_for(pages), word = first / DirtyLog::bits;
    for (u64 i = 0; i < count; ++i) words[i] = log.read(word + i, clear);
    const u64 beyond = pages % DirtyLog::bits ? words[count - 1] & ~0ull << pages % DirtyLog::bits : 0;
    words[count - 1] &= ~beyond;
    if (clear && beyond) log.put_back(word + count - 1, beyond);
    if (to.is_null() || arch::copy_to_guest_slow(to.offset(first / 8).address(), words.data(), (pages + 7) / 8))
        return {};
    for (u64 i = 0; clear && i < count; ++i) log.put_back(word + i, words[i]);
    return fail(Errno::EFAULT);
}

/// OP_PEEK, OP_CLEAN. `pages` becomes how many the log knows; a null handle only clears. EINVAL: nothing is logged.
[[nodiscard]] Result<> report(Domain& d, xen_domctl_shadow_op& r) {
    if (!d.pages.log || (r.mode & ~XEN_DOMCTL_SHADOW_LOGDIRTY_FINAL)) return fail(Errno::EINVAL);
    DirtyLog& log = *d.pages.log;
    const bool clear = r.op == XEN_DOMCTL_SHADOW_OP_CLEAN;
    log_dirty::note_writers(d);
    r.stats = {.fault_count = log.fault_count, .dirty_count = log.dirty_count};
    r.pages = std::min<u64>(r.pages, log.pfns());
    constexpr u64 step = 64 * DirtyLog::bits;
    Result<> told;
    for (u64 pfn = 0; told && pfn < r.pages; pfn += step) {
        told = tell(log, pfn, std::min(step, r.pages - pfn), clear, GUEST_HANDLE(r.dirty_bitmap));
        (void)preempt_pending(); // only lets interrupts in
    }
    // Whoever could write a page that is told now has to ask again.
    if (clear) tlb::flush(d.dirty_cpus, tlb::Flush::guest);
    if (clear && told) log.begin_round(r.stats.fault_count, r.stats.dirty_count);
    return told;
}

} // namespace

/// EINVAL: the caller itself, or a mode that isn't log-dirty; EOPNOTSUPP: shadows for another purpose.
Result<> domctl_shadow(Domain& d, xen_domctl_t& op) {
    xen_domctl_shadow_op& r = op.u.shadow_op;
    if (&d == &caller()) return fail(Errno::EINVAL);
    switch (r.op) {
    case XEN_DOMCTL_SHADOW_OP_OFF: log_dirty::stop(d); return {};
    case XEN_DOMCTL_SHADOW_OP_ENABLE:
        if (r.mode != XEN_DOMCTL_SHADOW_ENABLE_LOG_DIRTY) return fail(Errno::EINVAL);
        return log_dirty::start(d);
    case XEN_DOMCTL_SHADOW_OP_ENABLE_LOGDIRTY: return log_dirty::start(d);
    case XEN_DOMCTL_SHADOW_OP_CLEAN:
    case XEN_DOMCTL_SHADOW_OP_PEEK: return report(d, r);
    default: return fail(Errno::EOPNOTSUPP);
    }
}

} // namespace streak::hypercall
