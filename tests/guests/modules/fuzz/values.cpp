// SPDX-License-Identifier: GPL-2.0-only
#include "tests/guests/modules/fuzz/values.hpp"

#include "tests/guests/lib/cpu.hpp"
#include "tests/guests/lib/trap.hpp"

namespace fuzz {

namespace {

/// What one field tells the next ones.
struct Context {
    domid_t peer = DOMID_SELF;
    u64 handle = 0;
};
constinit Context contexts[2] = {};

/// System time, roughly: the shared page may have been scribbled on.
u64 about_now() {
    const auto& time = const_cast<const volatile vcpu_time_info_t&>(this_vcpu().time);
    return time.system_time + (rdtsc() - time.tsc_timestamp) / 2;
}

u64 toy(Player& p) {
    const u64 mfn = world.mfn[p.random.below(World::toys - World::clones)];
    return mfn == no_mfn ? world.mfn[p.random.below(World::toys - World::clones)] : mfn;
}

u64 frame(Player& p) {
    switch (p.random.below(24)) {
    case 0: return world.own_frames[p.random.below(std::size(world.own_frames))];
    case 1: return world.window_table[p.random.below(3)];
    case 2: return world.box->foreign_frames[p.random.below(Mailbox::offers)];
    case 3: return world.grant_mfn[p.random.below(World::grant_frames)];
    case 4: return boot_info().shared_info >> 12;
    case 5: return 0x200 + p.random.below(200);           // the hypervisor's
    case 6: return p.one_in(2) ? 0xfee00 : 0xfeb00;       // devices
    case 7: return p.random.next() >> p.random.below(64); // most likely none
    case 8:
    case 9: return world.mfn[World::toys - 1 - p.random.below(World::clones)];
    default: return toy(p);
    }
}

/// Nothing that this kernel would miss.
u64 stray(Player& p) {
    switch (p.random.below(4)) {
    case 0: return world.box->foreign_frames[p.random.below(Mailbox::offers)];
    case 1: return 0x200 + p.random.below(200);
    case 2: return p.one_in(2) ? 0xfee00 : 0xfeb00;
    default: return p.random.next() >> p.random.below(20);
    }
}

u64 pte_value(Player& p) {
    if (p.one_in(6)) return 0;
    if (p.one_in(40)) return p.random.next();
    u64 flags = p.one_in(2) ? pte_ro : pte_rw;
    if (p.one_in(12)) flags ^= 1ull << p.random.below(12);
    if (p.one_in(12)) flags |= pte_nx;
    return pte(frame(p), flags);
}

/// Entries by which this kernel lives are left out: of the root all but a few, of the L1 tables all but the toys'.
u64 entry_address(Player& p) {
    static constexpr unsigned slots[] = {0, 1, 2, 3, 5, 255, 256, 257, 271, 272, 300, 510};
    const u64 command = p.one_in(12) ? p.random.below(8) : p.random.below(3) * (p.one_in(3) ? 1 : 0);
    const unsigned slot = slots[p.random.below(std::size(slots))];
    switch (p.random.below(8)) {
    case 0: return (world.home_pte[p.random.below(World::toys - World::clones)]) | command;
    case 1:
    case 2: return (world.window_pte + 8 * p.random.below(window_pages)) | command;
    case 3: return world.window_table[p.random.below(2)] << 12 | 8 * (1 + p.random.below(511)) | command;
    case 4: return world.own_frames[0] << 12 | 8 * (5 + p.random.below(3)) | command;
    case 5: return frame(p) << 12 | 8 * slot | MMU_MACHPHYS_UPDATE;
    case 6:
        return world.mfn[World::toys - 1 - p.random.below(World::clones)] << 12 | 8 * (slot == 4 ? 5 : slot) | command;
    default: return toy(p) << 12 | 8 * slot | command;
    }
}

u64 va(Player& p) {
    const u64 offset = p.one_in(8) ? p.random.below(4096) : 0;
    switch (p.random.below(10)) {
    case 0: return HYPERVISOR_VIRT_START + (p.random.next() & 0x7fffffff000);
    case 1: return p.random.next() >> 17; // the low half: nothing is there
    case 2:
    case 3:
    case 4: return world.toy_address(p.random.below(World::toys - World::clones)) + offset;
    default: return window + page_size * p.random.below(window_pages) + offset;
    }
}

u64 address(Player& p) {
    switch (p.random.below(6)) {
    case 0: return HYPERVISOR_VIRT_START + (p.random.next() & 0x7fffffffff8);
    case 1: return 0x800000000000 + (p.random.next() >> 20);
    case 2: return p.random.next();
    case 3: return ~static_cast<u64>(p.random.below(64));
    default: return va(p);
    }
}

template <class F> u64 list(Player& p, unsigned count, F&& item) {
    auto* at = reinterpret_cast<u64*>(p.room(count * 8));
    for (unsigned i = 0; i < count; ++i) at[i] = item(i);
    return std::bit_cast<u64>(at);
}

u64 missing_pfn(Player& p) {
    unsigned at = p.random.below(World::toys - World::clones);
    for (unsigned tries = 0; world.mfn[at] != no_mfn && tries < World::toys; ++tries)
        at = (at + 1) % (World::toys - World::clones);
    return world.first_pfn + at;
}

u64 domain(Player& p) {
    switch (p.random.below(8)) {
    case 0: return DOMID_SELF + p.random.below(6);
    case 1: return p.random.next() & 0xffff;
    case 2: return world.box->self;
    case 3:
    case 4: return world.box->peer;
    case 5: return 0;
    default: return DOMID_SELF;
    }
}

u64 choose_peer(Player& p) {
    domid_t& peer = contexts[p.id].peer;
    peer = static_cast<domid_t>(p.one_in(16)  ? domain(p)
                                : p.one_in(3) ? world.box->self
                                : p.one_in(2) ? world.box->peer
                                              : 0);
    return peer;
}

u64 peer_port(Player& p) {
    if (p.one_in(12)) return p.random.next() >> p.random.below(64);
    const domid_t peer = contexts[p.id].peer;
    const unsigned i = p.random.below(Mailbox::offers);
    if (peer == 0) return world.box->control_ports[i];
    if (peer == world.box->peer) return world.box->peer_ports[i];
    return world.unbound.pick(p.random);
}

u64 reference(Player& p) {
    if (p.one_in(12)) return p.random.next() >> p.random.below(64);
    const domid_t peer = contexts[p.id].peer;
    if (peer == 0) return world.box->control_grant + p.random.below(Mailbox::offers);
    if (peer == world.box->peer) return world.box->peer_grant + p.random.below(Mailbox::offers);
    return 8 + p.random.below(56);
}

u64 handle(Player& p) {
    const u64 known = world.handles.pick(p.random);
    contexts[p.id].handle = known == 0 ? 0 : known - 1;
    return p.one_in(16) || known == 0 ? p.random.below(2000) : known - 1;
}

u64 some_of(Player& p, u64 mask) { return p.one_in(20) ? p.random.next() : mask & p.random.next(); }

u64 gates(Player& p) {
    // Exceptions keep their gates: only software vectors change.
    const unsigned count = 1 + p.random.below(6);
    auto* table = reinterpret_cast<trap_info_t*>(p.room((count + 1) * sizeof(trap_info_t)));
    memset(table, 0, (count + 1) * sizeof(trap_info_t));
    for (unsigned i = 0; i < count; ++i)
        table[i] = {.vector = static_cast<u8>(32 + p.random.below(224)),
                    .flags = static_cast<u8>(p.random.below(8)),
                    .cs = static_cast<u16>(p.one_in(4) ? p.random.below(0x10000) : FLAT_KERNEL_CS),
                    .address = p.one_in(8) ? address(p) : std::bit_cast<u64>(&trap_stubs[32][0])};
    return std::bit_cast<u64>(table);
}

} // namespace

u64 bad_pointer(Player& p) {
    const u64 end = std::bit_cast<u64>(p.arguments) + Player::argument_pages * page_size;
    switch (p.random.below(6)) {
    case 0: return 0;
    case 1: return end - 1 - p.random.below(64); // across the end of what is mapped
    case 2: return std::bit_cast<u64>(p.arguments) + 8 * p.random.below(500) + 1 + p.random.below(7);
    default: return address(p);
    }
}

u64 choose(Player& p, Kind kind, u64 parameter) {
    switch (kind) {
    case Kind::fixed: return parameter;
    case Kind::small:
        return p.one_in(16) ? parameter + p.random.below(4) : p.random.below(static_cast<unsigned>(parameter));
    case Kind::flags: return some_of(p, parameter);
    case Kind::bits: return p.random.next() >> p.random.below(64);
    case Kind::toy: return p.one_in(16) ? stray(p) : toy(p);
    case Kind::frame: return frame(p);
    case Kind::pfn_missing: return missing_pfn(p);
    case Kind::entry_address: return entry_address(p);
    case Kind::grant_pte:
        return p.one_in(3) ? world.window_pte + 8 * p.random.below(window_pages) : va(p) & ~(page_size - 1);
    case Kind::pte: return pte_value(p);
    case Kind::va: return va(p);
    case Kind::address: return address(p);
    case Kind::toys_in: return list(p, static_cast<unsigned>(parameter), [&](unsigned) { return toy(p); });
    case Kind::missing_in: return list(p, static_cast<unsigned>(parameter), [&](unsigned) { return missing_pfn(p); });
    case Kind::frames_in: return list(p, static_cast<unsigned>(parameter), [&](unsigned) { return frame(p); });
    case Kind::ports_in: {
        auto* at = reinterpret_cast<u32*>(p.room(static_cast<unsigned>(parameter) * 4));
        for (unsigned i = 0; i < parameter; ++i) at[i] = static_cast<u32>(world.ports.pick(p.random));
        return std::bit_cast<u64>(at);
    }
    case Kind::out: return p.one_in(16) ? bad_pointer(p) : std::bit_cast<u64>(p.room(static_cast<unsigned>(parameter)));
    case Kind::bitmap: return list(p, 1, [&](unsigned) { return p.random.below(8); });
    case Kind::port: return p.one_in(16) ? p.random.next() >> p.random.below(64) : world.ports.pick(p.random);
    case Kind::unbound_here: return p.one_in(4) ? world.ports.pick(p.random) : world.unbound.pick(p.random);
    case Kind::peer_port: return peer_port(p);
    case Kind::dom: return domain(p);
    case Kind::own_dom: contexts[p.id].peer = world.box->self; return p.one_in(10) ? domain(p) : DOMID_SELF;
    case Kind::peer: return choose_peer(p);
    case Kind::vcpu: return p.one_in(12) ? p.random.next() >> p.random.below(64) : p.random.below(World::vcpus);
    case Kind::spare_vcpu: return World::first_spare_vcpu + p.random.below(World::vcpus - World::first_spare_vcpu);
    case Kind::ref: return reference(p);
    case Kind::own_ref: return p.one_in(12) ? p.random.next() >> p.random.below(64) : 8 + p.random.below(56);
    case Kind::handle: return handle(p);
    case Kind::handle_address: return p.one_in(16) ? va(p) : world.handle_address[contexts[p.id].handle % 2048];
    case Kind::handle_device: return p.one_in(16) ? p.random.next() : world.handle_device[contexts[p.id].handle % 2048];
    case Kind::root:
        return p.one_in(6) ? 0x200 + p.random.below(200) : world.mfn[World::toys - 1 - p.random.below(World::clones)];
    case Kind::soon: return p.one_in(8) ? p.random.next() >> p.random.below(64) : about_now() + p.random.below(200'000);
    case Kind::entry_point: {
        const char* const entries[] = {event_entry, failsafe_entry, syscall_entry};
        return p.one_in(6) ? 0x8000000000000000 | p.random.next() >> 1 : std::bit_cast<u64>(entries[parameter]);
    }
    case Kind::gates: return gates(p);
    }
    return 0;
}

} // namespace fuzz
