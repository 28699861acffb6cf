// SPDX-License-Identifier: GPL-2.0-only
//
// The story: dom0 drives real devices by IN and OUT, yet it runs in ring 3. The hypervisor executes the ports
// dom0 may have, virtualises the few it keeps to itself, and lets a user through only by IOPL or bitmap.

#include "tests/guests/lib/cpu.hpp"
#include "tests/guests/lib/user.hpp"
#include "tests/guests/lib/verdict.hpp"

using namespace guest;

namespace {

USER_CODE void user_port() { asm volatile("inb $0x71, %%al; int3" ::: "rax"); }

long set_iopl(u32 level) {
    physdev_set_iopl_t op = {.iopl = level};
    return physdev_call(PHYSDEVOP_set_iopl, &op);
}

u8 read_clock(u8 index) {
    outb(0x70, index);
    return inb(0x71);
}

void check_kernel_level() {
    expect_eq(set_iopl(4), -XEN_EINVAL, "an I/O privilege level of 4");
    expect_eq(set_iopl(1), 0, "an I/O privilege level of 1: the kernel");
    expect_eq(read_clock(0x0d) & 0x80, 0x80, "the real-time clock says its battery is good");
    const u8 shift = read_clock(0x0b);
    expect((shift & 2) != 0, "and runs in 24-hour mode");
}

void check_widths() {
    outl(0xcf8, 0x80000000);
    expect_eq(inl(0xcf8), 0x80000000, "the PCI address register holds what is written");
    const u32 host = inl(0xcfc);
    expect(host != 0xffffffff && host != 0, "the host bridge answers");
    Line() << "host bridge " << Hex{host};
    u16 vendor = 0;
    asm volatile("inw %w1, %0" : "=a"(vendor) : "Nd"(0xcfc));
    expect_eq(vendor, host & 0xffff, "16 bits of it");
    expect_eq(inb(0xcfd), host >> 8 & 0xff, "one byte of it");
    outl(0xcf8, 0x80000000 | 31 << 11 | 7 << 8);
    expect_eq(inl(0xcfc), 0xffffffff, "a device that is not there reads as ones");
    outl(0xcf8, 0);

    u64 rax = 0x1122334455667788;
    asm volatile("inb $0x71, %%al" : "+a"(rax));
    expect_eq(rax & ~0xffull, 0x1122334455667700, "a byte changes one byte of rax");
    rax = 0x1122334455667788;
    asm volatile("inl %%dx, %%eax" : "+a"(rax) : "d"(0xcf8));
    expect_eq(rax >> 32, 0, "32 bits clear the upper half of rax");
}

void check_string() {
    static u8 buffer[4];
    void* to = buffer;
    u64 count = 3;
    outb(0x70, 0x0d);
    const Trap trap = catch_trap([&] { asm volatile("rep insb" : "+D"(to), "+c"(count) : "d"(0x71) : "memory"); });
    expect(!trap.taken, "REP INSB is emulated");
    expect(count == 0 && to == buffer + 3 && (buffer[2] & 0x80) != 0, "to its end");
    const Trap bad = catch_trap([] {
        void* nowhere = nullptr;
        asm volatile("insb" : "+D"(nowhere) : "d"(0x71) : "memory");
    });
    expect(bad.is(vector_pf), "INSB to nowhere is the guest's page fault");
}

void check_kept_ports() {
    // The hypervisor's own UART, interrupt controller and timer: whatever is read, nothing dies of it.
    for (u16 port : {0x20, 0x21, 0xa0, 0xa1, 0x40, 0x43, 0x3f8, 0x3fd})
        expect(!catch_trap([port] { inb(port); }).taken, "a port the hypervisor keeps can be read");
    expect_eq(inb(0x3fd), 0xff, "and shows nothing");
    outb(0x21, 0xff);
    expect_eq(xen_version(XENVER_version), 4 << 16 | 17, "a write to the interrupt controller is swallowed");
    (void)inb(0x61);
}

void check_user() {
    init_user();
    expect(run_user(user_port).is(vector_gp, 0), "a user has no ports at level 1");
    expect_eq(set_iopl(3), 0, "level 3");
    expect(run_user(user_port).is(vector_bp), "gives them to the user");
    expect_eq(set_iopl(1), 0, "level 1");
    expect(run_user(user_port).is(vector_gp, 0), "takes them away");

    Page* bitmap = alloc_pages(2);
    memset(bitmap, 0xff, 8192);
    reinterpret_cast<u8*>(bitmap)[0x71 / 8] &= static_cast<u8>(~(1u << (0x71 % 8)));
    physdev_set_iobitmap_t op = {};
    set_xen_guest_handle(op.bitmap, reinterpret_cast<u8*>(bitmap));
    op.nr_ports = 65536;
    expect_eq(physdev_call(PHYSDEVOP_set_iobitmap, &op), 0, "a bitmap with one open port");
    expect(run_user(user_port).is(vector_bp), "opens it for the user");
    op.nr_ports = 0x70;
    expect_eq(physdev_call(PHYSDEVOP_set_iobitmap, &op), 0, "a bitmap that ends before it");
    expect(run_user(user_port).is(vector_gp, 0), "closes it");
    op.nr_ports = 65537;
    expect_eq(physdev_call(PHYSDEVOP_set_iobitmap, &op), -XEN_EINVAL, "a bitmap of too many ports");
}

} // namespace

GUEST("iopl-ports") {
    expect(catch_trap([] { inb(0x71); }).is(vector_gp, 0), "no ports before PHYSDEVOP_set_iopl");
    check_kernel_level();
    check_widths();
    check_string();
    check_kept_ports();
    check_user();
}
