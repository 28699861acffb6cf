// SPDX-License-Identifier: GPL-2.0-only
#include "domain/descriptor_frames.hpp"

#include "mm/page_type.hpp"

namespace streak {

void release_gdt_frames(Vcpu& vcpu) {
    for (u32 i = 0; i < vcpu.pv.gdt_frame_count; ++i)
        mm::put_page_and_type(*std::exchange(vcpu.pv.gdt_frames[i], nullptr));
    vcpu.pv.gdt_frame_count = 0;
    vcpu.pv.gdt_entries = 0;
}

void release_ldt_frames(Vcpu& vcpu) {
    for (mm::PageInfo*& frame : vcpu.pv.ldt_frames)
        if (mm::PageInfo* page = std::exchange(frame, nullptr)) mm::put_page_and_type(*page);
    vcpu.pv.ldt_entries = 0;
}

} // namespace streak
