// SPDX-License-Identifier: GPL-2.0-only
#pragma once

#include "lib/abi.hpp"
#include "lib/errno.hpp"
#include "lib/ids.hpp"
#include "lib/memory_source.hpp"

// The grants a domain gives: its shared entries (xen/grant_table.h, versions 1 and 2) and what is in use of them.
//
// The guest may change the shared entries at any time. An entry in use is told to the guest by GTF_reading and
// GTF_writing (version 2: in a status word of its own); what it meant when its use began is kept here, so
// that nothing the guest writes afterwards matters. Pure: no locks, no frames' references, no Domain.

namespace streak::grant {

/// GNTST_* of the ABI.
enum class Status : i16 {
    okay = GNTST_okay,
    general_error = GNTST_general_error,
    bad_domain = GNTST_bad_domain,
    bad_gntref = GNTST_bad_gntref,
    bad_handle = GNTST_bad_handle,
    bad_dev_addr = GNTST_bad_dev_addr,
    permission_denied = GNTST_permission_denied,
    bad_page = GNTST_bad_page,
    bad_copy_arg = GNTST_bad_copy_arg,
    eagain = GNTST_eagain,
    no_space = GNTST_no_space
};

template <class T = void> using Outcome = std::expected<T, Status>;

/// An entry's use, kept apart from what the guest can write: a piece of memory, or (transitive) another domain's grant
/// in its place. All but the counts stays as it is while the entry is pinned.
struct Granted {
    u32 frame = 0; ///< or the other domain's reference
    u16 readers = 0, writers = 0;
    DomId user{};
    u16 offset = 0; ///< or the other domain's id
    u16 length = 0;
    u8 cache_bits = 0; ///< GTF_PWT, GTF_PCD, GTF_PAT, shifted down to bit 0
    bool transitive = false;
    [[nodiscard]] bool pinned() const { return readers != 0 || writers != 0; }
    [[nodiscard]] bool mappable() const { return !transitive && length == page_size; }
    [[nodiscard]] Mfn mfn() const { return Mfn(frame); }
    [[nodiscard]] DomId via_domain() const { return DomId(offset); }
    [[nodiscard]] GrantRef via_ref() const { return GrantRef(frame); }
};
static_assert(sizeof(Granted) == 16);

/// What a user wants of a grant.
struct Use {
    DomId user{};
    bool write = false;
    bool map = false; ///< whole page, no detour: neither sub-page nor transitive
};

class Table : NotCopyable {
public:
    static constexpr u32 entries_v1 = page_size / sizeof(grant_entry_v1_t);
    static constexpr u32 entries_v2 = page_size / sizeof(grant_entry_v2_t);
    static constexpr u32 statuses_per_frame = page_size / sizeof(grant_status_t);
    static constexpr u32 reserved_entries = GNTTAB_NR_RESERVED_ENTRIES;

    /// `generation` tells this table from earlier ones of domains with the same id.
    Table(MemorySource memory, u32 max_frames, u32 generation);
    ~Table();
    /// ENOMEM. To be called once before anything else.
    [[nodiscard]] Result<> init();

    [[nodiscard]] u32 generation() const { return generation_; }
    [[nodiscard]] u32 version() const { return version_; }
    [[nodiscard]] u32 frame_count() const { return frame_count_; }
    [[nodiscard]] u32 max_frames() const { return max_frames_; }
    [[nodiscard]] void* frame(u32 index) const { return frames_[index]; }
    [[nodiscard]] u32 entry_count() const { return entry_count_; }

    /// Status frames that version 2 needs for `frames` shared frames.
    [[nodiscard]] static constexpr u32 statuses_for(u32 frames) {
        return (frames * entries_v2 + statuses_per_frame - 1) / statuses_per_frame;
    }
    [[nodiscard]] u32 status_count() const { return status_count_; }
    [[nodiscard]] void* status_frame(u32 index) const { return statuses_[index]; }

    /// Another zeroed page of entries or of statuses; there is room (max_frames). Under version 2 the statuses
    /// of a frame come before it.
    void add_frame(void* page) {
        frames_[frame_count_++] = page;
        count_entries();
    }
    void add_status_frame(void* page) { statuses_[status_count_++] = page; }
    [[nodiscard]] void* take_status_frame() { return status_count_ == 0 ? nullptr : statuses_[--status_count_]; }
    [[nodiscard]] void* take_frame() { return frame_count_ == 0 ? nullptr : frames_[--frame_count_]; }

