// SPDX-License-Identifier: GPL-2.0-only
#pragma once

#include "arch/cr.hpp"

// FPU, SSE and AVX state, switched eagerly. The hypervisor itself uses none of these registers but in clear_memory().

namespace streak::arch {

/// Bytes of a state area; it has to be 64-byte aligned (a heap block of a page or more is).
[[nodiscard]] u64 fpu_area_bytes();

/// Fills an area with the state after INIT (FCW 0x37f, MXCSR 0x1f80).
void fpu_init_area(void* area);

/// x87 and SSE state from or to a 512-byte FXSAVE image; all other state of the area becomes initial, or is
/// left out. An image that the processor will refuse is replaced when it is loaded.
void fpu_import(void* area, const void* image);
void fpu_export(const void* area, void* image);

/// Stores the registers in `save`, loads `restore` (either may be null) and leaves XCR0 as `guest_xcr0`
/// and CR0.TS clear. All of the state Streak offers is switched, whatever a guest's XCR0 says, so
/// that nothing leaks. An area the processor refuses is replaced by the initial state.
void fpu_switch(void* save, void* restore, u64 guest_xcr0);

/// What a guest that is current may set as XCR0 (XSETBV): x87 on, AVX with SSE, AVX-512 complete, nothing
/// that cpu_features.xcr0 lacks.
[[nodiscard]] bool xcr0_valid(u64 value);

/// XCR0 of the current guest changes.
void set_guest_xcr0(u64 value);

/// Zeros for whole pages that nobody will read soon: past the caches, with half as many stores as registers allow.
void clear_memory(void* pages, u64 bytes);

} // namespace streak::arch
