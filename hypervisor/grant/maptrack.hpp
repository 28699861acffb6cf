// SPDX-License-Identifier: GPL-2.0-only
#pragma once

#include "lib/abi.hpp"
#include "lib/errno.hpp"
#include "lib/ids.hpp"
#include "lib/memory_source.hpp"

// What a domain has mapped of others' grants: handles and what they stand for. Pure. take() and put() need a lock of
// the caller's; the rest changes a mapping's flags atomically.

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

class Maptrack : NotCopyable {
public:
    static constexpr u16 kind_mask = GNTMAP_host_map | GNTMAP_device_map;
    static constexpr u32 per_frame = page_size / sizeof(Mapping);

    Maptrack(MemorySource memory, u32 max_frames) : memory_(memory), max_frames_(max_frames) {}
    ~Maptrack();

    /// A mapping, and those of its kinds (GNTMAP_host_map, GNTMAP_device_map) that nobody else may end or use.
    struct Claim {
        Mapping* mapping = nullptr;
        GrantHandle handle{};
        u16 kinds = 0;
    };
    /// A handle for a mapping that is about to be made: its kinds are claimed. ENOSPC: the limit, or no memory.
    [[nodiscard]] Result<Claim> take(const Mapping& mapping);
    /// Nothing is left of the mapping: the handle is free.
    void put(const Claim& claim);

    /// Takes those of `kinds` that a mapping has. Without a mapping: nothing there.
    [[nodiscard]] Claim claim(GrantHandle handle, u16 kinds);
    /// What was claimed could not be undone, or is made.
    static void give_back(const Claim& claim);
    /// The claimed kinds are gone. True when nothing is left: the pin is to be ended, and the handle put() back.
    [[nodiscard]] static bool finish(const Claim& claim);

    [[nodiscard]] u32 handle_count() const { return count_.load(std::memory_order_acquire); }

private:
    [[nodiscard]] Mapping& at(GrantHandle handle) const {
        return buckets_[handle.raw() / per_frame][handle.raw() % per_frame];
    }
    [[nodiscard]] Result<> grow();

    static constexpr u32 none = ~0u;
    static constexpr unsigned claimed_shift = 8; ///< kinds that are claimed, above those that exist

    /// What turns kinds that exist into claimed ones, and back.
    [[nodiscard]] static constexpr u16 exchanged(u16 kinds) { return static_cast<u16>(kinds | kinds << claimed_shift); }

    MemorySource memory_;
    u32 max_frames_;
    Mapping** buckets_ = nullptr;
    std::atomic<u32> count_ = 0; ///< handles that exist, free or not
    u32 free_ = none;            ///< list of free handles through Mapping::ref
};

inline Result<Maptrack::Claim> Maptrack::take(const Mapping& mapping) {
    if (free_ == none) [[unlikely]]
        TRY(grow());
    const GrantHandle handle(free_);
    Mapping& m = at(handle);
    free_ = m.ref.raw();
    m = mapping;
    const u16 kinds = mapping.flags & kind_mask;
    m.flags ^= exchanged(kinds);
    return Claim{&m, handle, kinds};
}

inline void Maptrack::put(const Claim& claim) {
    *claim.mapping = Mapping{.ref = GrantRef(free_)};
    free_ = claim.handle.raw();
}

inline Maptrack::Claim Maptrack::claim(GrantHandle handle, u16 kinds) {
    if (handle.raw() >= handle_count()) return {};
    Mapping& m = at(handle);
    u16 seen = __atomic_load_n(&m.flags, __ATOMIC_RELAXED);
    u16 claimed = 0;
    do {
        claimed = kinds & seen;
        if (!(seen & kind_mask)) return {};
    } while (!__atomic_compare_exchange_n(&m.flags, &seen, static_cast<u16>(seen ^ exchanged(claimed)), true,
                                          __ATOMIC_ACQUIRE, __ATOMIC_RELAXED));
    return {&m, handle, claimed};
}

inline void Maptrack::give_back(const Claim& claim) {
    __atomic_fetch_xor(&claim.mapping->flags, exchanged(claim.kinds), __ATOMIC_RELEASE);
}

inline bool Maptrack::finish(const Claim& claim) {
    // Two vCPUs may undo the two kinds at the same time: the later one frees.
    const u16 others = static_cast<u16>(~(claim.kinds << claimed_shift));
    return !(__atomic_and_fetch(&claim.mapping->flags, others, __ATOMIC_ACQ_REL) & exchanged(kind_mask));
}

} // namespace streak::grant
