// SPDX-License-Identifier: GPL-2.0-only
//
// The story: random hypercalls with random arguments: bad addresses, huge counts, and structures full of
// values that are almost right. Every call has to come back with a number, the hypervisor has to stay alive,
// and what the guest holds (its tables, its pages, its ports) has to be as before. Calls that lawfully end or
// rewire the guest or the machine are left out. A seed on the command line (seed=N) repeats a run.

#include "tests/guests/lib/cpu.hpp"
#include "tests/guests/lib/paging.hpp"
#include "tests/guests/lib/random.hpp"
#include "tests/guests/lib/trap.hpp"
#include "tests/guests/lib/verdict.hpp"

using namespace guest;

namespace {

constexpr unsigned steps = 30000;
constinit Page* scratch = nullptr;

/// Hypercalls whose random success is harmless to the test itself.
constexpr unsigned numbers[] = {
    __HYPERVISOR_mmu_update,
    __HYPERVISOR_fpu_taskswitch,
    __HYPERVISOR_get_debugreg,
    __HYPERVISOR_update_descriptor,
    __HYPERVISOR_memory_op,
    __HYPERVISOR_update_va_mapping,
    __HYPERVISOR_xen_version,
    __HYPERVISOR_grant_table_op,
    __HYPERVISOR_vm_assist,
    __HYPERVISOR_vcpu_op,
    __HYPERVISOR_mmuext_op,
    __HYPERVISOR_xsm_op,
    __HYPERVISOR_event_channel_op,
    __HYPERVISOR_hvm_op,
    __HYPERVISOR_tmem_op,
    __HYPERVISOR_xenpmu_op,
    __HYPERVISOR_dm_op,
    __HYPERVISOR_hypfs_op,
    __HYPERVISOR_mca,
    __HYPERVISOR_update_va_mapping_otherdomain,
};

u64 random_word(Random& random) {
    switch (random.below(8)) {
    case 0: return random.below(64);
    case 1: return random.next();
    case 2: return std::bit_cast<u64>(scratch) + random.below(4096);
    case 3: return HYPERVISOR_VIRT_START + (random.next() & 0x7fffffffff8);
    case 4:
        // Powers of two, but none that could be a frame or machine address of our own.
        return random.below(2) ? 1ull << random.below(12) : 1ull << (41 + random.below(23));
    case 5: return DOMID_SELF + random.below(4);
    case 6: return ~static_cast<u64>(random.below(16));
    default: return 0;
    }
}

/// Our own vCPU must not be switched off or moved, and only the scratch page may be remapped.
bool harmless(unsigned number, const u64 (&a)[5]) {
    if (number == __HYPERVISOR_vcpu_op)
        return a[0] == VCPUOP_is_up || a[0] > VCPUOP_register_vcpu_time_memory_area ||
               a[0] == VCPUOP_get_runstate_info || a[0] == VCPUOP_initialise || a[0] == VCPUOP_up;
    if (number == __HYPERVISOR_update_va_mapping || number == __HYPERVISOR_update_va_mapping_otherdomain)
        return a[0] < virtual_base;
    return true;
}

/// Gives most calls a command, a pointer to the scratch page and a short count: a long one would lawfully
/// let the hypervisor write its answers all over the guest.
void shape(Random& random, unsigned number, u64 (&a)[5]) {
    const u64 inside = std::bit_cast<u64>(scratch) + 8 * random.below(500);
    const bool list_first = number == __HYPERVISOR_mmu_update || number == __HYPERVISOR_mmuext_op;
    if (random.below(2)) a[0] = list_first ? inside : random.below(24);
    if (random.below(2)) a[1] = inside;
    (list_first ? a[1] : a[2]) = random.below(8);
}

} // namespace

GUEST("hypercall-fuzz") {
    Random random(choose_seed());
    Line() << "seed=" << random.seed();
    scratch = alloc_pages(16); // room for answers longer than a page
    unsigned done = 0, succeeded = 0, strange = 0;
    for (unsigned i = 0; i < steps; ++i) {
        for (unsigned word = 0; word < 16; ++word) scratch->word[random.below(512)] = random_word(random);
        const unsigned number = numbers[random.below(std::size(numbers))];
        u64 a[5];
        for (u64& argument : a) argument = random_word(random);
        shape(random, number, a);
        if (!harmless(number, a)) continue;
        const long result = bare_hypercall(number, a[0], a[1], a[2], a[3], a[4]);
        ++done;
        succeeded += result >= 0;
        if (result < -1000 && number != __HYPERVISOR_get_debugreg) {
            ++strange;
            Line() << "hypercall " << number << "(" << Hex{a[0]} << ", " << Hex{a[1]} << ", " << Hex{a[2]} << ") gives "
                   << Hex{static_cast<u64>(result)};
        }
    }
    Line() << done << " calls, " << succeeded << " succeeded";
    expect_eq(strange, 0, "every result is a value or an error code");
    expect(done > steps / 2 && succeeded > 100, "enough calls were made");
    expect_eq(xen_version(XENVER_version), 4 << 16 | 17, "the hypervisor lives on");
    expect_error(update_va_mapping(boot_info().pt_base, pte(root_mfn(), pte_rw)), "the page tables are protected");
    Page* page = alloc_page();
    expect_eq(make_readonly(page), 0, "pages can be remapped");
    expect_eq(pin(1, page), 0, "pinned");
    expect_eq(unpin(page), 0, "and unpinned");
}
