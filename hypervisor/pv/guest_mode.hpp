// SPDX-License-Identifier: GPL-2.0-only
#pragma once

#include "arch/mode_switch.hpp"
#include "domain/vcpu.hpp"

// Kernel and user mode of a 64-bit PV guest both run in ring 3; what differs is the page table and the GS
// base. While the hypervisor runs, the active mode's GS base is in MSR_KERNEL_GS_BASE, the other one in
// PvState.

namespace streak::pv {

/// User → kernel mode of the current vCPU.
[[gnu::always_inline]] inline void enter_kernel_mode(Vcpu& v) {
    v.in_kernel = 1;
    arch::exchange_guest_gs_base(v.pv.gs_base_user, v.pv.gs_base_kernel);
    arch::set_guest_cr3(v.root_kernel);
}

/// Kernel → user mode of the current vCPU, which has user page tables.
[[gnu::always_inline]] inline void enter_user_mode(Vcpu& v) {
    v.in_kernel = 0;
    arch::exchange_guest_gs_base(v.pv.gs_base_kernel, v.pv.gs_base_user);
    arch::set_guest_cr3(v.root_user);
}

/// Makes the kernel's address space current for a scope, whatever mode the guest is in.
class [[nodiscard]] KernelView : NotCopyable {
public:
    explicit KernelView(Vcpu& v) : vcpu_(v), toggled_(!v.in_kernel) {
        if (toggled_) enter_kernel_mode(v);
    }
    ~KernelView() {
        if (toggled_) enter_user_mode(vcpu_);
    }

private:
    Vcpu& vcpu_;
    bool toggled_;
};

} // namespace streak::pv
