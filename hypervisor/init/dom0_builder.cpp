// SPDX-License-Identifier: GPL-2.0-only
#include "init/dom0_builder.hpp"

#include <cstring>

#include "arch/uart.hpp"
#include "domain/lifecycle.hpp"
#include "domain/locked_tables.hpp"
#include "init/dom0_memory.hpp"
#include "init/kernel_image.hpp"
#include "lib/panic.hpp"
#include "pv/hypercall_page.hpp"

namespace streak::init {

namespace {

void load_segments(const GuestFrames& frames, const loader::PvKernel& kernel, const loader::PvLayout& layout) {
    kernel.image.for_each_segment([&](const loader::Segment& s) {
        const u64 offset = kernel.address_of(s) - layout.virt_base;
        frames.write(Pfn(0), offset, s.data);
        frames.clear(Pfn(0), offset + s.data.size(), s.mem_size - s.data.size());
    });
}

u64 address_in(const loader::PvLayout& layout, u64 va) { return va - layout.virt_base; }

/// The screen as GRUB left it; dom0 uses it for its own console.
dom0_vga_console_info_t screen(const loader::BootInfo& boot) {
    dom0_vga_console_info_t info{};
    if (boot.framebuffer && boot.framebuffer->type == 1) {
        const loader::Framebuffer& fb = *boot.framebuffer;
        info.video_type = boot.efi_system_table ? XEN_VGATYPE_EFI_LFB : XEN_VGATYPE_VESA_LFB;
        auto& v = info.u.vesa_lfb;
        v.width = static_cast<u16>(fb.width);
        v.height = static_cast<u16>(fb.height);
        v.bytes_per_line = static_cast<u16>(fb.pitch);
        v.bits_per_pixel = fb.bits_per_pixel;
        v.lfb_base = static_cast<u32>(fb.address);
        v.ext_lfb_base = static_cast<u32>(fb.address >> 32);
        v.lfb_size = (fb.pitch * fb.height + 0xffff) >> 16;
        v.red_pos = fb.red.position, v.red_size = fb.red.bits;
        v.green_pos = fb.green.position, v.green_size = fb.green.bits;
        v.blue_pos = fb.blue.position, v.blue_size = fb.blue.bits;
    } else {
        info.video_type = XEN_VGATYPE_TEXT_MODE_3;
        info.u.text_mode_3 = {.font_height = 16, .cursor_x = 0, .cursor_y = 24, .rows = 25, .columns = 80};
    }
    return info;
}

/// start_info and, behind it, the record of the screen; both fit one page.
void write_start_info(const GuestFrames& frames, const loader::PvLayout& layout, const Dom0Request& request,
                      Maddr shared_info) {
    u8* page = frames.memory(layout.start_info.pfn);
    std::memset(page, 0, page_size);
    start_info_t si{};
    std::memcpy(si.magic, "xen-3.0-x86_64p", sizeof "xen-3.0-x86_64p");
    si.nr_pages = frames.count();
    si.shared_info = shared_info.raw();
    si.flags = SIF_PRIVILEGED | SIF_INITDOMAIN | (layout.initrd_by_pfn ? SIF_MOD_START_PFN : 0);
    si.pt_base = layout.page_tables.address;
    si.nr_pt_frames = layout.page_tables.pages;
    si.mfn_list = layout.p2m.address;
    si.first_p2m_pfn = layout.first_p2m_pfn.raw();
    si.nr_p2m_frames = layout.nr_p2m_frames;
    if (layout.initrd.present()) {
        si.mod_start = layout.mod_start;
        si.mod_len = request.initrd.size();
    }
    const std::size_t n = std::min<std::size_t>(request.kernel_command_line.size(), MAX_GUEST_CMDLINE - 1);
    std::memcpy(si.cmd_line, request.kernel_command_line.data(), n);
    if (request.kernel_command_line.size() > n) log_warning("dom0's command line is cut to {} characters", n);

    const dom0_vga_console_info_t info = screen(*request.boot_info);
    si.console.dom0.info_off = sizeof(start_info_t);
    si.console.dom0.info_size = sizeof info;
    std::memcpy(page, &si, sizeof si);
    std::memcpy(page + sizeof si, &info, sizeof info);
}

void write_p2m(const GuestFrames& frames, const loader::PvLayout& layout) {
    frames.clear(layout.p2m.pfn, 0, layout.p2m.pages * page_size);
    frames.write(layout.p2m.pfn, 0, std::as_bytes(frames.p2m()));
}

void fill_hypercall_page(const GuestFrames& frames, const loader::PvKernel& kernel, const loader::PvLayout& layout) {
    if (!kernel.notes.hypercall_page) return;
    const u64 offset = address_in(layout, *kernel.notes.hypercall_page);
    pv::write_hypercall_page(frames.memory(Pfn(offset >> page_shift)));
}

void set_entry_state(Vcpu& v, const loader::PvLayout& layout) {
    v.regs = {};
    v.regs.rip = layout.entry;
    v.regs.rsp = layout.stack_top;
    v.regs.rsi = layout.start_info.address;
    v.regs.rflags = arch::rflags::fixed | arch::rflags::if_;
    v.regs.cs = FLAT_KERNEL_CS;
    v.regs.ss = FLAT_KERNEL_SS;
    v.pv.kernel_ss = FLAT_KERNEL_SS;
    v.pv.kernel_sp = layout.stack_top;
    v.initialised = true;
}

/// Pins the L4, which checks and types all of the start tables, and makes it vCPU 0's.
void install_tables(Domain& d, const GuestFrames& frames, Pfn l4) {
    if (!mm::pin_l4(d, frames.mfn(l4))) panic("dom0's start page tables break the typing rules");
    Vcpu& v = *d.vcpus[0];
    LockedTables tables(d);
    ASSERT(tables->acquire(mm::page_of_unchecked(frames.mfn(l4)), 4, v.owed_table)); // pinned: at once
    v.cr3_kernel = to_maddr(frames.mfn(l4)).raw();
}

/// Everything but Streak's own devices: PICs, PIT, its serial port, and PCI configuration (which it follows).
void allow_ports(Domain& d) {
    d.io_ports = mm::make_owned<Domain::IoPorts>();
    if (!d.io_ports) panic("no memory for dom0's I/O ports");
    d.io_ports->fill(~0ull);
    const auto deny = [&](u32 first, u32 last) {
        for (u32 p = first; p <= last; ++p) (*d.io_ports)[p / 64] &= ~(1ull << (p % 64));
    };
    deny(0x20, 0x21);
    deny(0xa0, 0xa1);
    deny(0x40, 0x43);
    deny(0x61, 0x61);
    deny(0xcf8, 0xcff);
    if (uart::present()) deny(uart::io_base(), uart::io_base() + 7);
}

} // namespace

Domain& build_dom0(const Dom0Request& request) {
    KernelImage image(request.kernel);
    const auto kernel = loader::read_pv_kernel(image.elf(), loader::StartAs::dom0);
    if (!kernel) refuse_kernel(kernel.error());
    for (std::string_view feature : kernel->notes.unknown_required)
        if (!feature.empty()) log_warning("dom0's kernel requires '{}', which is not known here", feature);
    const auto layout = loader::plan_layout(*kernel, {loader::StartAs::dom0, request.pages, request.initrd.size()});
    if (!layout) refuse_kernel(layout.error());

    auto created =
        lifecycle::create({.id = dom0_id, .privileged = true, .max_vcpus = request.vcpus, .max_frames = request.pages});
    if (!created) panic("the control domain can't be created (error {})", static_cast<i32>(created.error()));
    Domain& d = **created;
    allow_ports(d);
    const GuestFrames frames(d, request.pages);
    load_segments(frames, *kernel, *layout);
    frames.write(layout->initrd.pfn, 0, request.initrd);
    write_p2m(frames, *layout);
    write_start_info(frames, *layout, request, arch::direct_map_maddr(d.shared_info));
    fill_hypercall_page(frames, *kernel, *layout);
    install_tables(d, frames, write_page_tables(frames, *layout));
    set_entry_state(*d.vcpus[0], *layout);
    d.pages.max = std::max(request.pages, request.max_pages);
    log_info("dom0: {} MiB, {} vCPUs, kernel {:#x}-{:#x}, entry {:#x}", request.pages >> 8, request.vcpus,
             layout->kernel.address, layout->kernel.end(), layout->entry);
    return d;
}

} // namespace streak::init
