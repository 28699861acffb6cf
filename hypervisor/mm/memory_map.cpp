// SPDX-License-Identifier: GPL-2.0-only
#include "mm/memory_map.hpp"

#include <algorithm>

namespace streak::mm {

constinit std::array<u64, max_chunks / 64> frame_chunks{};
constinit u64 frame_table_frames = 0;

namespace {

constinit StaticVector<Mfn, 64> denied_frames;

/// Which of two overlapping descriptions to believe: RAM only where nothing else is claimed.
u32 stricter(u32 a, u32 b) {
    if (a == e820_ram) return b;
    return b == e820_ram ? a : std::max(a, b);
}

/// The type at every address of [start, end), which no range boundary divides; 0 when undescribed.
u32 type_of(const MemoryMap& map, u64 start) {
    u32 type = 0;
    for (const MemoryRange& r : map)
        if (r.start <= start && start < r.end) type = type == 0 ? r.type : stricter(type, r.type);
    return type;
}

} // namespace

void normalise(MemoryMap& map) {
    StaticVector<u64, 2 * MemoryMap::capacity()> edges;
    for (const MemoryRange& r : map)
        if (r.start < r.end) {
            (void)edges.push_back(r.start);
            (void)edges.push_back(r.end);
        }
    std::sort(edges.begin(), edges.end());

    MemoryMap out;
    for (std::size_t i = 0; i + 1 < edges.size(); ++i) {
        if (edges[i] == edges[i + 1]) continue;
        const u32 type = type_of(map, edges[i]);
        if (type == 0) continue;
        MemoryRange* last = out.empty() ? nullptr : &out[out.size() - 1];
        if (last && last->end == edges[i] && last->type == type) last->end = edges[i + 1];
        else (void)out.push_back({edges[i], edges[i + 1], type});
    }
    map = out;
}

void deny_io_frame(Mfn mfn) { (void)denied_frames.push_back(mfn); }

bool change_frames(DeviceFrames& frames, FrameRange range, bool add) {
    DeviceFrames changed;
    bool fits = true;
    const auto keep = [&](u64 first, u64 end) {
        if (first < end) fits = changed.push_back({first, end}) && fits;
    };
    for (const FrameRange& f : frames) {
        keep(f.first, std::min(f.end, range.first));
        keep(std::max(f.first, range.end), f.end);
    }
    if (add) keep(range.first, range.end);
    if (fits) frames = changed;
    return fits;
}

bool io_frame_denied(Mfn mfn) { return std::ranges::find(denied_frames, mfn) != denied_frames.end(); }

} // namespace streak::mm
