// SPDX-License-Identifier: GPL-2.0-only
#include "hypercall/dispatch.hpp"

#include "arch/handlers.hpp"
#include "hypercall/handlers.hpp"

namespace streak::hypercall {

namespace {

/// The SYSCALL instruction; a preempted call is made again by going back over it.
constexpr u64 syscall_bytes = 2;

// entry.S takes a Return out of RAX (value or error) and DL (is it a value?).
static_assert(sizeof(Return) == 16 && std::is_trivially_copy_constructible_v<Return> &&
              std::is_trivially_destructible_v<Return>);

} // namespace

void set_argument(unsigned index, u64 value) {
    Vcpu& v = current();
    if (v.multicall_entry) {
        v.multicall_entry->args[index] = value;
        return;
    }
    u64* const registers[] = {&v.regs.rdi, &v.regs.rsi, &v.regs.rdx, &v.regs.r10, &v.regs.r8, &v.regs.r9};
    *registers[index] = value;
}

Return multicall(GuestHandle<multicall_entry_t> list, u32 count) {
    Vcpu& v = current();
    if (v.multicall_entry) return fail(Errno::EINVAL);
    TRY(may(xsm::Hook::multicall, caller()));

    for (u32 i = 0; i < count; ++i) {
        TRY_ASSIGN(call, list.read(i));
        const auto& a = call.args;

        v.multicall_entry = &call;
        const Return result = call.op < table_size ? (*table_in_use)[call.op](a[0], a[1], a[2], a[3], a[4], a[5])
                                                   : Return(fail(Errno::ENOSYS));
        v.multicall_entry = nullptr;

        if (!result && result.error() == Errno::ERESTART) {
            TRY(list.write(call, i));
            return continue_list<0>(list, count, i);
        }
        // An iret leaves the list: the registers are those of the returned-to context.
        if (call.op == __HYPERVISOR_iret) return result;
        call.result = static_cast<xen_ulong_t>(value_of(result));
        TRY(list.write(call, i));
        if (i + 1 < count && preempt_pending()) return continue_list<0>(list, count, i + 1);
    }
    return 0;
}

} // namespace streak::hypercall

using namespace streak;

extern "C" void handle_failed_hypercall(u32 error) {
    arch::Registers& r = current().regs;
    if (static_cast<Errno>(error) == Errno::ERESTART) r.rip -= hypercall::syscall_bytes;
    else r.rax = static_cast<u64>(-static_cast<i64>(error));
}
