// SPDX-License-Identifier: GPL-2.0-only
#include "hypercall/handlers.hpp"
#include "mm/descriptor_check.hpp"
#include "mm/page_type.hpp"

namespace streak::hypercall {

/// Writes one descriptor into a frame of the caller, be it in use as a descriptor page or ordinary memory
/// (xen/arch-x86/xen.h). EINVAL: not aligned, a forbidden descriptor, or a frame used otherwise.
Return update_descriptor(u64 maddr, u64 descriptor) {
    TRY(may(xsm::Hook::update_descriptor, caller()));
    if (maddr % sizeof(u64) != 0 || !mm::fix_descriptor(descriptor)) return fail(Errno::EINVAL);
    mm::PageInfo* page = mm::page_of(to_mfn(Maddr(maddr)));
    if (!page) return fail(Errno::EINVAL);
    const u64 word = page->type.load(std::memory_order_relaxed);
    const bool in_use = mm::type_bits::type(word) == mm::PageType::segment_descriptor;
    TRY(mm::get_page_and_type(*page, caller().id, in_use ? mm::PageType::segment_descriptor : mm::PageType::writable));
    u64* const slot = mm::page_memory<u64>(*page) + maddr % page_size / sizeof(u64);
    __atomic_store_n(slot, descriptor, __ATOMIC_RELAXED);
    mm::put_page_and_type(*page);
    return 0;
}

} // namespace streak::hypercall
