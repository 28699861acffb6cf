// SPDX-License-Identifier: GPL-2.0-only
#pragma once

#include <bit>
#include <string_view>
#include <type_traits>

#include "tests/guests/lib/boot.hpp"

namespace guest {

extern "C" char hypercall_page[4096];

template <typename T> u64 to_word(T value) {
    if constexpr (std::is_pointer_v<T> || std::is_null_pointer_v<T>) return std::bit_cast<u64>(value);
    else return static_cast<u64>(value);
}

/// Calls hypercall `number` through the hypercall page; missing arguments are zero.
template <typename... A> long hypercall(unsigned number, A... arguments) {
    static_assert(sizeof...(A) <= 5);
    u64 a[6] = {to_word(arguments)...};
    u64 result = std::bit_cast<u64>(&hypercall_page[number * 32]);
    register u64 r10 asm("r10") = a[3];
    register u64 r8 asm("r8") = a[4];
    asm volatile("call *%0"
                 : "+a"(result), "+D"(a[0]), "+S"(a[1]), "+d"(a[2]), "+r"(r10), "+r"(r8)
                 :
                 : "rcx", "r11", "r9", "memory", "cc");
    return static_cast<long>(result);
}

/// The same by a SYSCALL instruction of our own, as newer kernels do it.
template <typename... A> long bare_hypercall(u64 number, A... arguments) {
    static_assert(sizeof...(A) <= 5);
    u64 a[6] = {to_word(arguments)...};
    register u64 r10 asm("r10") = a[3];
    register u64 r8 asm("r8") = a[4];
    asm volatile("syscall"
                 : "+a"(number), "+D"(a[0]), "+S"(a[1]), "+d"(a[2]), "+r"(r10), "+r"(r8)
                 :
                 : "rcx", "r11", "r9", "memory", "cc");
    return static_cast<long>(number);
}

inline long xen_version(int command, void* argument = nullptr) {
    return hypercall(__HYPERVISOR_xen_version, command, argument);
}
/// For what only Streak promises.
inline bool is_streak() {
    xen_extraversion_t extra = {};
    return xen_version(XENVER_extraversion, extra) == 0 && std::string_view(extra).ends_with("streak");
}
inline long memory_op(int command, void* argument) { return hypercall(__HYPERVISOR_memory_op, command, argument); }
inline long event_channel_op(int command, void* argument) {
    return hypercall(__HYPERVISOR_event_channel_op, command, argument);
}
inline long grant_table_op(int command, void* argument, unsigned count = 1) {
    return hypercall(__HYPERVISOR_grant_table_op, command, argument, count);
}
inline long vcpu_op(int command, unsigned vcpu, void* argument = nullptr) {
    return hypercall(__HYPERVISOR_vcpu_op, command, vcpu, argument);
}
inline long sched_op(int command, void* argument = nullptr) {
    return hypercall(__HYPERVISOR_sched_op, command, argument);
}
inline long physdev_call(int command, void* argument) { return hypercall(__HYPERVISOR_physdev_op, command, argument); }
inline long mmuext_ops(mmuext_op_t* ops, unsigned count, u32* done = nullptr, domid_t domain = DOMID_SELF) {
    return hypercall(__HYPERVISOR_mmuext_op, ops, count, done, domain);
}
inline long mmu_update_op(mmu_update_t* ops, unsigned count, u32* done = nullptr, unsigned domain = DOMID_SELF) {
    return hypercall(__HYPERVISOR_mmu_update, ops, count, done, domain);
}
inline long set_timer(u64 deadline_ns) { return hypercall(__HYPERVISOR_set_timer_op, deadline_ns); }
inline long multicall(multicall_entry_t* calls, unsigned count) {
    return hypercall(__HYPERVISOR_multicall, calls, count);
}

/// Stops the machine, or this guest; does not come back.
[[noreturn]] void power_off();

} // namespace guest
