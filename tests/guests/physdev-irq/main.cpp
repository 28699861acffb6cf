// SPDX-License-Identifier: GPL-2.0-only
//
// The story: dom0 drives the devices, so their interrupts have to become its events: one for each interrupt,
// held back until dom0 acknowledges it, and never for a line somebody else has. The real-time clock is set to
// interrupt 64 times a second on line 8, and its events are counted.

#include "tests/guests/lib/cpu.hpp"
#include "tests/guests/lib/events.hpp"
#include "tests/guests/lib/trap.hpp"
#include "tests/guests/lib/verdict.hpp"

using namespace guest;

namespace {

constexpr u32 clock_line = 8;

u8 read_clock(u8 index) {
    outb(0x70, index);
    return inb(0x71);
}

void write_clock(u8 index, u8 value) {
    outb(0x70, index);
    outb(0x71, value);
}

long bind_pirq(u32 pirq) {
    evtchn_bind_pirq_t op = {.pirq = pirq, .flags = 0, .port = 0};
    const long result = event_channel_op(EVTCHNOP_bind_pirq, &op);
    return result != 0 ? result : op.port;
}

long map_line(int line, int& pirq) {
    physdev_map_pirq_t op = {};
    op.domid = DOMID_SELF;
    op.type = MAP_PIRQ_TYPE_GSI;
    op.index = line;
    op.pirq = pirq;
    const long result = physdev_call(PHYSDEVOP_map_pirq, &op);
    pirq = op.pirq;
    return result;
}

bool pending_within(u32 port, u64 milliseconds) {
    const u64 until = system_time() + milliseconds * 1'000'000;
    while (!port_pending(port))
        if (system_time() > until) return false;
    return true;
}

void check_interrupts(u32 port, u32 pirq) {
    mask_port(port);
    expect(!pending_within(port, 50), "no event before the device interrupts");
    write_clock(0x0a, static_cast<u8>((read_clock(0x0a) & 0xf0) | 10)); // 64 Hz
    write_clock(0x0b, static_cast<u8>(read_clock(0x0b) | 0x40));        // periodic interrupt
    unsigned seen = 0;
    for (; seen < 10 && pending_within(port, 2000); ++seen) {
        clear_port(port);
        expect((read_clock(0x0c) & 0x40) != 0, "the device says it interrupted");
        physdev_eoi_t done = {.irq = pirq};
        expect_eq(physdev_call(PHYSDEVOP_eoi, &done), 0, "PHYSDEVOP_eoi");
    }
    expect_eq(seen, 10, "each interrupt of the device is an event");
    write_clock(0x0b, static_cast<u8>(read_clock(0x0b) & ~0x40));
    read_clock(0x0c);
    physdev_eoi_t done = {.irq = pirq};
    physdev_call(PHYSDEVOP_eoi, &done);
    pending_within(port, 50);
    clear_port(port);
    expect(!pending_within(port, 100), "a device that is off is silent");
}

void check_refusals(u32 pirq) {
    expect_error(bind_pirq(pirq), "a line is bound once");
    expect_error(bind_pirq(0xffffffff), "a line that is not there");
    expect_error(bind_pirq(100000), "nor that one");
    int wanted = -1;
    expect_error(map_line(100000, wanted), "a line beyond the machine's");
    wanted = 1 << 20;
    expect_error(map_line(9, wanted), "a name beyond the table");
    physdev_irq_status_query_t query = {.irq = 0x7fffffff, .flags = 0};
    expect_error(physdev_call(PHYSDEVOP_irq_status_query, &query), "the status of a line that is not there");
    physdev_eoi_t done = {.irq = 0x7fffffff};
    expect_error(physdev_call(PHYSDEVOP_eoi, &done), "an acknowledgement of it");
    expect_error(physdev_call(99, &done), "an unknown operation");
}

} // namespace

GUEST("physdev-irq") {
    physdev_set_iopl_t level = {.iopl = 1};
    require_eq(physdev_call(PHYSDEVOP_set_iopl, &level), 0, "ports for the kernel");
    int pirq = clock_line;
    require_eq(map_line(clock_line, pirq), 0, "the clock's line gets a name");
    expect_eq(pirq, clock_line, "the one that was asked for");
    physdev_irq_t vector = {.irq = clock_line, .vector = 0};
    expect_eq(physdev_call(PHYSDEVOP_alloc_irq_vector, &vector), 0, "PHYSDEVOP_alloc_irq_vector");
    physdev_irq_status_query_t query = {.irq = clock_line, .flags = 0};
    expect_eq(physdev_call(PHYSDEVOP_irq_status_query, &query), 0, "PHYSDEVOP_irq_status_query");

    const long port = bind_pirq(clock_line);
    require_eq(port > 0, true, "the line is bound");
    long result;
    const evtchn_status_t state = status(static_cast<u32>(port), result);
    expect(result == 0 && state.status == EVTCHNSTAT_pirq && state.u.pirq == clock_line, "its status says so");
    check_interrupts(static_cast<u32>(port), clock_line);
    check_refusals(clock_line);
    expect_eq(close_port(static_cast<u32>(port)), 0, "the port is closed");
    expect(bind_pirq(clock_line) > 0, "and the line can be bound again");
}
