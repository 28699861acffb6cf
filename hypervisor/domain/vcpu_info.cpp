// SPDX-License-Identifier: GPL-2.0-only
#include "domain/vcpu_info.hpp"

#include <cstring>

#include "domain/notify.hpp"
#include "domain/time.hpp"
#include "mm/page_type.hpp"

namespace streak {

namespace {

bool has_shared_info(const Vcpu& vcpu) { return vcpu.id.raw() < XEN_LEGACY_MAX_VCPUS; }

} // namespace

Result<> register_vcpu_info(Vcpu& vcpu, Mfn mfn, u32 offset) {
    if (vcpu.info_page != nullptr || offset > page_size - sizeof(vcpu_info_t) || offset % 8 != 0)
        return fail(Errno::EINVAL);
    mm::PageInfo* page = mm::page_of(mfn);
    if (page == nullptr) return fail(Errno::EINVAL);
    TRY(mm::get_page_and_type(*page, vcpu.domain->id, mm::PageType::writable));

    auto* info = reinterpret_cast<vcpu_info_t*>(mm::page_memory<u8>(*page) + offset);
    if (has_shared_info(vcpu)) {
        std::memcpy(info, vcpu.info, sizeof *info);
    } else {
        std::memset(info, 0, sizeof *info);
        info->evtchn_upcall_mask = 1;
    }
    vcpu.info_page = page;
    __atomic_store_n(&vcpu.info, info, __ATOMIC_SEQ_CST);
    time::update_vcpu_time(vcpu);

    // An event that was noted in the old place while it was copied would be lost: let the guest look at all.
    std::atomic_ref(info->evtchn_pending_sel).fetch_or(~0ul);
    events::upcall(vcpu);
    return {};
}

void unregister_vcpu_info(Vcpu& vcpu) {
    mm::PageInfo* page = vcpu.info_page;
    if (page == nullptr) return;
    if (has_shared_info(vcpu))
        __atomic_store_n(&vcpu.info, &vcpu.domain->shared_info->vcpu_info[vcpu.id.raw()], __ATOMIC_SEQ_CST);
    vcpu.info_page = nullptr;
    mm::put_page_and_type(*page);
}

} // namespace streak
