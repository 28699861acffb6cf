// SPDX-License-Identifier: GPL-2.0-only
#pragma once

#include "domain/domain.hpp"

// Dirty pages of a domain (docs/decisions/0011-a-tlb-in-memory.md). While they are logged its vCPUs run on tables of
// mm/soft_tlb.hpp, and so does the hypervisor on their behalf: what either writes by the guest's addresses faults first.
// Writers by other ways tell (mm::note_write), or are asked each round.

namespace streak::log_dirty {

/// Begins. EINVAL: begun already, or the domain ends; ENOMEM.
[[nodiscard]] Result<> start(Domain& domain);
/// Ends, and returns all memory. The caller is another domain, or none.
void stop(Domain& domain);

/// Notes the pages that somebody else than the guest may be writing.
void note_writers(Domain& domain);

/// A page fault of the current vCPU, which runs on such tables. True: the access may be tried again. False: it is the
/// guest's, and `error_code` has become what its own tables would have caused.
[[nodiscard]] bool handle_fault(Vcpu& vcpu, u64 address, u32& error_code);

} // namespace streak::log_dirty
