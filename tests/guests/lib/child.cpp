// SPDX-License-Identifier: GPL-2.0-only
#include "tests/guests/lib/child.hpp"

#include <elf.h>
#include <utility>

#include "tests/guests/lib/control.hpp"
#include "tests/guests/lib/events.hpp"

namespace guest {

namespace {

constexpr u64 base_pfn(u64 address) { return (address - virtual_base) >> 12; }
constexpr u64 address_of(u64 pfn) { return virtual_base + (pfn << 12); }
constexpr unsigned tables = 5; ///< L4, L3, L2, two L1

} // namespace

u64 free_frames() {
    xen_sysctl_t op = {};
    require_eq(sysctl(XEN_SYSCTL_physinfo, op), 0, "SYSCTL_physinfo");
    return op.u.physinfo.free_pages;
}

long map_foreign(u64 address, domid_t domain, u64 mfn) {
    mmu_update_t op = {machine_address(entry_of(address)), pte(mfn, pte_rw)};
    return mmu_update_op(&op, 1, nullptr, domain);
}

/// Calls `f` with one page of the domain, mapped for that time.
template <class F> void Child::change(u64 pfn, F&& f) {
    require_eq(map_foreign(window_, id_, mfns_[pfn]), 0, "a frame of the new domain is mapped");
    f(reinterpret_cast<Page*>(window_));
    require_eq(update_va_mapping(window_, 0), 0, "and unmapped");
}

void Child::make_domain() {
    xen_domctl_t op = {};
    op.u.createdomain.max_vcpus = max_vcpus;
    op.u.createdomain.max_evtchn_port = 511;
    op.u.createdomain.max_grant_frames = 8;
    op.u.createdomain.max_maptrack_frames = 4;
    op.u.createdomain.grant_opts = XEN_DOMCTL_GRANT_version(2);
    require_eq(domctl(XEN_DOMCTL_createdomain, 0, op), 0, "DOMCTL_createdomain");
    id_ = op.domain;
    op.u.max_vcpus.max = max_vcpus;
    require_eq(domctl(XEN_DOMCTL_max_vcpus, id_, op), 0, "DOMCTL_max_vcpus");
    op.u.max_mem.max_memkb = frames * 4;
    require_eq(domctl(XEN_DOMCTL_max_mem, id_, op), 0, "DOMCTL_max_mem");
    xen_memory_reservation_t r = {};
    for (unsigned i = 0; i < frames; ++i) mfns_[i] = i;
    set_xen_guest_handle(r.extent_start, mfns_);
    r.nr_extents = frames;
    r.domid = id_;
    require_eq(memory_op(XENMEM_populate_physmap, &r), frames, "its memory");
}

void Child::load(const void* image) {
    const auto* bytes = static_cast<const u8*>(image);
    const auto& header = *reinterpret_cast<const Elf64_Ehdr*>(bytes);
    require_eq(memcmp(header.e_ident, ELFMAG, SELFMAG), 0, "the module is an ELF file");
    entry_ = header.e_entry;
    const auto* segments = reinterpret_cast<const Elf64_Phdr*>(bytes + header.e_phoff);
    for (unsigned s = 0; s < header.e_phnum; ++s) {
        const Elf64_Phdr& p = segments[s];
        if (p.p_type != PT_LOAD) continue;
        if (hypercall_page_ == 0) hypercall_page_ = p.p_vaddr; // lib/start.S, kernel.ld: the first page
        for (u64 at = 0; at < p.p_filesz; at += page_size)
            change(base_pfn(p.p_vaddr + at), [&](Page* page) {
                memcpy(page, bytes + p.p_offset + at, p.p_filesz - at < page_size ? p.p_filesz - at : page_size);
            });
        next_pfn_ = base_pfn(p.p_vaddr + p.p_memsz + page_size - 1);
    }
    p2m_pfn_ = next_pfn_;
    start_info_pfn_ = p2m_pfn_ + frames * sizeof(u64) / page_size;
    l4_pfn_ = start_info_pfn_ + 2;
    require_eq(l4_pfn_ + tables < frames, true, "the kernel fits");
}

void Child::write_tables() {
    for (u64 i = 0; i < frames * sizeof(u64) / page_size; ++i)
        change(p2m_pfn_ + i, [&](Page* page) { memcpy(page, mfns_ + i * 512, page_size); });
    for (u64 half = 0; half < 2; ++half)
        change(l4_pfn_ + 3 + half, [&](Page* page) {
            for (u64 i = 0; i < 512; ++i) {
                const u64 pfn = half * 512 + i;
                page->word[i] = pte(mfns_[pfn], pfn >= l4_pfn_ && pfn < l4_pfn_ + tables ? pte_ro : pte_rw);
            }
        });
    change(l4_pfn_ + 2, [&](Page* page) {
        page->word[0] = pte(mfns_[l4_pfn_ + 3], pte_rw);
        page->word[1] = pte(mfns_[l4_pfn_ + 4], pte_rw);
    });
    change(l4_pfn_ + 1, [&](Page* page) { page->word[510] = pte(mfns_[l4_pfn_ + 2], pte_rw); });
    change(l4_pfn_, [&](Page* page) { page->word[511] = pte(mfns_[l4_pfn_ + 1], pte_rw); });
    mmuext_op_t pin = {};
    pin.cmd = MMUEXT_PIN_L4_TABLE;
    pin.arg1.mfn = mfns_[l4_pfn_];
    require_eq(mmuext_ops(&pin, 1, nullptr, id_), 0, "its tables are pinned");
}

void Child::write_start_info() {
    xen_domctl_t op = {};
    require_eq(domctl(XEN_DOMCTL_getdomaininfo, id_, op), 0, "DOMCTL_getdomaininfo");
    change(start_info_pfn_, [&](Page* page) {
        auto& info = *reinterpret_cast<start_info_t*>(page);
        memcpy(info.magic, "xen-3.0-x86_64", 15);
        info.nr_pages = frames;
        info.shared_info = op.u.getdomaininfo.shared_info_frame << 12;
        info.pt_base = address_of(l4_pfn_);
        info.nr_pt_frames = tables;
        info.mfn_list = address_of(p2m_pfn_);
        info.first_p2m_pfn = p2m_pfn_;
    });
    op.u.hypercall_init.gmfn = mfns_[base_pfn(hypercall_page_)];
    require_eq(domctl(XEN_DOMCTL_hypercall_init, id_, op), 0, "DOMCTL_hypercall_init");
}

void Child::set_first_vcpu() {
    static vcpu_guest_context_t c;
    memset(&c, 0, sizeof c);
    c.flags = VGCF_in_kernel | VGCF_online;
    c.user_regs.rip = entry_;
    c.user_regs.rsi = address_of(start_info_pfn_);
    c.user_regs.rsp = c.kernel_sp =
        address_of(start_info_pfn_ + 2); // the mailbox's unused end, for the first few words
    c.user_regs.cs = FLAT_KERNEL_CS;
    c.user_regs.ss = c.kernel_ss = FLAT_KERNEL_SS;
    c.user_regs.rflags = 0x200;
    c.ctrlreg[3] = mfns_[l4_pfn_] << 12;
    xen_domctl_t op = {};
    set_xen_guest_handle(op.u.vcpucontext.ctxt, &c);
    require_eq(domctl(XEN_DOMCTL_setvcpucontext, id_, op), 0, "DOMCTL_setvcpucontext");
}

void Child::create(const void* image, const char* name, u64 window) {
    name_ = name;
    window_ = window;
    line_length_ = 0;
    make_domain();
    load(image);
    write_tables();
    write_start_info();
    require_eq(map_foreign(window_ + page_size, id_, mfns_[start_info_pfn_ + 1]), 0, "its mailbox");
    mailbox().self = id_;
    set_first_vcpu();
}

void Child::start() { require_eq(domctl(XEN_DOMCTL_unpausedomain, id_), 0, "DOMCTL_unpausedomain"); }

bool Child::relay() {
    constexpr std::string_view bad[] = {"FAIL", "VERDICT: ERROR"};
    Mailbox& box = mailbox();
    bool failed = false;
    for (u32 end = __atomic_load_n(&box.written, __ATOMIC_ACQUIRE); box.read != end;) {
        const char c = box.text[box.read % sizeof box.text];
        __atomic_store_n(&box.read, box.read + 1, __ATOMIC_RELEASE);
        if (c != '\n') {
            if (line_length_ < sizeof line_) line_[line_length_++] = c;
            continue;
        }
        std::string_view text(line_, std::exchange(line_length_, 0));
        for (const std::string_view word : bad) failed |= text.starts_with(word);
        if (text.starts_with("VERDICT: ")) text.remove_prefix(9); // not this kernel's
        Line() << "[" << name_ << "] " << text;
    }
    return failed;
}

int Child::shutdown_reason() const {
    xen_domctl_t op = {};
    if (domctl(XEN_DOMCTL_getdomaininfo, id_, op) != 0 || op.domain != id_) return -1;
    const u32 flags = op.u.getdomaininfo.flags;
    if (!(flags & XEN_DOMINF_shutdown)) return -1;
    return static_cast<int>((flags >> XEN_DOMINF_shutdownshift) & XEN_DOMINF_shutdownmask);
}

void Child::destroy() {
    require_eq(update_va_mapping(window_ + page_size, 0), 0, "its mailbox is unmapped");
    require_eq(domctl(XEN_DOMCTL_destroydomain, id_), 0, "DOMCTL_destroydomain");
    xen_domctl_t op = {};
    const u64 end = system_time() + 1'000'000'000;
    while (system_time() < end && domctl(XEN_DOMCTL_getdomaininfo, id_, op) == 0 && op.domain == id_)
        sched_op(SCHEDOP_yield);
    expect(domctl(XEN_DOMCTL_getdomaininfo, id_, op) != 0 || op.domain != id_, "nothing is left of it");
}

} // namespace guest
