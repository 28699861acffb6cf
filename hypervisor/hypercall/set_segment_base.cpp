// SPDX-License-Identifier: GPL-2.0-only
#include "arch/segment.hpp"
#include "hypercall/handlers.hpp"

namespace streak::hypercall {

namespace {

/// Loads the user's GS selector. Its base is the inactive one here, in kernel mode: the kernel's stays.
/// A selector that can't be loaded becomes null.
void set_user_gs(Vcpu& v, u16 selector) {
    if (selector > 3) selector |= 3;
    if (selector == 0 && arch::read_gs() == 0) {
        v.pv.gs_base_user = 0;
        return;
    }
    const u64 kernel_base = arch::read_guest_gs_base();
    arch::load_guest_gs(selector);
    v.pv.gs_base_user = arch::read_guest_gs_base();
    arch::write_guest_gs_base(kernel_base);
}

} // namespace

/// Sets a segment base, or the user's GS selector (xen/arch-x86/xen-x86_64.h). EINVAL: a non-canonical base,
/// or no such segment.
Return set_segment_base(u32 which, u64 base) {
    TRY(may(xsm::Hook::set_segment_base, caller()));
    Vcpu& v = current();
    if (which != SEGBASE_GS_USER_SEL && !arch::is_canonical(base)) return fail(Errno::EINVAL);
    switch (which) {
    case SEGBASE_FS: arch::write_fs_base(base); return 0;
    case SEGBASE_GS_USER: v.pv.gs_base_user = base; return 0;
    case SEGBASE_GS_KERNEL: arch::write_guest_gs_base(base); return 0;
    case SEGBASE_GS_USER_SEL: set_user_gs(v, static_cast<u16>(base)); return 0;
    default: return fail(Errno::EINVAL);
    }
}

} // namespace streak::hypercall
