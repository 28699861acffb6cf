// SPDX-License-Identifier: GPL-2.0-only
#pragma once

#include "lib/errno.hpp"
#include "lib/ids.hpp"
#include "lib/memory_source.hpp"
#include "lib/types.hpp"

// What a domain has mapped of others' grants: handles and what they stand for. Pure, no locks.

namespace streak::grant {

/// One mapping: a pin of the granter's entry, and what was mapped by it.
struct Mapping {
    DomId granter{};
    u16 flags = 0; ///< GNTMAP_host_map, GNTMAP_device_map, GNTMAP_readonly, GNTMAP_contains_pte
    GrantRef ref{};
    u32 frame = 0;
    u32 generation = 0; ///< of the granter's table
};
static_assert(sizeof(Mapping) == 16);

class Maptrack {
public:
    static constexpr u32 per_frame = page_size / sizeof(Mapping);

    Maptrack(MemorySource memory, u32 max_frames) : memory_(memory), max_frames_(max_frames) {}
    ~Maptrack();
    Maptrack(const Maptrack&) = delete;
    Maptrack& operator=(const Maptrack&) = delete;

    /// A handle without a mapping, to be set() or put() back. ENOSPC: the limit, or no memory.
    [[nodiscard]] Result<GrantHandle> take();
    void set(GrantHandle handle, const Mapping& mapping) { at(handle) = mapping; }
    void put(GrantHandle handle);

    /// Takes `kinds` (GNTMAP_host_map, GNTMAP_device_map) off a mapping that has them all and returns the whole
    /// mapping; nobody else can then claim them. EINVAL: no such handle, or not those kinds.
    [[nodiscard]] Result<Mapping> claim(GrantHandle handle, u16 kinds);
    /// What was claimed could not be undone, and stays.
    void give_back(GrantHandle handle, u16 kinds);
    /// The claimed kinds are gone. True when nothing is left: the handle is free, and the pin is to be ended.
    [[nodiscard]] bool finish(GrantHandle handle, u16 kinds);

    /// What the handle stands for; ENOENT when nothing.
    [[nodiscard]] Result<Mapping> look_up(GrantHandle handle) const;
    [[nodiscard]] u32 handle_count() const { return count_; }

private:
    [[nodiscard]] Mapping& at(GrantHandle handle) const {
        return buckets_[handle.raw() / per_frame][handle.raw() % per_frame];
    }
    [[nodiscard]] Result<> grow();

    static constexpr u32 none = ~0u;

    MemorySource memory_;
    u32 max_frames_;
    Mapping** buckets_ = nullptr;
    u32 count_ = 0;   ///< handles that exist, free or not
    u32 free_ = none; ///< list of free handles through Mapping::ref
};

} // namespace streak::grant
