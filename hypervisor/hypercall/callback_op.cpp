// SPDX-License-Identifier: GPL-2.0-only
#include "hypercall/handlers.hpp"

namespace streak::hypercall {

namespace {

/// Where a type's entry is kept. ENOSYS: no such type; EINVAL: NMIs are vCPU 0 of dom0's.
Result<Callback*> find_callback(Vcpu& v, u16 type) {
    switch (type) {
    case CALLBACKTYPE_event: return &v.pv.event;
    case CALLBACKTYPE_failsafe: return &v.pv.failsafe;
    case CALLBACKTYPE_syscall: return &v.pv.syscall;
    case CALLBACKTYPE_syscall32: return &v.pv.syscall32;
    case CALLBACKTYPE_sysenter:
    case CALLBACKTYPE_sysenter_deprecated: return &v.pv.sysenter;
    case CALLBACKTYPE_nmi:
        if (!v.domain->privileged || v.id != VcpuId(0)) return fail(Errno::EINVAL);
        return &v.pv.nmi;
    default: return fail(Errno::ENOSYS);
    }
}

Result<> register_callback(const callback_register_t& op) {
    Vcpu& v = current();
    TRY_ASSIGN(callback, find_callback(v, op.type));
    if (!arch::is_canonical(op.address)) return fail(Errno::EINVAL);
    *callback = {.address = op.address, .masks_events = (op.flags & CALLBACKF_mask_events) != 0};
    return {};
}

/// Only the NMI entry can be taken back.
Result<> unregister_callback(const callback_unregister_t& op) {
    TRY_ASSIGN(callback, find_callback(current(), op.type));
    if (op.type != CALLBACKTYPE_nmi) return fail(Errno::EINVAL);
    *callback = {};
    return {};
}

} // namespace

/// Registers guest entries (xen/callback.h). ENOSYS, EINVAL, EFAULT.
Return callback_op(u32 cmd, RawHandle arg) {
    TRY(may(xsm::Hook::callback_op, caller()));
    switch (cmd) {
    case CALLBACKOP_register: return on_copy(arg, register_callback);
    case CALLBACKOP_unregister: return on_copy(arg, unregister_callback);
    default: return fail(Errno::ENOSYS);
    }
}

/// The older call: three entries at once. EINVAL: a non-canonical address, nothing is changed.
Return set_callbacks(u64 event, u64 failsafe, u64 syscall) {
    TRY(may(xsm::Hook::callback_op, caller()));
    if (!arch::is_canonical(event) || !arch::is_canonical(failsafe) || !arch::is_canonical(syscall))
        return fail(Errno::EINVAL);
    Vcpu& v = current();
    v.pv.event = {.address = event};
    v.pv.failsafe = {.address = failsafe};
    v.pv.syscall = {.address = syscall};
    return 0;
}

} // namespace streak::hypercall
