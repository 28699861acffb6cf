// SPDX-License-Identifier: GPL-2.0-only
#include "tests/guests/modules/fuzz/neighbour.hpp"

#include "tests/guests/lib/events.hpp"
#include "tests/guests/lib/grants.hpp"
#include "tests/guests/lib/paging.hpp"
#include "tests/guests/lib/random.hpp"
#include "tests/guests/lib/verdict.hpp"

namespace fuzz {

using namespace guest;

namespace {

constexpr unsigned guarded = 64;
constinit Page* pages = nullptr;   ///< nobody else may write these
constinit Page* granted = nullptr; ///< the fuzzer may
constinit Page* place = nullptr;   ///< where grants of the fuzzer are mapped
constinit u32 echo = 0;            ///< a port to itself

u64 pattern(unsigned page, unsigned word) { return (page * 512 + word) * 0x9e3779b97f4a7c15 ^ 0x5eed; }

void check_memory() {
    for (unsigned i = 0; i < guarded; ++i)
        for (unsigned w = 0; w < 512; ++w)
            if (pages[i].word[w] != pattern(i, w)) {
                expect(false, "the neighbour's memory is as it was");
                pages[i].word[w] = pattern(i, w);
            }
}

void check_tables() {
    for (unsigned i = 0; i < guarded; ++i) {
        const u64 entry = *entry_of(std::bit_cast<u64>(&pages[i]));
        expect_eq((entry & pte_frame_mask) >> 12, mfn_of(&pages[i]), "its page tables are as they were");
        expect_eq(m2p(mfn_of(&pages[i])), pfn_of(&pages[i]), "and its frames are still its own");
    }
    expect_eq(make_readonly(&pages[1]), 0, "its pages can be remapped");
    expect_eq(pin(1, granted + Mailbox::offers), 0, "a table is pinned");
    expect_eq(unpin(granted + Mailbox::offers), 0, "and unpinned");
    expect_eq(make_writable(&pages[1]), 0, "and back");
}

void check_calls() {
    expect_eq(xen_version(XENVER_version), 4 << 16 | 17, "its hypercalls give what they should");
    domid_t self = DOMID_SELF;
    expect_eq(memory_op(XENMEM_current_reservation, &self), boot_info().nr_pages, "its reservation");
    clear_port(echo);
    expect_eq(send(echo), 0, "an event to itself");
    expect(port_pending(echo), "arrives");
    const long port = alloc_unbound();
    expect(port > 0, "a port");
    expect_eq(close_port(static_cast<u32>(port)), 0, "is closed");
}

/// What the fuzzer grants may be anything; here it is only used.
void use_grants(Random& random, domid_t fuzzer) {
    const long handle = map_grant(std::bit_cast<u64>(place), 8 + random.below(56), GNTMAP_host_map, fuzzer);
    if (handle < 0) return;
    place->word[random.below(512)] = random.next();
    expect_eq(unmap_grant(std::bit_cast<u64>(place), static_cast<u32>(handle)), GNTST_okay,
              "a mapped grant is unmapped");
}

} // namespace

void live_next_door(Mailbox& box) {
    pages = alloc_pages(guarded);
    for (unsigned i = 0; i < guarded; ++i)
        for (unsigned w = 0; w < 512; ++w) pages[i].word[w] = pattern(i, w);
    granted = alloc_pages(Mailbox::offers + 1);
    require_eq(make_readonly(granted + Mailbox::offers), 0, "a page for a table");
    place = alloc_page();
    grant_entry_v1_t* table = init_grants_v1();
    for (unsigned i = 0; i < Mailbox::offers; ++i) {
        grant_access(table, 8 + i, box.peer, mfn_of(granted + i), i % 2 != 0);
        const long port = alloc_unbound(box.peer);
        require_eq(port > 0, true, "a port for the fuzzer");
        box.peer_ports[i] = static_cast<u32>(port);
    }
    const long ipi = bind_ipi();
    require_eq(ipi > 0, true, "a port of its own");
    echo = static_cast<u32>(ipi);
    Random random(box.seed);
    box.state = Mailbox::running;
    while (__atomic_load_n(&box.stop, __ATOMIC_ACQUIRE) == 0) {
        check_memory();
        check_tables();
        check_calls();
        for (unsigned i = 0; i < 16; ++i) {
            use_grants(random, box.peer);
            send(box.peer_ports[random.below(Mailbox::offers)]);
        }
        ++box.rounds;
        sched_op(SCHEDOP_yield);
    }
    for (unsigned i = 0; i < Mailbox::offers; ++i) table[8 + i].flags = 0;
}

} // namespace fuzz
