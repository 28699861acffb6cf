// SPDX-License-Identifier: GPL-2.0-only
#pragma once

#include "arch/percpu.hpp"
#include "arch/registers.hpp"
#include "domain/vcpu_sched.hpp"
#include "lib/spinlock.hpp"
#include "mm/page.hpp"

namespace streak {

struct Domain;
namespace mm {
template <class Env> class SoftTlb;
struct SoftTlbEnv;
using HostSoftTlb = SoftTlb<SoftTlbEnv>;
} // namespace mm

/// One entry of a guest's virtual IDT (xen/arch-x86/xen.h, trap_info).
struct TrapEntry {
    u64 address = 0;
    u16 cs = 0;
    u8 dpl = 0;
    bool masks_events = false;
};

/// A registered guest entry (CALLBACKOP_register).
struct Callback {
    u64 address = 0;
    bool masks_events = false;
};

/// The state of a PV processor that its hypercalls and emulated instructions set.
struct PvState {
    std::array<TrapEntry, 256> traps;
    u64 kernel_ss = 0, kernel_sp = 0; ///< stack_switch
    Callback event, failsafe, syscall, syscall32, sysenter, nmi;

    std::array<mm::PageInfo*, 16> gdt_frames{}; ///< segment_descriptor references; [0, gdt_frame_count)
    u32 gdt_frame_count = 0;
    u32 gdt_entries = 0;
    u64 ldt_base = 0; ///< guest virtual address
    u32 ldt_entries = 0;
    std::array<mm::PageInfo*, 16> ldt_frames{}; ///< mapped LDT pages, with references

    u64 cr0 = 0; ///< as the guest sees it (TS)
    u64 cr2 = 0; ///< kept in vcpu_info.arch.cr2, too
    u64 cr4 = 0;
    std::array<u64, 8> dr{}; ///< 0-3, 6, 7
    u64 xcr0 = 1;
    u64 tsc_aux = 0;

    u64 fs_base = 0;
    u64 gs_base_kernel = 0;             ///< the GS base of the mode that is not active lives here:
    u64 gs_base_user = 0;               ///< kernel's while in user mode, user's while in kernel mode
    u16 ds = 0, es = 0, fs = 0, gs = 0; ///< saved while the vCPU is off its CPU

    u8 iopl = 0;      ///< virtual IOPL (PHYSDEVOP_set_iopl)
    u64 iobitmap = 0; ///< guest pointer (PHYSDEVOP_set_iobitmap)
    u32 iobitmap_ports = 0;

    bool in_nmi = false;    ///< the NMI handler runs: until its iret
    bool nmi_waits = false; ///< one more came meanwhile
};

/// Reasons to enter the slow exit path, besides a pending event; bits of Vcpu::exit_work.
enum class ExitWork : u8 {
    nmi = 1u << 0,     ///< an NMI callback is due
    crashed = 1u << 1, ///< the domain died: never return to the guest
};

/// A virtual processor. entry.S knows `regs`, `in_kernel`, `exit_work` and `info`.
struct Vcpu {
    alignas(16) std::array<u8, 504> entry_headroom; ///< see arch/entry.S: keeps regs' end 16-byte aligned
    arch::Registers regs;                           ///< the guest's registers while in the hypervisor

    vcpu_info_t* info = nullptr; ///< direct-map pointer; shared_info, or a registered page
    u8 in_kernel = 1;            ///< guest kernel mode (else guest user mode)
    std::atomic<u8> exit_work = 0;
    u16 pad_ = 0;
    VcpuId id{};
    Domain* domain = nullptr;
    mm::HostSoftTlb* soft_tlb = nullptr; ///< while its dirty pages are logged

    // Memory. CR3 values of both modes; the frames are L4 tables with type references.
    u64 cr3_kernel = 0;
    u64 cr3_user = 0;                   ///< 0: none set yet
    u64 root_kernel = 0, root_user = 0; ///< what CR3 really gets: the same, or the roots of soft_tlb
    mm::PageInfo* owed_table = nullptr; ///< table reference under way (mm/pt_update.hpp)
    mm::PageInfo* info_page = nullptr;  ///< registered vcpu_info frame (writable reference)

    multicall_entry_t* multicall_entry = nullptr; ///< the copy of an entry while a multicall runs it
    bool initialised = false;                     ///< VCPUOP_initialise or the builder filled it
    PvState pv;

    // Scheduling and time (domain/scheduler.cpp, domain/time.cpp own these).
    VcpuSched sched;

    // Event delivery (domain/notify.cpp, evtchn).
    std::array<u32, NR_VIRQS> virq_port{};
    SpinLock virq_lock;
    std::atomic<u32> poll_port{0}; ///< SCHEDOP_poll: the port it waits for; 0: several, or none

    void* fpu = nullptr; ///< XSAVE area, arch::fpu_area_bytes()

    [[nodiscard]] bool is_idle() const { return domain == nullptr; }
    [[nodiscard]] u64 active_root() const { return in_kernel ? root_kernel : root_user; }
};

/// Makes a vCPU notice a pending event: wakes it when blocked or polling, interrupts it when it runs on
/// another CPU. Cheap when it is current. (domain/scheduler.cpp)
void kick(Vcpu& vcpu);

/// Ends the domain for a fault of its own; the vCPU never returns to the guest. `reason` goes to the log.
/// Callers just return afterwards. (domain/lifecycle.cpp)
void crash_domain(Domain& domain, const char* reason);

} // namespace streak
