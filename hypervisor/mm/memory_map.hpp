// SPDX-License-Identifier: GPL-2.0-only
#pragma once

#include <optional>
#include <span>

#include "lib/static_vector.hpp"
#include "mm/page.hpp"

namespace streak::mm {

/// A stretch of the machine's address space, as the firmware describes it (e820 types).
struct MemoryRange {
    u64 start = 0, end = 0; ///< bytes, end exclusive
    u32 type = 0;           ///< 1 RAM, 2 reserved, 3 ACPI, 4 NVS, 5 unusable
};

inline constexpr u32 e820_ram = 1, e820_reserved = 2, e820_acpi = 3, e820_nvs = 4;
using MemoryMap = StaticVector<MemoryRange, 256>;

/// Sorts, drops empty ranges and resolves overlaps (the more restrictive type wins).
void normalise(MemoryMap& map);

/// The machine's map after normalise().
[[nodiscard]] const MemoryMap& machine_map();

/// The frame table exists in chunks of 2 MiB, each for 65536 frames (256 MiB of RAM).
inline constexpr u64 frames_per_chunk = 65536;
inline constexpr u64 max_chunks = 65536; ///< 16 TiB
extern std::array<u64, max_chunks / 64> frame_chunks;

/// Does the frame table have a record for this frame?
[[nodiscard]] inline bool has_page_info(Mfn mfn) {
    const u64 chunk = mfn.raw() / frames_per_chunk;
    return mfn.raw() < frame_table_frames && ((frame_chunks.data()[chunk / 64] >> (chunk % 64)) & 1);
}

/// Is this frame RAM (whoever owns it)? Reserved and device frames are not.
[[nodiscard]] inline bool frame_is_ram(Mfn mfn) {
    return has_page_info(mfn) && page_of_unchecked(mfn).owner_id() != io_id;
}

/// The machine address of the 2 MiB piece of the M2P that holds a frame's entry; empty for a hole.
[[nodiscard]] std::optional<Maddr> m2p_chunk(Mfn mfn);

/// Stretches of device frames, `end` exclusive, that somebody may map.
struct FrameRange {
    u64 first = 0, end = 0;
};
using DeviceFrames = StaticVector<FrameRange, 32>;
/// Adds a stretch, or takes it out of those that are there. False: too many.
[[nodiscard]] bool change_frames(DeviceFrames& frames, FrameRange range, bool add);

/// Device frames that Streak drives itself (local APIC, IO-APICs, HPET …); no domain may map them.
void deny_io_frame(Mfn mfn);
[[nodiscard]] bool io_frame_denied(Mfn mfn);

} // namespace streak::mm
