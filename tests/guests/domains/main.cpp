// SPDX-License-Identifier: GPL-2.0-only
//
// The story: a control domain makes another domain, builds it by hand, lets it run, looks at it, and ends it. Every
// step that tools take is taken here with its refusals: creation, memory, foreign mappings, page tables pinned for
// another domain, the first vCPU state, events between the two, pause, shutdown, destruction. A domain must give back
// all it had, at once when nobody uses its frames, or else with the last user; over and over.
// again: xpti=yes

#include <cstddef>

#include "tests/guests/lib/events.hpp"
#include "tests/guests/lib/grants.hpp"
#include "tests/guests/lib/paging.hpp"
#include "tests/guests/lib/verdict.hpp"

using namespace guest;

// What the new domain executes at `code_va`: it tells dom0 by an event, counts until it is told to stop, and shuts
// itself down with the reason dom0 has written.
asm(R"(
    .text
    .balign 4096
    .globl domain_code
domain_code:
    movq $0x600d, 0x2000
    movl $32, %eax
    movl $4, %edi
    movl $0x2040, %esi
    syscall
1:  lock incq 0x2008
    cmpq $0, 0x2010
    je 1b
    movl $29, %eax
    cmpq $2, 0x2010
    je 2f
    movl $2, %edi
    movl $0x2048, %esi
    syscall
    ud2
2:  movl $6, %edi
    movl $0x204c, %esi
    syscall
3:  pause
    jmp 3b
    .balign 4096
)");
extern "C" const char domain_code[];

namespace {

constexpr u64 code_va = 0x1000;
constexpr u64 window = 0x40000000; ///< where this kernel maps the other domain's frames
constexpr unsigned memory_frames = 16;
constexpr u64 ms = 1'000'000;

/// The page through which the two talk.
struct Mailbox {
    volatile u64 marker, counter, stop;
    u64 unused[5];
    evtchn_send_t send;
    u32 pad;
    sched_shutdown_t shutdown;
    sched_watchdog_t watchdog;
};
static_assert(offsetof(Mailbox, send) == 0x40 && offsetof(Mailbox, shutdown) == 0x48);
static_assert(offsetof(Mailbox, watchdog) == 0x4c && SCHEDOP_watchdog == 6);

enum FrameUse { code, mailbox, l1, l2, l3, l4, spare };

long domctl(u32 command, domid_t domain, xen_domctl_t& op) {
    op.cmd = command;
    op.interface_version = XEN_DOMCTL_INTERFACE_VERSION;
    op.domain = domain;
    return hypercall(__HYPERVISOR_domctl, &op);
}

long domctl(u32 command, domid_t domain) {
    xen_domctl_t op = {};
    return domctl(command, domain, op);
}

xen_sysctl_physinfo physinfo() {
    xen_sysctl_t op = {};
    op.cmd = XEN_SYSCTL_physinfo;
    op.interface_version = XEN_SYSCTL_INTERFACE_VERSION;
    require_eq(hypercall(__HYPERVISOR_sysctl, &op), 0, "SYSCTL_physinfo");
    return op.u.physinfo;
}

/// Lets others run until the condition holds, for a while at most.
template <class F> bool wait_for(F&& holds, u64 at_most = 500 * ms) {
    for (const u64 end = system_time() + at_most; system_time() < end; sched_op(SCHEDOP_yield))
        if (holds()) return true;
    return holds();
}

long create(xen_domctl_t& op, u32 vcpus = 1, domid_t id = 0) {
    op = {};
    op.u.createdomain.max_vcpus = vcpus;
    op.u.createdomain.max_evtchn_port = 63;
    op.u.createdomain.max_grant_frames = op.u.createdomain.max_maptrack_frames = -1;
    op.u.createdomain.grant_opts = XEN_DOMCTL_GRANT_version(1);
    op.u.createdomain.handle[0] = 0x5a;
    return domctl(XEN_DOMCTL_createdomain, id, op);
}

/// -ESRCH, or the description of the domain.
long describe(domid_t id, xen_domctl_getdomaininfo_t& info) {
    xen_domctl_t op = {};
    const long result = domctl(XEN_DOMCTL_getdomaininfo, id, op);
    info = op.u.getdomaininfo;
    return result;
}

long map_foreign(u64 address, domid_t domain, u64 mfn) {
    mmu_update_t op = {machine_address(entry_of(address)), pte(mfn, pte_rw)};
    return mmu_update_op(&op, 1, nullptr, domain);
}

long unmap(u64 address) { return update_va_mapping(address, 0); }

struct Guest {
    domid_t id = 0;
    u32 port = 0; ///< dom0's end of the event channel
    xen_pfn_t frames[memory_frames];

