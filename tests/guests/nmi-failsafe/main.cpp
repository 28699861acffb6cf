// SPDX-License-Identifier: GPL-2.0-only
//
// The story: callbacks are the doors into the guest. A bad address must be refused at registration, an NMI
// must come once, not nested and never on another vCPU's behalf, and a return to a broken context must end in
// the guest (failsafe callback or #GP), not in the hypervisor.
//
// again: xpti=yes

#include "tests/guests/lib/paging.hpp"
#include "tests/guests/lib/trap.hpp"
#include "tests/guests/lib/verdict.hpp"

using namespace guest;

namespace {

long unregister(u16 type) {
    callback_unregister_t request = {};
    request.type = type;
    return hypercall(__HYPERVISOR_callback_op, CALLBACKOP_unregister, &request);
}

void check_registration() {
    for (u16 type : {CALLBACKTYPE_event, CALLBACKTYPE_failsafe, CALLBACKTYPE_syscall, CALLBACKTYPE_nmi}) {
        expect_eq(register_callback(type, reinterpret_cast<const char*>(0x8000000000000000)), -XEN_EINVAL,
                  "a non-canonical address");
    }
    expect_eq(register_callback(CALLBACKTYPE_event, event_entry, CALLBACKF_mask_events), 0, "event");
    expect_eq(register_callback(CALLBACKTYPE_failsafe, failsafe_entry, CALLBACKF_mask_events), 0, "failsafe");
    expect_eq(register_callback(CALLBACKTYPE_syscall, syscall_entry, CALLBACKF_mask_events), 0, "syscall");
    register_callback(CALLBACKTYPE_syscall32, syscall32_entry, CALLBACKF_mask_events);
    expect_error(register_callback(99, event_entry), "an unknown type");
    expect_error(register_callback(6, event_entry), "a type without a meaning");
    for (u16 type : {CALLBACKTYPE_event, CALLBACKTYPE_failsafe, CALLBACKTYPE_syscall})
        expect_error(unregister(type), "only the NMI callback can be taken back");
    callback_register_t request = {};
    expect_error(hypercall(__HYPERVISOR_callback_op, 99, &request), "an unknown operation");
}

constinit unsigned nmis = 0;
constinit unsigned depth = 0;
constinit unsigned deepest = 0;

bool on_nmi(Frame& frame) {
    ++nmis;
    ++depth;
    deepest = depth > deepest ? depth : deepest;
    expect_eq(frame.cs & 0xffff, kernel_cs_in_frame, "the NMI frame shows the kernel");
    if (nmis == 1) expect_eq(vcpu_op(VCPUOP_send_nmi, 0), 0, "an NMI sent inside the handler");
    xen_version(XENVER_version);
    --depth;
    return true;
}

void check_nmi() {
    set_trap_hook(entry_nmi, on_nmi);
    xennmi_callback_t callback = {.handler_address = std::bit_cast<u64>(&nmi_entry[0]), .pad = 0};
    expect_eq(hypercall(__HYPERVISOR_nmi_op, XENNMI_register_callback, &callback), 0, "nmi_op registers");
    expect_eq(hypercall(__HYPERVISOR_nmi_op, XENNMI_unregister_callback, nullptr), 0, "and unregisters");
    expect_eq(register_callback(CALLBACKTYPE_nmi, nmi_entry), 0, "callback_op registers");
    expect_eq(vcpu_op(VCPUOP_send_nmi, 0), 0, "an NMI to oneself");
    xen_version(XENVER_version);
    expect_eq(nmis, 2, "arrives, and so does the one sent meanwhile");
    expect_eq(deepest, 1, "but not nested");
    expect_error(vcpu_op(VCPUOP_send_nmi, 4000), "an NMI to a vCPU that is not there");
    expect_eq(unregister(CALLBACKTYPE_nmi), 0, "the callback is taken back");
    // Whether vector 2 of the trap table then gets the NMI is not laid down; the callback must not.
    set_trap_hook(vector_nmi, [](Frame&) { return true; });
    vcpu_op(VCPUOP_send_nmi, 0);
    xen_version(XENVER_version);
    expect_eq(nmis, 2, "and is not called again");
    set_trap_hook(vector_nmi, nullptr);
}

/// Returns by the iret hypercall to a frame with the given cs, ss and rip.
[[noreturn]] void iret_to(u64 rip, u64 cs, u64 ss) {
    asm volatile("movq %%rsp, %%rbx\n"
                 "pushq %2\n pushq %%rbx\n pushq $2\n pushq %1\n pushq %0\n"
                 "pushq $0\n pushq $0\n pushq $0\n pushq $0\n"
                 "movl $23, %%eax\n syscall\n ud2"
                 :
                 : "r"(rip), "r"(cs), "r"(ss)
                 : "rbx", "rax", "rcx", "r11", "memory");
    __builtin_unreachable();
}

void check_broken_return() {
    const u64 good = std::bit_cast<u64>(&check_registration);
    const auto ends_in_guest = [](const Trap& trap) {
        return trap.is(entry_failsafe) || trap.is(vector_gp) || trap.is(vector_np) || trap.is(vector_ss);
    };
    // The level bits of cs choose between kernel and user; these selectors stay in the kernel.
    expect(ends_in_guest(catch_trap([good] { iret_to(good, 0x1000, FLAT_KERNEL_SS); })), "a cs without a descriptor");
    expect(ends_in_guest(catch_trap([good] { iret_to(good, kernel_cs_in_frame, 0x1000); })),
           "an ss without a descriptor");
    expect(ends_in_guest(catch_trap([] { iret_to(0x8000000000000000, kernel_cs_in_frame, FLAT_KERNEL_SS); })),
           "a non-canonical rip");
    expect(catch_trap([] { iret_to(0x1234567000, kernel_cs_in_frame, FLAT_KERNEL_SS); }).is(vector_pf),
           "an unmapped rip is a page fault");
    if (last_trap().is(vector_pf)) expect_eq(last_trap().frame.rip, 0x1234567000, "at that rip");
    expect_eq(xen_version(XENVER_version), 4 << 16 | 17, "the guest lives on");
}

} // namespace

GUEST("nmi-failsafe") {
    check_registration();
    check_nmi();
    check_broken_return();
}
