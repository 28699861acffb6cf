// SPDX-License-Identifier: GPL-2.0-only
//
// The story: which paths are slow? Under `-icount shift=0` the time stamp counter counts instructions, so
// each operation is repeated between two RDTSC and the smallest average of several rounds is printed as
// `BENCH name value`, in instructions per operation. The same binary runs on every hypervisor.
//
// qemu: -icount shift=0,sleep=off

#include "tests/guests/bench/fast_entry.hpp"

#include "tests/guests/lib/boot.hpp"
#include "tests/guests/lib/cpu.hpp"
#include "tests/guests/lib/events.hpp"
#include "tests/guests/lib/grants.hpp"
#include "tests/guests/lib/user.hpp"
#include "tests/guests/lib/verdict.hpp"

using namespace guest;

namespace {

constexpr unsigned rounds = 8;

/// Prints the least number of instructions per operation; `batch` operations happen in each call.
template <typename F> void bench(std::string_view name, F operation, unsigned times = 100, unsigned batch = 1) {
    u64 least = ~0ull;
    for (unsigned round = 0; round < rounds; ++round) {
        const u64 start = rdtsc();
        for (unsigned i = 0; i < times; ++i) operation();
        const u64 average = (rdtsc() - start) / times / batch;
        least = average < least ? average : least;
    }
    Line() << "BENCH " << name << " " << least;
}

void check(long result) {
    if (result != 0) [[unlikely]]
        error("an operation that is measured failed");
}

void bench_calls() {
    bench("null_hypercall", [] { xen_version(XENVER_version); });
    static multicall_entry_t calls[32] = {};
    for (auto& entry : calls) entry.op = __HYPERVISOR_xen_version;
    bench("multicall_entry", [] { check(multicall(calls, 32)); }, 20, 32);
    bench("sched_yield", [] { check(sched_op(SCHEDOP_yield)); });
    bench("set_timer_op", [] { check(set_timer(1ull << 45)); });
    check(set_timer(0));
}

/// Short calls, each of another kind.
void bench_short_calls() {
    bench("vcpu_is_up", [] { check(vcpu_op(VCPUOP_is_up, 0) - 1); });
    bench("maximum_ram_page", [] { check(memory_op(XENMEM_maximum_ram_page, nullptr) <= 0); });
    bench("set_segment_base", [] { check(hypercall(__HYPERVISOR_set_segment_base, SEGBASE_FS, 0)); });
    bench("fpu_taskswitch", [] { check(hypercall(__HYPERVISOR_fpu_taskswitch, 0)); });
    bench("get_debugreg", [] { check(hypercall(__HYPERVISOR_get_debugreg, 7) == 0); });
    bench("tlb_flush_local", [] { check(mmuext(MMUEXT_TLB_FLUSH_LOCAL)); });
    bench("invlpg_local", [] { check(mmuext(MMUEXT_INVLPG_LOCAL, 0x7f0000001000)); });
    bench("stack_switch", [] { check(hypercall(__HYPERVISOR_stack_switch, FLAT_KERNEL_SS, trap_stack_end)); });
}

void bench_ports() {
    const long port = bind_ipi(0);
    if (port <= 0) error("no event channel");
    mask_port(static_cast<u32>(port));
    bench("evtchn_status", [port] {
        long result = 0;
        status(static_cast<u32>(port), result);
        check(result);
    });
    bench("evtchn_send_masked", [port] { check(send(static_cast<u32>(port))); });
    bench("evtchn_alloc_close", [] {
        const long fresh = alloc_unbound();
        check(fresh <= 0);
        check(close_port(static_cast<u32>(fresh)));
    });
    clear_port(static_cast<u32>(port)); // the next one gets its number
    check(close_port(static_cast<u32>(port)));
}

void bench_event() {
    const long port = bind_ipi(0);
    if (port <= 0) error("no event channel");
    fast_vcpu_info = std::bit_cast<u64>(&this_vcpu());
    fast_event_word = &shared_page().evtchn_pending[port / 64];
    fast_event_bit = 1ull << (port % 64);
    check(register_callback(CALLBACKTYPE_event, fast_event_entry));
    unmask_port(static_cast<u32>(port));
    unmask_events();
    bench("event_roundtrip", [port] { check(send(static_cast<u32>(port))); });
    mask_events();
    if (fast_event_count != 100 * rounds) error("events were lost");
    check(register_callback(CALLBACKTYPE_event, event_entry));
}

void bench_fault() {
    trap_info_t table[2] = {};
    table[0] = {
        .vector = vector_pf, .flags = 0, .cs = FLAT_KERNEL_CS, .address = std::bit_cast<u64>(&fast_fault_entry[0])};
    check(hypercall(__HYPERVISOR_set_trap_table, table));
    bench("page_fault_bounce", [] {
        u64 address = 0x7f0000001000;
        asm volatile("movb (%0), %%al" : "+D"(address) : : "rax", "memory");
    });
    check(install_vector(vector_pf, 0));
}

constexpr unsigned user_calls = 200;

USER_CODE void user_loop() {
    asm volatile("movl %0, %%ebx\n1: syscall\n decl %%ebx\n jnz 1b\n int3" : : "i"(user_calls) : "rbx", "rcx", "r11");
}

void bench_user() {
    check(register_callback(CALLBACKTYPE_syscall, fast_syscall_entry));
    bench("user_syscall", [] { run_user(user_loop); }, 10, user_calls);
    check(register_callback(CALLBACKTYPE_syscall, syscall_entry));
}

void bench_tables() {
    constexpr u64 window = 0x20000000000;
    Page* data = alloc_pages(2);
    check(map(window, mfn_of(data), pte_rw));
    const u64* entry = entry_of(window);
    bool odd = false;
    const auto next = [&] { return pte(mfn_of(data + (odd = !odd)), pte_rw); };
    bench("mmu_update_one", [&] { check(set_entry(entry, next())); });

    static mmu_update_t updates[128];
    for (unsigned i = 0; i < 128; ++i) updates[i] = {machine_address(entry_of(window + i * page_size)), 0};
    bench(
        "mmu_update_128",
        [&] {
            const u64 value = next();
            for (auto& update : updates) update.val = value;
            check(mmu_update_op(updates, 128));
        },
        10, 128);
    bench("update_va_mapping", [&] { check(update_va_mapping(window, next())); });
    check(hypercall(__HYPERVISOR_vm_assist, VMASST_CMD_enable, VMASST_TYPE_writable_pagetables));
    bench("emulated_pt_write", [&] { *const_cast<volatile u64*>(entry) = next(); });
}

void bench_pin() {
    Page *table = alloc_page(), *data = alloc_page();
    check(make_readonly(table));
    const auto pin_unpin = [table] {
        check(pin(1, table));
        check(unpin(table));
    };
    bench("pin_unpin_l1_empty", pin_unpin, 20);
    check(make_writable(table));
    for (u64& entry : table->word) entry = pte(mfn_of(data), pte_rw);
    check(make_readonly(table));
    bench("pin_unpin_l1_full", pin_unpin, 5);
}

void bench_bases() {
    Page* top = alloc_page();
    const u64* current = entry_of(0, 4);
    for (unsigned slot = 0; slot < 512; ++slot)
        if (slot < 256 || slot >= 272) top->word[slot] = current[slot];
    check(make_readonly(top));
    check(pin(4, top));
    const u64 roots[2] = {root_mfn(), mfn_of(top)};
    unsigned turn = 0;
    bench("new_baseptr", [&] { check(mmuext(MMUEXT_NEW_BASEPTR, roots[turn ^= 1])); });
    bench("new_user_baseptr", [&] { check(mmuext(MMUEXT_NEW_USER_BASEPTR, roots[turn ^= 1])); });
    check(mmuext(MMUEXT_NEW_USER_BASEPTR, user_root_mfn()));
}

void bench_emulation() {
    physdev_set_iopl_t level = {.iopl = 1};
    check(physdev_call(PHYSDEVOP_set_iopl, &level));
    bench("emulated_cpuid", [] { forced_cpuid(1); });
    bench("emulated_rdmsr", [] { rdmsr(0xc0000100); });
    bench("emulated_read_cr0", [] {
        u64 value;
        asm volatile("movq %%cr0, %0" : "=r"(value));
    });
    bench("emulated_inb", [] { inb(0x71); });
}

void bench_grants() {
    grant_entry_v1_t* table = init_grants_v1();
    Page *data = alloc_page(), *target = alloc_page(), *window = alloc_page();
    grant_access(table, 20, 0, mfn_of(data));
    static gnttab_copy_t op = {};
    op.source.u.ref = 20;
    op.dest.u.gmfn = mfn_of(target);
    op.dest.domid = DOMID_SELF;
    op.len = page_size;
    op.flags = GNTCOPY_source_gref;
    bench(
        "grant_copy_4k",
        [] {
            check(grant_table_op(GNTTABOP_copy, &op));
            check(op.status);
        },
        50);
    bench(
        "grant_map_unmap",
        [window] {
            const u64 address = std::bit_cast<u64>(window);
            const long handle = map_grant(address, 20, GNTMAP_host_map);
            check(handle < 0);
            check(unmap_grant(address, static_cast<u32>(handle)));
        },
        50);
}

void bench_memory() {
    Page* page = alloc_page();
    static xen_pfn_t frame;
    const u64 pfn = pfn_of(page);
    u64 mfn = mfn_of(page);
    check(update_va_mapping(std::bit_cast<u64>(page), 0));
    static xen_memory_reservation_t reservation = {};
    set_xen_guest_handle(reservation.extent_start, &frame);
    reservation.nr_extents = 1;
    reservation.domid = DOMID_SELF;
    bench(
        "give_back_get_page",
        [&] {
            frame = mfn;
            check(memory_op(XENMEM_decrease_reservation, &reservation) - 1);
            frame = pfn;
            check(memory_op(XENMEM_populate_physmap, &reservation) - 1);
            mfn = frame;
        },
        20);
}

long domctl(u32 command, domid_t domain, xen_domctl_t& op) {
    op.cmd = command;
    op.interface_version = XEN_DOMCTL_INTERFACE_VERSION;
    op.domain = domain;
    return hypercall(__HYPERVISOR_domctl, &op);
}

domid_t create_domain() {
    xen_domctl_t op = {};
    op.u.createdomain.max_vcpus = 1;
    op.u.createdomain.max_evtchn_port = 1023;
    op.u.createdomain.max_grant_frames = op.u.createdomain.max_maptrack_frames = 8;
    op.u.createdomain.grant_opts = XEN_DOMCTL_GRANT_version(1);
    check(domctl(XEN_DOMCTL_createdomain, 0, op));
    return op.domain;
}

void destroy_domain(domid_t id) {
    xen_domctl_t op = {};
    while (domctl(XEN_DOMCTL_destroydomain, id, op) != 0) continue; // the incumbent wants to be asked again
}

/// A builder writes a kernel through tables that it has made in the new domain's frames.
void bench_guest_memory() {
    constexpr unsigned pages = 64;
    static xen_pfn_t frames[5] = {0, 1, 2, 3, 4};
    static xen_domctl_t op;
    const domid_t id = create_domain();
    op.u.max_mem.max_memkb = 1024;
    check(domctl(XEN_DOMCTL_max_mem, id, op));
    xen_memory_reservation_t r = {};
    set_xen_guest_handle(r.extent_start, frames);
    r.nr_extents = 5;
    r.domid = id;
    check(memory_op(XENMEM_populate_physmap, &r) - 5);
    const u64 window = std::bit_cast<u64>(alloc_page());
    for (unsigned level = 1; level < 5; ++level) {
        mmu_update_t map = {machine_address(entry_of(window)), pte(frames[level], pte_rw)};
        check(mmu_update_op(&map, 1, nullptr, id));
        check(mmuext(MMUEXT_INVLPG_LOCAL, window));
        auto* table = reinterpret_cast<u64*>(window);
        for (unsigned i = 0; i < pages; ++i) table[i] = pte(frames[level - 1], pte_rw);
    }
    check(update_va_mapping(window, 0));
    static Page* buffer = alloc_pages(pages);
    bench(
        "write_guest_memory_page",
        [id] {
            op.u.gdbsx_guest_memio = {.pgd3val = frames[4] << 12,
                                      .gva = 0,
                                      .uva = std::bit_cast<u64>(buffer),
                                      .len = pages * u32{page_size},
                                      .gwr = 1,
                                      .remain = 0};
            check(domctl(XEN_DOMCTL_gdbsx_guestmemio, id, op));
        },
        4, pages);
    destroy_domain(id);
}

/// What the domains that are there cost the next one.
void bench_domains() {
    constexpr unsigned many = 300;
    static domid_t others[many];
    static xen_domctl_t info;
    bench("create_destroy_domain", [] { destroy_domain(create_domain()); }, 4);
    for (domid_t& id : others) id = create_domain();
    bench("create_destroy_domain_300_others", [] { destroy_domain(create_domain()); }, 4);
    bench("getdomaininfo_300_others", [] { check(domctl(XEN_DOMCTL_getdomaininfo, others[many - 1], info)); });
    for (const domid_t id : others) destroy_domain(id);
}

} // namespace

GUEST("bench") {
    init_user();
    bench_calls();
    bench_short_calls();
    bench_ports();
    bench_event();
    bench_fault();
    bench_user();
    bench_tables();
    bench_pin();
    bench_bases();
    bench_emulation();
    bench_grants();
    bench_memory();
    bench_domains();
    if (is_streak()) bench_guest_memory(); // the incumbent does not take a root that is not in use
}