    template <class T> T* mapped(FrameUse use) {
        const u64 address = window + use * page_size;
        require_eq(map_foreign(address, id, frames[use]), 0, "a frame of the other domain is mapped");
        return reinterpret_cast<T*>(address);
    }
    void unmap(FrameUse use) { require_eq(::unmap(window + use * page_size), 0, "and unmapped"); }
    Mailbox& box() { return *reinterpret_cast<Mailbox*>(window + mailbox * page_size); }
};

void check_refusals(const Guest& g) {
    xen_domctl_t op = {};
    op.cmd = XEN_DOMCTL_getdomaininfo;
    op.interface_version = XEN_DOMCTL_INTERFACE_VERSION + 1;
    expect_eq(hypercall(__HYPERVISOR_domctl, &op), -XEN_EACCES, "another interface version");
    expect_eq(hypercall(__HYPERVISOR_domctl, nullptr), -XEN_EFAULT, "no request");
    expect_eq(domctl(60000, g.id), -XEN_ENOSYS, "an unknown operation");
    expect_eq(domctl(XEN_DOMCTL_pausedomain, 999), -XEN_ESRCH, "a domain that is not there");
    expect_eq(domctl(XEN_DOMCTL_pausedomain, 0), -XEN_EINVAL, "dom0 does not pause itself");
    expect_error(domctl(XEN_DOMCTL_destroydomain, 0), "nor end itself");
    expect_eq(create(op, 1, g.id), -XEN_EEXIST, "an id twice");
    expect_eq(create(op, 0), -XEN_EINVAL, "a domain without vCPUs");
    expect_error(create(op, 100000), "with too many");
    op.u.createdomain.max_vcpus = 1;
    op.u.createdomain.flags = XEN_DOMCTL_CDF_hvm;
    expect_error(domctl(XEN_DOMCTL_createdomain, 0, op), "a hardware-assisted one");
    op.u.max_vcpus.max = 7;
    expect_eq(domctl(XEN_DOMCTL_max_vcpus, g.id, op), -XEN_EINVAL, "another number of vCPUs");
    op.u.address_size.size = 17;
    expect_error(domctl(XEN_DOMCTL_set_address_size, g.id, op), "17-bit guests");
    op.u.vcpucontext.vcpu = 1;
    expect_error(domctl(XEN_DOMCTL_setvcpucontext, g.id, op), "the state of a vCPU that is not there");
    op.u.vcpucontext.vcpu = 0;
    expect_eq(domctl(XEN_DOMCTL_getvcpucontext, g.id, op), -XEN_ENODATA, "the state of one that has none");
}

constexpr u64 secret = 0x5ec2e75ec2e7;
constexpr FrameUse unused_frames = spare; ///< from here on nothing else uses them

/// What a domain leaves in its frames ...
void fill(Guest& g) {
    for (unsigned i = unused_frames; i < memory_frames; ++i) {
        u64* words = g.mapped<u64>(static_cast<FrameUse>(i));
        for (unsigned k = 0; k < page_size / sizeof(u64); ++k) words[k] = secret;
        g.unmap(static_cast<FrameUse>(i));
    }
}

/// ... the next one does not find, although it gets the same ones.
void check_empty(Guest& g) {
    u64 found = 0;
    for (unsigned i = 0; i < memory_frames; ++i) {
        const u64* words = g.mapped<u64>(static_cast<FrameUse>(i));
        for (unsigned k = 0; k < page_size / sizeof(u64); ++k) found |= words[k];
        g.unmap(static_cast<FrameUse>(i));
    }
    expect_eq(found, 0, "a new domain's memory is empty");
}

void make_domain(Guest& g) {
    xen_domctl_t op;
    require_eq(create(op), 0, "DOMCTL_createdomain");
    g.id = op.domain;
    op.u.max_vcpus.max = 1;
    require_eq(domctl(XEN_DOMCTL_max_vcpus, g.id, op), 0, "DOMCTL_max_vcpus");
    op.u.max_mem.max_memkb = memory_frames * 4;
    require_eq(domctl(XEN_DOMCTL_max_mem, g.id, op), 0, "DOMCTL_max_mem");
    xen_memory_reservation_t r = {};
    for (unsigned i = 0; i < memory_frames; ++i) g.frames[i] = i;
    set_xen_guest_handle(r.extent_start, g.frames);
    r.nr_extents = memory_frames;
    r.domid = g.id;
    require_eq(memory_op(XENMEM_populate_physmap, &r), memory_frames, "its memory");
    check_empty(g);
    xen_pfn_t more = memory_frames;
    set_xen_guest_handle(r.extent_start, &more);
    r.nr_extents = 1;
    expect_eq(memory_op(XENMEM_populate_physmap, &r), 0, "and no frame beyond its limit");
}

struct MemoryAccess {
    u64 address;
    void* buffer;
    u32 bytes;
    bool write = false;
    u64 tables = 0;
};

/// DOMCTL_gdbsx_guestmemio; `remain` becomes what it says was not copied.
long access_memory(domid_t domain, const MemoryAccess& access, u32& remain) {
    xen_domctl_t op = {};
    op.u.gdbsx_guest_memio = {.pgd3val = access.tables,
                              .gva = access.address,
                              .uva = std::bit_cast<u64>(access.buffer),
                              .len = access.bytes,
                              .gwr = access.write,
                              .remain = 0x5555};
    const long result = domctl(XEN_DOMCTL_gdbsx_guestmemio, domain, op);
    remain = op.u.gdbsx_guest_memio.remain;
    return result;
}

void expect_access(const Guest& g, const MemoryAccess& access, long result, u32 left, std::string_view text) {
    u32 remain = 0;
    expect_eq(access_memory(g.id, access, remain), result, text);
    expect_eq(remain, left, "what is left of it");
}

/// A builder writes through tables that are not in use yet. Nothing in them is to be trusted.
void check_memory_before_use(Guest& g) {
    constexpr u32 pages = 64;
    constexpr u64 flags = pte_rw, many = 0x100000; // the second half of what the L1 table maps
    const u64 tables = g.frames[l4] << 12;
    Page* buffer = alloc_pages(pages);
    u32 remain = 0;
    expect_eq(access_memory(g.id, {0x2000, buffer, 8}, remain), -XEN_EINVAL, "tables of a vCPU that has none");

    u64* entries = g.mapped<u64>(l1);
    for (u32 i = 0; i < pages; ++i) entries[256 + i] = pte(g.frames[i % 2 ? spare : mailbox], flags);
    for (u32 i = 0; i < pages; ++i) buffer[i].word[511] = i;
    set_timer(system_time() + ms / 20); // it is interrupted, and goes on
    expect_access(g, {many, buffer, pages * u32{page_size}, true, tables}, 0, 0, "64 pages are written");
    memset(buffer, 0, pages * page_size);
    expect_access(g, {many, buffer, pages * u32{page_size}, false, tables}, 0, 0, "and read");
    expect_eq(buffer[0].word[511], pages - 2, "the last even page written");
    expect_eq(buffer[pages - 1].word[511], pages - 1, "the last odd one");
    expect_access(g, {many + (pages - 1) * page_size, buffer, 2 * u32{page_size}, false, tables}, -XEN_EFAULT,
                  page_size, "beyond the L1 table, where nothing is mapped");

    entries[4] = pte(mfn_of(buffer), flags);
    expect_access(g, {0x4000, buffer, 8, false, tables}, -XEN_EFAULT, 8, "a frame of another domain");
    entries[4] = pte(0xfee00, flags);
    expect_access(g, {0x4000, buffer, 8, true, tables}, -XEN_EFAULT, 8, "a device");
    entries[4] = pte(1ull << 39, flags);
    expect_access(g, {0x4000, buffer, 8, true, tables}, -XEN_EFAULT, 8, "a frame that is not there");
    for (u32 i = 0; i < pages; ++i) entries[256 + i] = 0;
    entries[4] = 0;
    g.unmap(l1);
    u64* upper = g.mapped<u64>(l2);
    upper[1] = pte(mfn_of(buffer), flags);
    buffer->word[0] = pte(g.frames[mailbox], flags);
    expect_access(g, {0x200000, buffer, 8, false, tables}, -XEN_EFAULT, 8, "a table of another domain");
    upper[1] = pte(g.frames[l1] & ~511ull, flags | pte_pse);
    expect_access(g, {0x200000, buffer, 8, false, tables}, -XEN_EFAULT, 8, "a large page");
    upper[1] = 0;
    g.unmap(l2);
    expect_access(g, {0x2000, buffer, 8, false, mfn_of(buffer) << 12}, -XEN_EFAULT, 8, "a root of another domain");
    expect_access(g, {0x2000, buffer, 8, false, tables | 8}, -XEN_EINVAL, 8, "a root that is not a page");
    expect_access(g, {0x2000, buffer, 8, false, tables | 1}, -XEN_EOPNOTSUPP, 8, "an entry of a 32-bit guest");
    memset(g.mapped<void>(mailbox), 0, page_size);
    g.unmap(mailbox);
}

/// Through the tables of vCPU 0.
void check_memory(Guest& g) {
    Page* buffer = alloc_pages(3);
    auto* bytes = reinterpret_cast<char*>(buffer);
    expect_access(g, {code_va, bytes, page_size}, 0, 0, "its code is read");
    expect(memcmp(bytes, domain_code, page_size) == 0, "as it was written");
    u64 word = 0x1122334455667788;
    constexpr u64 across = 0x1ffc;
    expect_access(g, {across, &word, 8, true}, 0, 0, "written across pages, one of them read-only for the guest");
    expect_eq(static_cast<u32>(g.box().marker), 0x11223344, "the second half is there");
    word = 0;
    expect_access(g, {across, &word, 8}, 0, 0, "and read back");
    expect_eq(word, 0x1122334455667788, "both halves");
    g.box().marker = 0;
    expect_access(g, {0x2000, bytes, 0}, 0, 0, "nothing at all");
    expect_access(g, {0x3008, bytes, 8, true}, -XEN_EFAULT, 8, "a page table is not written");
    expect_access(g, {0x3008, &word, 8}, 0, 0, "but read");
    expect_eq(word & pte_frame_mask, g.frames[code] << 12, "its entry for the code");
    expect_access(g, {0x2ff8, bytes, 4096 + 16}, -XEN_EFAULT, 8, "up to where nothing is mapped");
    expect_access(g, {code_va, bytes, ~0u}, -XEN_EFAULT, ~0u - 3 * u32{page_size}, "four gigabytes");
    expect_access(g, {0x2000, nullptr, 8}, -XEN_EFAULT, 8, "no buffer");
    expect_access(g, {0x2000, std::bit_cast<void*>(HYPERVISOR_VIRT_START), 8}, -XEN_EFAULT, 8, "not the caller's");
    for (const u64 address : {u64{HYPERVISOR_VIRT_START}, u64{0x800000000000}, u64{0x7ffffffffffc}, ~u64{3}})
        expect_access(g, {address, bytes, 8}, -XEN_EINVAL, 8, "an address that no guest has");
    u32 remain = 0;
    expect_eq(access_memory(0, {std::bit_cast<u64>(bytes), bytes + 64, 8}, remain), -XEN_EINVAL, "its own memory");
    expect_eq(access_memory(999, {0x2000, bytes, 8}, remain), -XEN_ESRCH, "a domain that is not there");
}

/// A frame of a device in its tables, which it may have only when it was given it.
void check_device_memory(Guest& g, mmuext_op_t& pin) {
    constexpr u64 device = 0xfeb00; // in the hole for PCI devices
    xen_domctl_t op = {};
    op.u.iomem_permission = {.first_mfn = device, .nr_mfns = 16, .allow_access = 1};
    g.mapped<u64>(l1)[8] = pte(device + 15, pte_rw);
    g.unmap(l1);
    expect_error(mmuext_ops(&pin, 1, nullptr, g.id), "a device frame in a table");
    expect_eq(domctl(XEN_DOMCTL_iomem_permission, g.id, op), 0, "DOMCTL_iomem_permission");
    expect_eq(mmuext_ops(&pin, 1, nullptr, g.id), 0, "allows it");
    mmuext_op_t unpin = pin;
    unpin.cmd = MMUEXT_UNPIN_TABLE;
    require_eq(mmuext_ops(&unpin, 1, nullptr, g.id), 0, "unpinned");
    op.u.iomem_permission = {.first_mfn = device + 15, .nr_mfns = 1, .allow_access = 0};
    expect_eq(domctl(XEN_DOMCTL_iomem_permission, g.id, op), 0, "a part is taken back");
    expect_error(mmuext_ops(&pin, 1, nullptr, g.id), "and refused again");
    op.u.iomem_permission = {.first_mfn = ~0ull, .nr_mfns = 2, .allow_access = 1};
    expect_error(domctl(XEN_DOMCTL_iomem_permission, g.id, op), "frames around the end of numbers");
    g.mapped<u64>(l1)[8] = 0;
    g.unmap(l1);
}

void write_tables(Guest& g, bool new_tables) {
    constexpr u64 flags = pte_rw;
    u64* table = g.mapped<u64>(l1);
    table[1] = pte(g.frames[code], pte_ro);
    table[2] = pte(g.frames[mailbox], flags);
    table[3] = pte(g.frames[l1], pte_ro);
    g.unmap(l1);
    g.mapped<u64>(l2)[0] = pte(g.frames[l1], flags);
    g.unmap(l2);
    g.mapped<u64>(l3)[0] = pte(g.frames[l2], flags);
    g.unmap(l3);
    g.mapped<u64>(l4)[0] = pte(g.frames[l3], flags);
    if (new_tables && is_streak()) check_memory_before_use(g);
    mmuext_op_t pin = {};
    pin.cmd = MMUEXT_PIN_L4_TABLE;
    pin.arg1.mfn = g.frames[l4];
    expect_error(mmuext_ops(&pin, 1, nullptr, g.id), "a table that dom0 can write is not pinned");
    g.unmap(l4);
    if (new_tables) check_device_memory(g, pin);
    require_eq(mmuext_ops(&pin, 1, nullptr, g.id), 0, "MMUEXT_PIN_L4_TABLE for another domain");
}

void mask_its_events(const Guest& g) {
    xen_domctl_getdomaininfo_t info;
    require_eq(describe(g.id, info), 0, "DOMCTL_getdomaininfo");
    const u64 address = window + spare * page_size;
    require_eq(map_foreign(address, g.id, info.shared_info_frame), 0, "its shared page is mapped");
    reinterpret_cast<shared_info_t*>(address)->vcpu_info[0].evtchn_upcall_mask = 1;
    require_eq(unmap(address), 0, "and unmapped");
}

void set_first_state(const Guest& g) {
    static vcpu_guest_context_t c;
    memset(&c, 0, sizeof c);
    c.flags = VGCF_in_kernel | VGCF_online;
    c.user_regs.rip = code_va;
    c.user_regs.rsp = c.kernel_sp = 0x3000;
    c.user_regs.cs = FLAT_KERNEL_CS;
    c.user_regs.ss = c.kernel_ss = FLAT_KERNEL_SS;
    c.user_regs.rflags = 0x200;
    c.debugreg[6] = 0xffff0ff0;
    c.debugreg[7] = 0x400;
    xen_domctl_t op = {};
    set_xen_guest_handle(op.u.vcpucontext.ctxt, &c);
    c.ctrlreg[3] = g.frames[mailbox] << 12;
    expect_error(domctl(XEN_DOMCTL_setvcpucontext, g.id, op), "a page that is no L4 as base");
    c.ctrlreg[3] = g.frames[l4] << 12;
    require_eq(domctl(XEN_DOMCTL_setvcpucontext, g.id, op), 0, "DOMCTL_setvcpucontext");
}

void build(Guest& g, bool first) {
    memcpy(g.mapped<void>(code), domain_code, page_size);
    g.unmap(code);
    write_tables(g, first);
    mask_its_events(g);
    const long remote = alloc_unbound(0, g.id);
    require_eq(remote > 0, true, "a port in the other domain");
    const long local = bind_interdomain(static_cast<u32>(remote), g.id);
    require_eq(local > 0, true, "is connected with one here");
    g.port = static_cast<u32>(local);
    clear_port(g.port);
    Mailbox& box = *g.mapped<Mailbox>(mailbox);
    box.send.port = static_cast<u32>(remote);
    box.shutdown.reason = SHUTDOWN_suspend;
    box.watchdog.timeout = 1;
    set_first_state(g);
}

void check_page_types(const Guest& g) {
    u64 list[] = {g.frames[code], g.frames[l1], g.frames[l4], mfn_of(&boot_info())};
    xen_domctl_t op = {};
    op.u.getpageframeinfo3.num = 4;
    set_xen_guest_handle(op.u.getpageframeinfo3.array, list);
    expect_eq(domctl(XEN_DOMCTL_getpageframeinfo3, g.id, op), 0, "DOMCTL_getpageframeinfo3");
    constexpr u64 kinds = XEN_DOMCTL_PFINFO_LTAB_MASK;
    expect_eq(list[0] & kinds, XEN_DOMCTL_PFINFO_NOTAB, "a page of data");
    expect_eq(list[1] & kinds, XEN_DOMCTL_PFINFO_L1TAB, "an L1");
    expect_eq(list[2] & kinds, XEN_DOMCTL_PFINFO_L4TAB | XEN_DOMCTL_PFINFO_LPINTAB, "a pinned L4");
    expect_eq(list[3] & kinds, XEN_DOMCTL_PFINFO_XTAB, "a frame that isn't the domain's");
    op.u.getpageframeinfo3.num = 5000;
    expect_eq(domctl(XEN_DOMCTL_getpageframeinfo3, g.id, op), -XEN_E2BIG, "too many at once");
}

void check_reports(const Guest& g) {
    xen_domctl_getdomaininfo_t info;
    expect_eq(describe(g.id, info), 0, "DOMCTL_getdomaininfo");
    expect_eq(info.domain, g.id, "names the domain");
    expect_eq(describe(1, info), 0, "asked for an id that may be free");
    expect_eq(info.domain, g.id, "the next domain answers");
    expect_eq(info.tot_pages, memory_frames, "its frames");
    expect_eq(info.max_vcpu_id, 0, "its last vCPU");
    expect_eq(info.handle[0], 0x5a, "its handle");
    expect((info.flags & XEN_DOMINF_paused) != 0, "a new domain is paused");

    xen_domctl_t op = {};
    op.u.scheduler_op.sched_id = XEN_SCHEDULER_CREDIT2;
    op.u.scheduler_op.cmd = XEN_DOMCTL_SCHEDOP_putinfo;
    op.u.scheduler_op.u.credit2 = {.weight = 512, .cap = 0};
    expect_eq(domctl(XEN_DOMCTL_scheduler_op, g.id, op), 0, "a weight is set");
    op.u.scheduler_op.cmd = XEN_DOMCTL_SCHEDOP_getinfo;
    op.u.scheduler_op.u.credit2.weight = 0;
    expect_eq(domctl(XEN_DOMCTL_scheduler_op, g.id, op), 0, "and read");
    expect_eq(op.u.scheduler_op.u.credit2.weight, 512, "as it was set");

    u8 cpus = 0;
    op = {};
    op.u.vcpuaffinity.flags = XEN_VCPUAFFINITY_HARD;
    set_xen_guest_handle(op.u.vcpuaffinity.cpumap_hard.bitmap, &cpus);
    op.u.vcpuaffinity.cpumap_hard.nr_bits = 8;
    expect_eq(domctl(XEN_DOMCTL_setvcpuaffinity, g.id, op), -XEN_EINVAL, "no CPU to run on");
    cpus = 1;
    expect_eq(domctl(XEN_DOMCTL_setvcpuaffinity, g.id, op), 0, "CPU 0 to run on");
    cpus = 0;
    expect_eq(domctl(XEN_DOMCTL_getvcpuaffinity, g.id, op), 0, "DOMCTL_getvcpuaffinity");
    expect_eq(cpus, 1, "says so");
}

long acquire(domid_t domain, u32 id, u32 count, u64 first, xen_pfn_t* list, u32* most = nullptr) {
    xen_mem_acquire_resource_t op = {};
    op.domid = domain;
    op.type = XENMEM_resource_grant_table;
    op.id = id;
    op.nr_frames = count;
    op.frame = first;
    set_xen_guest_handle(op.frame_list, list);
    const long result = memory_op(XENMEM_acquire_resource, &op);
    if (most) *most = op.nr_frames;
    return result;
}

/// GNTTABOP_transfer: a frame of dom0's becomes the other domain's.
void check_transfer(const Guest& g, grant_entry_v1_t* entries) {
    Page* gift = alloc_page();
    gift->word[0] = 0x91f7;
    gnttab_transfer_t op = {};
    op.mfn = mfn_of(gift);
    op.domid = g.id;
    op.ref = 1;
    auto transfer = [&](std::string_view text) {
        require_eq(grant_table_op(GNTTABOP_transfer, &op), 0, text);
        return op.status;
    };
    entries[1] = {.flags = GTF_accept_transfer, .domid = 0, .frame = memory_frames};
    expect(transfer("a frame that is mapped") != GNTST_okay, "stays");
    require_eq(update_va_mapping(std::bit_cast<u64>(gift), 0), 0, "it is unmapped");
    xen_domctl_t limit = {};
    limit.u.max_mem.max_memkb = (memory_frames + 1) * 4;
    require_eq(domctl(XEN_DOMCTL_max_mem, g.id, limit), 0, "DOMCTL_max_mem");
    expect_eq(transfer("to one that does"), GNTST_okay, "moved");
    expect_eq(entries[1].flags & GTF_type_mask, GTF_accept_transfer, "the entry");
    expect((entries[1].flags & GTF_transfer_completed) != 0, "is complete");
    expect_eq(entries[1].frame, op.mfn, "and names the frame");
    expect(transfer("a second time") != GNTST_okay, "it is no longer dom0's");
    require_eq(map_foreign(window + code * page_size, g.id, op.mfn), 0, "the frame is the other domain's");
    expect_eq(*reinterpret_cast<u64*>(window + code * page_size), 0x91f7, "with what was in it");
    require_eq(unmap(window + code * page_size), 0, "unmapped");
    mmu_update_t own = {machine_address(entry_of(window + code * page_size)), pte(op.mfn, pte_rw)};
    expect_error(mmu_update_op(&own, 1), "and can't be mapped as dom0's");

    // The incumbent takes a frame away before it looks at these.
    Page* kept = alloc_page();
    op.mfn = mfn_of(kept);
    require_eq(update_va_mapping(std::bit_cast<u64>(kept), 0), 0, "another frame");
    expect(transfer("to an entry that has been used") != GNTST_okay, "refused");
    entries[1] = {.flags = GTF_accept_transfer, .domid = 0, .frame = memory_frames + 1};
    expect(transfer("to a domain that has all it may") != GNTST_okay, "refused");
}

/// Tools write a new domain's first grants through its own frames.
void check_grant_frames(const Guest& g) {
    constexpr u32 shared = XENMEM_resource_grant_table_id_shared;
    xen_pfn_t frame = 0;
    u32 most = 0;
    expect_eq(acquire(g.id, shared, 0, 0, nullptr, &most), 0, "how many grant frames it may have");
    expect(most > 0 && most < 100000, "some");
    expect_eq(acquire(g.id, shared, 1, 0, nullptr), -XEN_EINVAL, "frames but no list");
    expect_error(acquire(DOMID_SELF, shared, 1, 0, &frame), "dom0's own");
    expect_eq(acquire(999, shared, 1, 0, &frame), -XEN_ESRCH, "of a domain that is not there");
    expect_eq(acquire(g.id, shared, 1, most, &frame), -XEN_EINVAL, "one beyond the last");
    expect_eq(acquire(g.id, shared, 2, ~0ull, &frame), -XEN_EINVAL, "and around the end of numbers");
    expect_eq(acquire(g.id, 7, 1, 0, &frame), -XEN_EINVAL, "an unknown part");
    require_eq(acquire(g.id, shared, 1, 0, &frame), 0, "the first frame");
    const u64 address = window + spare * page_size;
    require_eq(map_foreign(address, g.id, frame), 0, "is mapped");
    auto* entries = reinterpret_cast<grant_entry_v1_t*>(address);
    expect_eq(entries[0].flags, 0, "and empty");
    entries[0] = {.flags = GTF_permit_access, .domid = 0, .frame = static_cast<u32>(g.frames[mailbox])};
    constexpr u64 other = window + 15 * page_size;
    const long handle = map_grant(other, 0, GNTMAP_host_map, g.id);
    require_eq(handle >= 0, true, "what it grants is mapped");
    expect_eq(reinterpret_cast<Mailbox*>(other)->shutdown.reason, SHUTDOWN_suspend, "and is the domain's");
    expect_eq(unmap_grant(other, static_cast<u32>(handle)), GNTST_okay, "and unmapped");
    entries[0].flags = 0;
    check_transfer(g, entries);
    require_eq(unmap(address), 0, "the frame is let go");
}

bool counts(Guest& g) {
    const u64 before = g.box().counter;
    return wait_for([&] { return g.box().counter != before; }, 20 * ms);
}

void check_debugger_pause(Guest& g) {
    xen_domctl_t op = {};
    op.u.gdbsx_pauseunp_vcpu.vcpu = 0;
    expect_eq(domctl(XEN_DOMCTL_gdbsx_unpausevcpu, g.id, op), -XEN_EINVAL, "a vCPU that no debugger has paused");
    expect_eq(domctl(XEN_DOMCTL_gdbsx_pausevcpu, g.id, op), 0, "DOMCTL_gdbsx_pausevcpu");
    expect(!counts(g), "stops it");
    expect_eq(domctl(XEN_DOMCTL_gdbsx_pausevcpu, g.id, op), -XEN_EBUSY, "once");
    expect_eq(domctl(XEN_DOMCTL_gdbsx_domstatus, g.id, op), 0, "DOMCTL_gdbsx_domstatus");
    expect_eq(op.u.gdbsx_domstatus.paused, 0, "the domain is not paused");
    expect_eq(op.u.gdbsx_domstatus.vcpu_id, ~0u, "nothing has happened");
    op.u.gdbsx_pauseunp_vcpu.vcpu = 0;
    expect_eq(domctl(XEN_DOMCTL_gdbsx_unpausevcpu, g.id, op), 0, "DOMCTL_gdbsx_unpausevcpu");
    expect(counts(g), "lets it go on");
    op.u.gdbsx_pauseunp_vcpu.vcpu = 1;
    expect_eq(domctl(XEN_DOMCTL_gdbsx_pausevcpu, g.id, op), -XEN_EINVAL, "a vCPU that is not there");
}

void check_running(Guest& g) {
    expect_eq(domctl(XEN_DOMCTL_unpausedomain, g.id), 0, "DOMCTL_unpausedomain");
    expect(wait_for([&] { return g.box().counter > 1000; }), "the domain runs");
    expect_eq(g.box().marker, 0x600d, "from its first instruction on");
    expect(wait_for([&] { return port_pending(g.port); }), "its event arrives");

    expect_eq(domctl(XEN_DOMCTL_pausedomain, g.id), 0, "DOMCTL_pausedomain");
    const u64 stopped_at = g.box().counter;
    for (const u64 end = system_time() + 20 * ms; system_time() < end;) sched_op(SCHEDOP_yield);
    expect_eq(g.box().counter, stopped_at, "a paused domain stands still");

    static vcpu_guest_context_t c;
    xen_domctl_t op = {};
    set_xen_guest_handle(op.u.vcpucontext.ctxt, &c);
    expect_eq(domctl(XEN_DOMCTL_getvcpucontext, g.id, op), 0, "DOMCTL_getvcpucontext");
    expect(c.user_regs.rip >= code_va && c.user_regs.rip < code_va + page_size, "in the midst of its loop");
    expect_eq(c.ctrlreg[3], g.frames[l4] << 12, "on its tables");
    op.u.getvcpuinfo.vcpu = 0;
    expect_eq(domctl(XEN_DOMCTL_getvcpuinfo, g.id, op), 0, "DOMCTL_getvcpuinfo");
    expect(op.u.getvcpuinfo.online && op.u.getvcpuinfo.cpu_time != 0, "it has used CPU time");

    expect_eq(domctl(XEN_DOMCTL_unpausedomain, g.id), 0, "it goes on");
    if (is_streak()) check_debugger_pause(g);
    expect(wait_for([&] { return g.box().counter > stopped_at; }), "counting");
    expect_eq(domctl(XEN_DOMCTL_unpausedomain, g.id), -XEN_EINVAL, "unpaused too often");
}

long shadow_op(domid_t id, u32 command, xen_domctl_t& op, u32 mode = 0, u64* bitmap = nullptr, u64 pages = 0) {
    op = {};
    op.u.shadow_op.op = command;
    op.u.shadow_op.mode = mode;
    op.u.shadow_op.pages = pages;
    set_xen_guest_handle(op.u.shadow_op.dirty_bitmap, reinterpret_cast<u8*>(bitmap));
    return domctl(XEN_DOMCTL_shadow_op, id, op);
}

/// The running domain's dirty pages. Afterwards they are still logged.
void check_dirty_pages(Guest& g) {
    xen_domctl_t op;
    constexpr u32 enable = XEN_DOMCTL_SHADOW_OP_ENABLE, clean = XEN_DOMCTL_SHADOW_OP_CLEAN,
                  peek = XEN_DOMCTL_SHADOW_OP_PEEK, start = XEN_DOMCTL_SHADOW_OP_ENABLE_LOGDIRTY;
    expect_eq(shadow_op(0, start, op), -XEN_EINVAL, "dom0 does not log itself");
    expect_eq(shadow_op(999, start, op), -XEN_ESRCH, "nor nobody");
    expect_eq(shadow_op(g.id, clean, op), -XEN_EINVAL, "nothing is logged yet");
    expect_eq(shadow_op(g.id, peek, op), -XEN_EINVAL, "nothing is logged yet");
    for (const u32 mode : {0, XEN_DOMCTL_SHADOW_ENABLE_REFCOUNT, XEN_DOMCTL_SHADOW_ENABLE_TRANSLATE,
                           XEN_DOMCTL_SHADOW_ENABLE_LOG_DIRTY | XEN_DOMCTL_SHADOW_ENABLE_EXTERNAL})
        expect_eq(shadow_op(g.id, enable, op, mode), -XEN_EINVAL, "another mode");
    for (const u32 other : {XEN_DOMCTL_SHADOW_OP_ENABLE_TEST, 3, XEN_DOMCTL_SHADOW_OP_GET_ALLOCATION,
                            XEN_DOMCTL_SHADOW_OP_SET_ALLOCATION, 77})
        expect_eq(shadow_op(g.id, other, op), -XEN_EOPNOTSUPP, "another operation");
    expect_eq(shadow_op(g.id, enable, op, XEN_DOMCTL_SHADOW_ENABLE_LOG_DIRTY), 0, "SHADOW_OP_ENABLE");
    expect_eq(shadow_op(g.id, start, op), -XEN_EINVAL, "it is on already");
    expect_eq(shadow_op(g.id, XEN_DOMCTL_SHADOW_OP_OFF, op), 0, "SHADOW_OP_OFF");
    expect_eq(shadow_op(g.id, start, op), 0, "SHADOW_OP_ENABLE_LOGDIRTY");

    u64 told = ~0ull;
    expect_eq(shadow_op(g.id, clean, op, 2, &told, 64), -XEN_EINVAL, "an unknown mode");
    expect_eq(shadow_op(g.id, clean, op, 0, &told, ~0ull), 0, "SHADOW_OP_CLEAN");
    expect(op.u.shadow_op.pages >= memory_frames && op.u.shadow_op.pages < 64, "no more pages than there are");
    const auto runs = [&] {
        const u64 before = g.box().counter;
        return wait_for([&] { return g.box().counter > before + 100; });
    };
    expect(runs(), "it runs on");
    // The mailbox is mapped by dom0 as well, and is told each time; its code, which it only reads, is not.
    constexpr u64 written = 1ull << mailbox, read_only = 1ull << code;
    expect_eq(shadow_op(g.id, clean, op, 0, reinterpret_cast<u64*>(HYPERVISOR_VIRT_START), 64), -XEN_EFAULT,
              "no place for the bitmap");
    for (unsigned i = 0; i < 3; ++i) {
        told = 0;
        expect_eq(shadow_op(g.id, i ? peek : clean, op, XEN_DOMCTL_SHADOW_LOGDIRTY_FINAL, &told, memory_frames), 0,
                  "SHADOW_OP_PEEK");
        expect_eq(told & (written | read_only), written, "what is written is told");
        if (i == 0) expect(op.u.shadow_op.stats.fault_count != 0 && op.u.shadow_op.stats.dirty_count != 0, "counts");
    }
    u64 word = 0;
    expect_access(g, {0x1ff8, &word, 8, true}, 0, 0, "dom0 writes behind the code");
    mmu_update_t change = {(g.frames[l1] << 12) + 20 * 8, 0};
    expect_eq(mmu_update_op(&change, 1, nullptr, (g.id + 1u) << 16 | g.id), 0, "and in a table");
    told = 0;
    expect_eq(shadow_op(g.id, clean, op, 0, &told, 2), 0, "a part");
    expect_eq(op.u.shadow_op.pages, 2, "no more than was asked for");
    expect_eq(told, written | read_only, "the page behind the code");
    expect_eq(shadow_op(g.id, clean, op, 0, &told, memory_frames), 0, "the rest");
    expect_eq(told & (written | read_only | 1ull << l1), written | 1ull << l1, "the table");
    expect_eq(shadow_op(g.id, clean, op, 0, nullptr, memory_frames), 0, "without a bitmap");
    expect_eq(shadow_op(g.id, peek, op, 0, &told, memory_frames), 0, "once more");
    expect(!(told & 1ull << l1), "it is told once");
    expect(runs(), "it runs on");
}

/// By itself, or because it sets a watchdog of a second and hangs.
void check_shutdown(Guest& g, bool hangs) {
    xen_domctl_getdomaininfo_t info = {};
    g.box().stop = hangs ? 2 : 1;
    expect(wait_for([&] { return describe(g.id, info) == 0 && (info.flags & XEN_DOMINF_shutdown); }, 5000 * ms),
           "the domain shuts down");
    expect_eq((info.flags >> XEN_DOMINF_shutdownshift) & XEN_DOMINF_shutdownmask,
              hangs ? SHUTDOWN_watchdog : SHUTDOWN_suspend, "for the reason it gave");
}

/// What a domain without privileges may touch.
void check_permissions(const Guest& g) {
    xen_domctl_t op = {};
    const auto ports = [&](u32 first, u32 count, bool allow) {
        op.u.ioport_permission = {.first_port = first, .nr_ports = count, .allow_access = allow};
        return domctl(XEN_DOMCTL_ioport_permission, g.id, op);
    };
    expect_eq(ports(0x378, 8, true), 0, "DOMCTL_ioport_permission");
    expect_eq(ports(0x378, 8, false), 0, "taken back");
    expect_eq(ports(0x20, 2, true), -XEN_EPERM, "ports that dom0 has not itself");
    expect_eq(ports(0xffff, 2, true), -XEN_EINVAL, "beyond the last one");
    expect_error(ports(0x10001, ~0u, true), "around the end of numbers");

    for (const domid_t id : {domid_t{DOMID_SELF}, g.id}) { // dom0 gives what it has itself
        physdev_map_pirq_t map = {};
        map.domid = id;
        map.type = MAP_PIRQ_TYPE_GSI;
        map.index = map.pirq = 7;
        expect_eq(hypercall(__HYPERVISOR_physdev_op, PHYSDEVOP_map_pirq, &map), 0, "a line is mapped");
    }
    op.u.irq_permission = {.pirq = 7, .allow_access = 1, .pad = {}};
    expect_eq(domctl(XEN_DOMCTL_irq_permission, g.id, op), 0, "DOMCTL_irq_permission");
    op.u.irq_permission.allow_access = 0;
    expect_eq(domctl(XEN_DOMCTL_irq_permission, g.id, op), 0, "taken back");
    op.u.irq_permission.pirq = 250;
    op.u.irq_permission.allow_access = 1;
    expect_error(domctl(XEN_DOMCTL_irq_permission, g.id, op), "a line that is not there");

    if (!is_streak()) return;
    op = {};
    op.u.shadow_op.op = XEN_DOMCTL_SHADOW_OP_OFF;
    expect_eq(domctl(XEN_DOMCTL_shadow_op, g.id, op), 0, "nothing is logged any more");
    op.u.iomem_permission = {.first_mfn = 0xfeb00, .nr_mfns = 1, .allow_access = 1};
    expect_eq(domctl(XEN_DOMCTL_iomem_permission, 0, op), -XEN_EOPNOTSUPP, "dom0 has all frames");
}

long claim(domid_t domain, u64 frames) {
    xen_memory_reservation_t r = {};
    r.domid = domain;
    r.nr_extents = frames;
    return memory_op(XENMEM_claim_pages, &r);
}

/// Memory that is promised to one domain is nobody else's.
void check_claims(const Guest& g) {
    xen_domctl_t op;
    require_eq(create(op), 0, "another domain");
    const domid_t other = op.domain;
    for (const domid_t id : {g.id, other}) {
        op.u.max_mem.max_memkb = ~0ull;
        require_eq(domctl(XEN_DOMCTL_max_mem, id, op), 0, "both may be large");
    }
    static xen_pfn_t frames[64];
    xen_memory_reservation_t r = {};
    set_xen_guest_handle(r.extent_start, frames);
    r.nr_extents = 64;
    r.domid = other;
    const u64 free_pages = physinfo().free_pages, wanted = free_pages - 16;
    expect_error(claim(g.id, free_pages + memory_frames + 64), "more than there is");
    expect_eq(claim(g.id, wanted + memory_frames), 0, "XENMEM_claim_pages");
    expect_eq(physinfo().outstanding_pages, wanted, "are promised");
    expect(memory_op(XENMEM_populate_physmap, &r) < 20, "the other one gets but a few");
    expect_eq(claim(g.id, 0), 0, "the claim ends");
    expect_eq(physinfo().outstanding_pages, 0, "nothing is promised");
    expect_eq(memory_op(XENMEM_populate_physmap, &r), 64, "and the other one gets more");
    expect_eq(domctl(XEN_DOMCTL_destroydomain, other), 0, "it ends");
    op.u.max_mem.max_memkb = memory_frames * 4;
    require_eq(domctl(XEN_DOMCTL_max_mem, g.id, op), 0, "the limit as before");
}

/// What the hypervisor needs for domains of one vCPU with a port each.
void check_overhead() {
    constexpr unsigned domains = 16, most_frames = 12;
    domid_t ids[domains];
    const u64 before = physinfo().free_pages;
    for (domid_t& id : ids) {
        xen_domctl_t op;
        require_eq(create(op), 0, "one of many domains");
        id = op.domain;
        require_eq(alloc_unbound(0, id) > 0, true, "its port");
    }
    const u64 frames = before - physinfo().free_pages;
    Line() << "frames for " << domains << " domains: " << frames;
    if (is_streak()) expect(frames <= most_frames * domains, "48 KiB each at most");
    for (const domid_t id : ids) expect_eq(domctl(XEN_DOMCTL_destroydomain, id), 0, "they end");
}

bool gone(domid_t id) {
    xen_domctl_getdomaininfo_t info;
    return describe(id, info) == -XEN_ESRCH;
}

/// Dom0 still maps the mailbox: the domain is dying until that ends.
void check_destruction(Guest& g) {
    expect_eq(domctl(XEN_DOMCTL_destroydomain, g.id), 0, "DOMCTL_destroydomain");
    xen_domctl_getdomaininfo_t info;
    expect_eq(describe(g.id, info), 0, "it stays while a frame of it is mapped");
    expect((info.flags & XEN_DOMINF_dying) != 0, "dying");
    expect_eq(info.tot_pages, 1, "with that frame");
    expect_eq(g.box().marker, 0x600d, "which is as it was");
    expect_eq(domctl(XEN_DOMCTL_destroydomain, g.id), 0, "to destroy it again does nothing");
    expect_error(alloc_unbound(0, g.id), "a dying domain gets no ports");
    long result = 0;
    expect_eq(status(g.port, result).status, EVTCHNSTAT_unbound, "and its peer here waits for another");
    g.unmap(mailbox);
    expect(wait_for([&] { return gone(g.id); }), "then it is gone");
}

} // namespace