    /// May the layout change? EBUSY: an entry is in use that would be lost (the reserved ones survive); ERANGE: a
    /// reserved entry has no equal in version 1.
    [[nodiscard]] Result<> can_set_version(u32 version) const;
    /// Changes it: reserved entries are translated, all others cleared. For version 2 the status frames are there
    /// before, for version 1 they are gone.
    void set_version(u32 version);

    /// Begins a use. bad_gntref: no such entry; general_error: the entry does not allow it; no_space: no memory.
    [[nodiscard]] Outcome<const Granted*> pin(GrantRef ref, Use use);
    /// Ends it. Unpaired calls have no effect.
    void unpin(GrantRef ref, bool write);

    /// GNTTABOP_transfer: commits an entry that accepts a frame of `from`. bad_gntref.
    [[nodiscard]] Outcome<> commit_transfer(GrantRef ref, DomId from);
    /// The frame has the new owner: tells the guest which one it is.
    void finish_transfer(GrantRef ref, Mfn frame);
    void cancel_transfer(GrantRef ref);

    /// GNTTABOP_swap_grant_ref. bad_gntref; eagain: one is in use.
    [[nodiscard]] Outcome<> swap(GrantRef a, GrantRef b);

    /// Does `user` use `frame` through any entry?
    [[nodiscard]] bool uses(DomId user, Mfn frame) const;
    /// Calls `f` with each entry in use.
    template <class F> void for_each_pinned(F f) const {
        for (u32 ref = 0; ref < entry_count(); ++ref) {
            const Granted* a = active(GrantRef(ref));
            if (!a) ref |= actives_per_bucket - 1; // none in this bucket
            else if (a->pinned()) f(*a);
        }
    }
    [[nodiscard]] u32 pin_count(GrantRef ref) const;

private:
    static constexpr u32 actives_per_bucket = page_size / sizeof(Granted);
    static constexpr u64 bucket_bytes = actives_per_bucket * sizeof(Granted);

    [[nodiscard]] grant_entry_v1_t& v1(GrantRef ref) const {
        return static_cast<grant_entry_v1_t*>(frames_[ref.raw() / entries_v1])[ref.raw() % entries_v1];
    }
    [[nodiscard]] grant_entry_v2_t& v2(GrantRef ref) const {
        return static_cast<grant_entry_v2_t*>(frames_[ref.raw() / entries_v2])[ref.raw() % entries_v2];
    }
    [[nodiscard]] grant_status_t& status_word(GrantRef ref) const {
        return static_cast<grant_status_t*>(statuses_[ref.raw() / statuses_per_frame])[ref.raw() % statuses_per_frame];
    }
    [[nodiscard]] u32 bucket_count() const { return max_frames_ * entries_v1 / actives_per_bucket; }
    [[nodiscard]] Granted* active(GrantRef ref) const {
        Granted* bucket = actives_[ref.raw() / actives_per_bucket];
        return bucket ? &bucket[ref.raw() % actives_per_bucket] : nullptr;
    }
    [[nodiscard]] Granted* make_active(GrantRef ref); ///< with memory for it; nullptr: none
    [[nodiscard]] u32* header(GrantRef ref) const;
    [[nodiscard]] bool mark(GrantRef ref, Use use);
    [[nodiscard]] bool mark_v2(GrantRef ref, Use use);
    void unmark(GrantRef ref, u16 flags);
    [[nodiscard]] bool remember_v2(GrantRef ref, Granted& a) const;
    [[nodiscard]] bool pin_first_v1(GrantRef ref, Use use, Granted& a);
    [[nodiscard]] bool pin_first_v2(GrantRef ref, Use use, Granted& a);
    [[nodiscard]] bool pin_again(GrantRef ref, Use use, const Granted& a);
    void count_entries() { entry_count_ = frame_count_ * (version_ == 1 ? entries_v1 : entries_v2); }
    [[nodiscard]] bool in_use() const;
    [[nodiscard]] u16 marks_of(GrantRef ref) const;

    MemorySource memory_;
    u32 max_frames_;
    u32 generation_;
    u32 version_ = 1;
    u32 frame_count_ = 0;
    u32 entry_count_ = 0;
    u32 status_count_ = 0;
    void** frames_ = nullptr;
    void** statuses_ = nullptr;
    Granted** actives_ = nullptr;
};

} // namespace streak::grant
