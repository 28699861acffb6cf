// SPDX-License-Identifier: GPL-2.0-only
#pragma once

#include "tests/guests/lib/mailbox.hpp"
#include "tests/guests/lib/paging.hpp"
#include "tests/guests/lib/random.hpp"

// What the fuzzer plays with, and what it remembers of it. Two vCPUs share all of this without a lock: what they remember
// may be wrong at any time, as a guest's arguments may be.

namespace fuzz {

using namespace guest;

/// A few numbers; 0 is none. When it is full a new one takes the place of some other.
template <unsigned N> class Bag {
public:
    void add(Random& random, u64 item) {
        unsigned at = random.below(N);
        for (unsigned tries = 0; items_[at] != 0 && tries < N; ++tries) at = (at + 1) % N;
        items_[at] = item;
    }
    /// 0 when there is none.
    u64 pick(Random& random) const {
        unsigned at = random.below(N);
        for (unsigned tries = 0; items_[at] == 0 && tries < N; ++tries) at = (at + 1) % N;
        return items_[at];
    }
    void remove(u64 item) {
        for (u64& i : items_)
            if (i == item) i = 0;
    }
    void clear() {
        for (u64& i : items_) i = 0;
    }

private:
    u64 items_[N] = {};
};

inline constexpr u64 no_mfn = ~0ull;
inline constexpr u64 window = 0x20000000000; ///< pages of an L1 table that maps nothing by itself
inline constexpr unsigned window_pages = 64;

struct World {
    static constexpr unsigned toys = 120, clones = 4; ///< the last toys are copies of the root, and stay that
    static constexpr unsigned grant_frames = 2;
    static constexpr unsigned first_spare_vcpu = 2, vcpus = 8;

    Mailbox* box = nullptr;
    u64 first_pfn = 0;   ///< of the toys
    u64 mfn[toys];       ///< no_mfn: given away
    u64 home_pte[toys];  ///< machine addresses of the entries of their addresses in the kernel's mapping
    u64 window_pte = 0;  ///< of the first one
    u64 window_table[3]; ///< machine frames: L3, L2, L1
    u64 own_frames[6];   ///< what else is this kernel's: tables, data that nobody reads
    u64 grant_mfn[grant_frames];
    Page* grants = nullptr;
    u32 grant_version = 1;

    Bag<96> ports, unbound;
    Bag<64> pinned;
    Bag<128> handles;         ///< number + 1
    u64 handle_address[2048]; ///< by its number
    u64 handle_device[2048];

    [[nodiscard]] u64 toy_address(unsigned i) const { return virtual_base + ((first_pfn + i) << 12); }
};

extern World world;

/// What one vCPU has of its own.
struct Player {
    constexpr Player(u32 id, u64 seed) : id(id), random(seed) {}
    u32 id;
    Random random;
    u8* arguments = nullptr; ///< pages for structures; what follows them is not mapped
    static constexpr unsigned argument_pages = 4;
    unsigned used = 0; ///< bytes of them, for the present call

    bool one_in(unsigned n) { return random.below(n) == 0; }
    /// Room for a structure or list, 8-byte aligned; at most a page.
    u8* room(unsigned bytes) {
        if (used + bytes > argument_pages * page_size) used = 0;
        u8* at = arguments + used;
        used += (bytes + 15) & ~15u;
        return at;
    }
};

/// Makes the toys, the window and the grant table.
void make_world(Mailbox& box);

} // namespace fuzz
