// SPDX-License-Identifier: GPL-2.0-only
//
// The story: a hostile kernel in a domain without privileges makes every hypercall there is, with arguments that are almost
// right (modules/fuzz), on one vCPU and on two that race for the same pages, ports and grants. Next door lives a domain
// that uses its own memory, tables, ports and hypercalls all the time and must notice nothing, and this kernel, as dom0, offers both
// ports and grants, and uses what the fuzzer grants. When the fuzzer is gone, by itself or because it has ruined itself, everything
// must be as before: ports wait again, grants are unused, all memory is free. On debug builds the hypervisor checks itself
// meanwhile (check-invariants=N). seed=N repeats a run, on one vCPU exactly; calls=N makes each round so long, rounds=N makes more.
//
// qemu: -smp 1
// module: fuzz

#include "tests/guests/lib/child.hpp"
#include "tests/guests/lib/control.hpp"
#include "tests/guests/lib/events.hpp"
#include "tests/guests/lib/grants.hpp"
#include "tests/guests/lib/random.hpp"

using namespace guest;

namespace {

constexpr u64 window = 0x40000000, place = window + 8 * page_size;
constexpr u32 first_ref = 8, accepting = 2; ///< so many of the offered references take frames
constexpr u64 ms = 1'000'000, warm_up = 2'000;

constinit Child neighbour, fuzzer;
constinit grant_entry_v1_t* table = nullptr;
constinit Page* granted = nullptr;
constinit u64 total_done = 0, total_succeeded = 0;

u64 number(std::string_view name, u64 otherwise) {
    const std::string_view line(reinterpret_cast<const char*>(boot_info().cmd_line));
    auto at = line.find(name);
    if (at == line.npos) return otherwise;
    u64 value = 0;
    for (at += name.size(); at < line.size() && line[at] >= '0' && line[at] <= '9'; ++at)
        value = value * 10 + static_cast<u64>(line[at] - '0');
    return value;
}

void pause_for(u64 ns) {
    sched_poll_t poll = {};
    poll.timeout = system_time() + ns;
    sched_op(SCHEDOP_poll, &poll);
}

void give_back(u64 mfn) {
    xen_memory_reservation_t r = {};
    set_xen_guest_handle(r.extent_start, &mfn);
    r.nr_extents = 1;
    r.domid = DOMID_SELF;
    expect_eq(memory_op(XENMEM_decrease_reservation, &r), 1, "a frame is given back");
}

bool takes_frames(unsigned offer) { return offer >= Mailbox::offers - accepting; }

void offer_grant(unsigned offer, domid_t to) {
    grant_entry_v1_t& entry = table[first_ref + offer];
    if (!takes_frames(offer))
        return grant_access(table, first_ref + offer, to, mfn_of(granted + offer), offer % 2 != 0);
    entry.domid = to;
    entry.frame = 0;
    __atomic_store_n(&entry.flags, GTF_accept_transfer, __ATOMIC_SEQ_CST);
}

/// A frame that the fuzzer gave to dom0 goes back to the hypervisor.
void take_transfers(domid_t from) {
    for (unsigned offer = 0; offer < Mailbox::offers; ++offer) {
        grant_entry_v1_t& entry = table[first_ref + offer];
        if (!takes_frames(offer) || !(__atomic_load_n(&entry.flags, __ATOMIC_ACQUIRE) & GTF_transfer_completed))
            continue;
        give_back(entry.frame);
        offer_grant(offer, from);
    }
}

void offer_everything(Mailbox& box, domid_t to) {
    for (unsigned i = 0; i < Mailbox::offers; ++i) {
        const long port = alloc_unbound(to);
        require_eq(port > 0, true, "a port for the fuzzer");
        box.control_ports[i] = static_cast<u32>(port);
        offer_grant(i, to);
        box.foreign_frames[i] = i % 2 ? mfn_of(granted + i) : neighbour.mfn(256 + i);
    }
    box.control_grant = first_ref;
}

/// What was offered is as if nobody had ever used it.
void withdraw_everything(const Mailbox& box, domid_t from) {
    long result = 0;
    for (unsigned i = 0; i < Mailbox::offers; ++i) {
        const evtchn_status_t now = status(box.control_ports[i], result);
        expect_eq(now.status, EVTCHNSTAT_unbound, "a port waits again");
        expect_eq(now.u.unbound.dom, from, "for the same domain");
        expect_eq(close_port(box.control_ports[i]), 0, "and is closed");
        const u16 flags = __atomic_load_n(&table[first_ref + i].flags, __ATOMIC_ACQUIRE);
        expect_eq(flags & (GTF_reading | GTF_writing), 0, "a grant is not in use any more");
        table[first_ref + i].flags = 0;
    }
}

/// As a backend does: maps what is granted, whatever it is, and copies.
void use_its_grants(Random& random, const Child& from) {
    const grant_ref_t ref = 8 + random.below(56);
    const long handle = map_grant(place, ref, GNTMAP_host_map | (random.below(2) ? GNTMAP_readonly : 0), from.id());
    if (handle >= 0)
        expect_eq(unmap_grant(place, static_cast<u32>(handle)), GNTST_okay, "a grant of the fuzzer is unmapped");
    gnttab_copy_t copy = {};
    copy.source.u.ref = ref;
    copy.source.domid = from.id();
    copy.dest.u.gmfn = mfn_of(granted);
    copy.dest.domid = DOMID_SELF;
    copy.len = static_cast<u16>(random.below(4096));
    copy.flags = GNTCOPY_source_gref;
    expect_eq(grant_table_op(GNTTABOP_copy, &copy), 0, "a copy of what it grants is tried");
}

void use_its_ports(Random& random, const Child& from) {
    const long port = bind_interdomain(1 + random.below(64), from.id());
    if (port > 0) {
        expect_eq(send(static_cast<u32>(port)), 0, "an event for the fuzzer");
        expect_eq(close_port(static_cast<u32>(port)), 0, "the port is closed");
    }
    expect_eq(send(fuzzer.mailbox().control_ports[random.below(Mailbox::offers)]), 0, "an event by an offered port");
}

/// Where a domain is that does not go on.
void tell_where(const Child& child) {
    static vcpu_guest_context_t c;
    for (u32 vcpu = 0; vcpu < 2; ++vcpu) {
        xen_domctl_t op = {};
        op.u.getvcpuinfo.vcpu = vcpu;
        const bool known = domctl(XEN_DOMCTL_getvcpuinfo, child.id(), op) == 0;
        const auto info = op.u.getvcpuinfo;
        op.u.vcpucontext.vcpu = vcpu;
        set_xen_guest_handle(op.u.vcpucontext.ctxt, &c);
        if (!known || domctl(XEN_DOMCTL_getvcpucontext, child.id(), op) != 0) continue;
        Line() << "vCPU " << vcpu << ": online " << info.online << ", blocked " << info.blocked << ", running "
               << info.running << ", rip " << Hex{c.user_regs.rip} << ", rax " << c.user_regs.rax << ", rdi "
               << Hex{c.user_regs.rdi} << ", rsp " << Hex{c.user_regs.rsp};
    }
}

/// The round is over when the fuzzer says so, or has shut itself down.
void follow(Random& random) {
    const Mailbox& box = fuzzer.mailbox();
    u64 last_done = 0, last_rounds = neighbour.mailbox().rounds, told = system_time(), moved = told;
    while (fuzzer.shutdown_reason() < 0) {
        pause_for(2 * ms);
        expect(!fuzzer.relay(), "the fuzzer has nothing to complain of");
        expect(!neighbour.relay(), "the neighbour has nothing to complain of");
        for (unsigned i = 0; i < 8; ++i) {
            use_its_grants(random, fuzzer);
            use_its_ports(random, fuzzer);
        }
        take_transfers(fuzzer.id());
        const u64 now = system_time();
        if (box.done != last_done) moved = now;
        last_done = box.done;
        if (now - moved > 20'000 * ms) {
            expect(false, "the fuzzer goes on");
            tell_where(fuzzer);
            break;
        }
        if (now - told < 5'000 * ms) continue;
        told = now;
        Line() << total_done + box.done << " calls, " << total_succeeded + box.succeeded << " succeeded";
    }
    fuzzer.relay();
    expect(neighbour.mailbox().rounds > last_rounds, "the neighbour has lived on");
    expect(neighbour.shutdown_reason() < 0, "and still does");
}

/// The number of calls made. A fuzzer that ruins itself makes fewer.
u64 play(const void* image, u64 seed, u64 calls, u32 vcpus) {
    Random random(seed * 2 + 1);
    fuzzer.create(image, "fuzzer", window + 2 * page_size);
    Mailbox& box = fuzzer.mailbox();
    require_eq(neighbour.mailbox().peer, fuzzer.id(), "the neighbour expects it");
    box.seed = seed;
    box.calls = calls;
    box.vcpus = vcpus;
    box.peer = neighbour.id();
    box.peer_grant = first_ref;
    for (unsigned i = 0; i < Mailbox::offers; ++i) box.peer_ports[i] = neighbour.mailbox().peer_ports[i];
    offer_everything(box, fuzzer.id());
    fuzzer.start();
    follow(random);
    total_done += box.done;
    total_succeeded += box.succeeded;
    const bool whole = box.state == Mailbox::finished;
    Line() << "seed " << seed << ", " << vcpus << " vCPUs: " << box.done << " calls, " << box.succeeded
           << " succeeded, ended " << (whole ? "as it should" : "before its time");
    const domid_t id = fuzzer.id();
    take_transfers(id);
    Mailbox offered = box;
    fuzzer.destroy();
    withdraw_everything(offered, id);
    return offered.done;
}

void start_neighbour(const void* image, domid_t fuzzer_id) {
    neighbour.create(image, "neighbour", window);
    neighbour.mailbox().role = 1;
    neighbour.mailbox().peer = fuzzer_id;
    neighbour.mailbox().seed = 7;
    neighbour.start();
    for (const u64 end = system_time() + 5'000 * ms;
         neighbour.mailbox().state != Mailbox::running && system_time() < end;)
        pause_for(ms);
    require_eq(neighbour.mailbox().state, Mailbox::running, "the neighbour lives");
}

void stop_neighbour() {
    neighbour.mailbox().stop = 1;
    for (const u64 end = system_time() + 5'000 * ms; neighbour.shutdown_reason() < 0 && system_time() < end;)
        pause_for(ms);
    neighbour.relay();
    expect_eq(neighbour.mailbox().state, Mailbox::finished, "the neighbour ends when it is told to");
    neighbour.destroy();
}

/// Fuzzers of seeds from `seed` on, each with a neighbour, until the calls are made. Domains get ids in turn: the neighbour's,
/// then the fuzzer's, of whom there were `before`. How many there are then.
u64 play_round(const void* image, u64 seed, u64 before, u64 calls, u32 vcpus) {
    constexpr u64 most_at_once = 128, most_fuzzers = 5;
    u64 fuzzers = before, made = 0;
    do {
        start_neighbour(image, static_cast<domid_t>(2 + 2 * fuzzers));
        made += play(image, seed + fuzzers, calls - made, vcpus);
        stop_neighbour();
        ++fuzzers;
    } while (made + most_at_once <= calls && fuzzers < before + most_fuzzers);
    expect(made + most_at_once > calls, "a fuzzer has lived to make its calls");
    return fuzzers;
}

} // namespace

GUEST("fuzz-domu") {
    const u64 seed = choose_seed(), calls = number("calls=", 5'000), rounds = number("rounds=", 2),
              only_vcpus = number("vcpus=", 0);
    Line() << "seed=" << seed << " calls=" << calls << " rounds=" << rounds;
    const void* image = reinterpret_cast<const void*>(boot_info().mod_start);
    require_eq(boot_info().mod_len != 0, true, "the module");
    for (u64 i = 0; i < 9; ++i)
        require_eq(map(window + i * page_size, mfn_of(alloc_page()), pte_ro), 0, "a place for foreign frames");
    granted = alloc_pages(Mailbox::offers);
    table = init_grants_v1();
    for (unsigned i = 0; i < accepting; ++i) { // room for frames that are given to dom0
        Page* page = alloc_page();
        const u64 mfn = mfn_of(page);
        require_eq(update_va_mapping(std::bit_cast<u64>(page), 0), 0, "a page");
        give_back(mfn);
    }
    // Two short rounds fill the hypervisor's caches of small objects.
    constexpr u64 warm_ups = 2, slack = 4;
    u64 free_before = 0, fuzzers = 0;
    for (u64 round = 0; round < rounds + warm_ups; ++round) {
        const u32 vcpus = only_vcpus ? static_cast<u32>(only_vcpus) : 1 + static_cast<u32>(round % 2);
        fuzzers = play_round(image, seed, fuzzers, round < warm_ups ? warm_up : calls, vcpus);
        if (round < warm_ups) free_before = free_frames();
        else expect(free_frames() + slack >= free_before, "all memory is free again");
    }
    Line() << total_done << " calls, " << total_succeeded << " succeeded";
}
