// SPDX-License-Identifier: GPL-2.0-only
#include "builder/start_state.hpp"

#include <cstring>

namespace streak::builder {

start_info_t make_start_info(const Request& request, const loader::PvLayout& layout,
                             std::span<const std::uint64_t> frames, Mfn shared_info) {
    start_info_t info{};
    std::memcpy(info.magic, "xen-3.0-x86_64", sizeof "xen-3.0-x86_64");
    info.nr_pages = frames.size();
    info.shared_info = to_maddr(shared_info).raw();
    info.flags = layout.initrd_by_pfn ? SIF_MOD_START_PFN : 0;
    info.store_mfn = frames[layout.store.pfn.raw()];
    info.store_evtchn = request.store_port.raw();
    info.console.domU.mfn = frames[layout.console.pfn.raw()];
    info.console.domU.evtchn = request.console_port.raw();
    info.pt_base = layout.page_tables.address;
    info.nr_pt_frames = layout.page_tables.pages;
    info.mfn_list = layout.p2m.address;
    info.first_p2m_pfn = layout.first_p2m_pfn.raw();
    info.nr_p2m_frames = layout.nr_p2m_frames;
    if (layout.initrd.present()) {
        info.mod_start = layout.mod_start;
        info.mod_len = request.initrd.size();
    }
    std::memcpy(info.cmd_line, request.command_line.data(), request.command_line.size());
    return info;
}

vcpu_guest_context_t make_context(const loader::PvLayout& layout, Mfn root) {
    constexpr std::uint64_t interrupts_on = 0x200, dr6_reset = 0xFFFF0FF0, dr7_reset = 0x400;
    vcpu_guest_context_t context{};
    context.flags = VGCF_in_kernel | VGCF_online;
    context.user_regs.rip = layout.entry;
    context.user_regs.rsp = layout.stack_top;
    context.user_regs.rsi = layout.start_info.address;
    context.user_regs.rflags = interrupts_on;
    context.user_regs.cs = FLAT_KERNEL_CS;
    context.user_regs.ss = FLAT_KERNEL_SS;
    context.kernel_ss = FLAT_KERNEL_SS;
    context.kernel_sp = layout.stack_top;
    context.ctrlreg[3] = to_maddr(root).raw();
    context.debugreg[6] = dr6_reset;
    context.debugreg[7] = dr7_reset;
    return context;
}

grant_entry_v1_t grant_to_dom0(Mfn frame) {
    return {.flags = GTF_permit_access, .domid = dom0_id.raw(), .frame = static_cast<std::uint32_t>(frame.raw())};
}

} // namespace streak::builder
