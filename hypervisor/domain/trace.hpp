// SPDX-License-Identifier: GPL-2.0-only
#pragma once

#include <initializer_list>
#include <span>

#include "arch/percpu.hpp"
#include "lib/cpu_mask.hpp"
#include "lib/errno.hpp"

// Trace buffers (xen/trace.h, XEN_SYSCTL_tbuf_op): one for each CPU, in memory that the control domain maps as
// DOMID_XEN's. Once there they stay, so that nothing can write to memory that has gone.

namespace streak::trace {

/// Not an atomic object: the compiler compares it where it is, so that asking takes two instructions.
extern bool on;
/// All that places with something to record do as a rule.
[[nodiscard]] inline bool enabled() { return unlikely(on); }

/// A record with time stamp in this CPU's buffer, when event and CPU are among those asked for. At most 7 words.
void record(u32 event, std::span<const u32> words);
inline void record(u32 event, std::initializer_list<u32> words) { record(event, {words.begin(), words.size()}); }

/// What happens to vCPUs; told before it is booked. Cold, and no burden on the callers' registers. (domain/trace_sched.cpp)
[[gnu::cold, gnu::no_caller_saved_registers]] void switches(const Vcpu& from, const Vcpu& to, u64 now,
                                                            u64 choose_again);
[[gnu::cold, gnu::no_caller_saved_registers]] void becomes_runnable(const Vcpu& vcpu);
[[gnu::cold, gnu::no_caller_saved_registers]] void blocks(const Vcpu& vcpu);

/// Tells the control domain that a buffer is half full.
void notify_reader();

/// Makes the buffers, of so many pages each. EINVAL: they are there, of another size; none, or more than `t_info` can
/// tell; ENOMEM.
[[nodiscard]] Result<> set_size(u32 pages);
void set_cpus(const CpuMask& cpus);
void set_events(u32 mask);
/// EINVAL: there are no buffers.
[[nodiscard]] Result<> enable();
void disable();

struct Info {
    u32 events;
    Mfn t_info; ///< 0: no buffers
    u32 bytes;  ///< of t_info's pages
};
[[nodiscard]] Info info();

} // namespace streak::trace