GUEST("domains") {
    require_eq(map(window, mfn_of(alloc_page()), pte_ro), 0, "a place for foreign frames");
    for (u64 i = 1; i < 16; ++i)
        require_eq(map(window + i * page_size, mfn_of(alloc_page()), pte_ro), 0, "and its neighbours");

    u64 free_after_first = 0;
    for (unsigned round = 0; round < 8; ++round) {
        Guest g;
        make_domain(g);
        if (round == 0) check_refusals(g);
        build(g, round == 0);
        if (round == 1) check_reports(g); // the first domain's id is free
        if (round == 0) {
            if (is_streak()) check_memory(g); // Debian's build of the incumbent lacks the operation
            check_permissions(g);
            check_claims(g);
            check_page_types(g);
            check_reports(g);
            check_grant_frames(g);
        }
        check_running(g);
        if (is_streak()) check_dirty_pages(g);
        check_shutdown(g, round == 1);
        fill(g);
        check_destruction(g);
        require_eq(close_port(g.port), 0, "its end of the channel is closed");
        expect(wait_for([&] { return gone(g.id); }), "and nothing of it is left");
        if (round == 0) check_overhead();
        if (round == 0) free_after_first = physinfo().free_pages; // it filled caches of the hypervisor
    }
    // A page lost in each round would be seven; the incumbent's count of free pages wavers by one or two.
    expect(wait_for([&] { return physinfo().free_pages + 4 >= free_after_first; }), "all memory is free again");
    conclude();
}
