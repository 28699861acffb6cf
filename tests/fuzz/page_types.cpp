// SPDX-License-Identifier: GPL-2.0-only

// Two domains with page tables of every shape: each operation of the interface, preempted at any entry, while other CPUs
// map grants, write memory and give frames back in the middle of it. After each step all references are recounted.

#include "../unit/page_types_world.hpp"
#include "input.hpp"

using namespace streak;
using namespace streak::page_types_test;

namespace {

fuzz::Fault lost_reference("lost-reference"), writable_table("writable-table");

/// Four levels of tables and some data for the domain whose frames begin with `first`.
void prepare(FakeMachine& m, unsigned first) {
    for (unsigned level = 0; level < 4; ++level)
        m.memory[first + level][0] = m.entry(first + level + 1, pte::present | (level ? pte::writable : 0));
    m.memory[first + 3][1] = m.entry(first + 5, pte::present);
    m.memory[first][272] = m.entry(first, pte::present);
}

/// As if a check were missing.
void open_a_table(FakeMachine& m) {
    for (PageInfo& p : m.pages)
        if (type_bits::type(p.type) == PageType::l1 && type_bits::count(p.type) != 0 && p.type & type_bits::validated) {
            m.entries(p)[7] = m.entry(m.index(p), pte::present | pte::user | pte::writable);
            ++p.count, ++p.type;
        }
}

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t bytes) {
    fuzz::Input input(data, bytes);
    constexpr unsigned others = 16;
    World world([&](unsigned n) { return input.pick(n); }, others);
    prepare(world.m, 0);
    prepare(world.m, frame_count - others);
    for (unsigned steps = 0; !input.empty() && steps < 300; ++steps) {
        const unsigned kind = input.byte();
        unsigned quiet = kind % 16; // looks at memory before others do something
        world.m.meanwhile = [&] {
            if (!input.empty() && quiet-- == 0) {
                world.step_without_lock();
                quiet = input.pick(16);
            }
        };
        world.m.loses_a_put = lost_reference && steps == 1;
        if (kind == 0xff) (void)world.die(world.some_guest());
        else world.step();
        world.m.meanwhile = {};
        if (writable_table) open_a_table(world.m);
        world.check();
    }
    world.tear_down();
    return 0;
}
