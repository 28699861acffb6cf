// SPDX-License-Identifier: GPL-2.0-only
#include "grant/grant_table.hpp"

#include <algorithm>
#include <array>
#include <atomic>
#include <cstring>
#include <new>
#include <utility>

namespace streak::grant {

namespace {

static_assert(sizeof(grant_entry_v1_t) == 8 && sizeof(grant_entry_v2_t) == 16 && sizeof(grant_status_t) == 2);
static_assert(offsetof(grant_entry_v1_t, flags) == 0 && offsetof(grant_entry_v1_t, domid) == 2);

/// Flags and domain of an entry, as the guest wrote them: one word, so that both are read together.
struct Header {
    u16 flags;
    DomId domain;

    [[nodiscard]] static Header of(u32 word) { return {static_cast<u16>(word), DomId(static_cast<u16>(word >> 16))}; }
};

/// A guest that keeps changing an entry while it is marked gets this many attempts.
constexpr unsigned attempts = 5;
constexpr u16 cache_flags = GTF_PWT | GTF_PCD | GTF_PAT;
constexpr u16 max_pins = 0xffff;

template <class T> [[nodiscard]] std::remove_const_t<T> load(T& shared) {
    return std::atomic_ref<std::remove_const_t<T>>(const_cast<std::remove_const_t<T>&>(shared))
        .load(std::memory_order_acquire);
}

} // namespace

Table::Table(MemorySource memory, u32 max_frames, u32 generation)
    : memory_(memory), max_frames_(std::max(max_frames, 1u)), generation_(generation) {}

Result<> Table::init() {
    frames_ = static_cast<void**>(memory_.allocate(max_frames_ * sizeof(void*)));
    statuses_ = static_cast<void**>(memory_.allocate(statuses_for(max_frames_) * sizeof(void*)));
    actives_ = static_cast<Active**>(memory_.allocate(bucket_count() * sizeof(Active*)));
    return frames_ && statuses_ && actives_ ? Result<>{} : fail(Errno::ENOMEM);
}

Table::~Table() {
    for (u32 i = 0; actives_ && i < bucket_count(); ++i)
        if (actives_[i]) memory_.release(actives_[i], bucket_bytes);
    if (actives_) memory_.release(actives_, bucket_count() * sizeof(Active*));
    if (statuses_) memory_.release(statuses_, statuses_for(max_frames_) * sizeof(void*));
    if (frames_) memory_.release(frames_, max_frames_ * sizeof(void*));
}

Table::Active* Table::make_active(GrantRef ref) {
    Active*& bucket = actives_[ref.raw() / actives_per_bucket];
    auto* memory = static_cast<Active*>(memory_.allocate(bucket_bytes));
    for (u32 i = 0; memory && i < actives_per_bucket; ++i) ::new (&memory[i]) Active{};
    bucket = memory;
    return active(ref);
}

inline u32* Table::header(GrantRef ref) const {
    return version_ == 1 ? reinterpret_cast<u32*>(&v1(ref)) : reinterpret_cast<u32*>(&v2(ref));
}

namespace {

/// Does an entry with this header allow the use?
[[nodiscard]] inline bool allows(const Header& h, const Use& use, u32 version) {
    const u16 type = h.flags & GTF_type_mask;
    const bool direct = type == GTF_permit_access && !(version == 2 && (h.flags & GTF_sub_page));
    const bool detour = version == 2 && (type == GTF_transitive || type == GTF_permit_access);
    if (h.domain != use.user || !(direct || (!use.map && detour))) return false;
    return !use.write || !(h.flags & GTF_readonly);
}

[[nodiscard]] u16 marks(const Use& use) { return use.write ? GTF_reading | GTF_writing : GTF_reading; }

} // namespace

/// Version 1: the marks are set in the word that was judged, or not at all.
inline bool Table::mark_v1(GrantRef ref, const Use& use) {
    std::atomic_ref<u32> word(*header(ref));
    u32 seen = word.load();
    for (unsigned i = 0; i < attempts; ++i) {
        if (!allows(Header::of(seen), use, 1)) return false;
        if (word.compare_exchange_strong(seen, seen | marks(use))) return true;
    }
    return false;
}

/// Version 2: marks and permission are two words, so the permission is judged again after marking. The guest
/// revokes in the other order (permission away, then it looks at the marks).
bool Table::mark_v2(GrantRef ref, const Use& use) {
    if (!allows(Header::of(load(*header(ref))), use, 2)) return false;
    std::atomic_ref<grant_status_t> status(status_word(ref));
    const u16 before = status.fetch_or(marks(use));
    if (allows(Header::of(load(*header(ref))), use, 2)) return true;
    status.fetch_and(static_cast<u16>(~(marks(use) & ~before)));
    return false;
}

inline bool Table::mark(GrantRef ref, const Use& use) { return version_ == 1 ? mark_v1(ref, use) : mark_v2(ref, use); }

inline void Table::unmark(GrantRef ref, u16 flags) {
    u16& word = version_ == 1 ? v1(ref).flags : status_word(ref);
    std::atomic_ref<u16>(word).fetch_and(static_cast<u16>(~flags));
}

/// What a marked entry of version 2 grants. False: it makes no sense.
bool Table::remember_v2(GrantRef ref, Active& a) const {
    const u16 flags = Header::of(load(*header(ref))).flags;
    const grant_entry_v2_t& entry = v2(ref);
    u64 frame = 0;
    if ((flags & GTF_type_mask) == GTF_transitive) {
        a.transitive = true;
        a.offset = load(entry.transitive.trans_domid);
        frame = load(entry.transitive.gref);
    } else {
        frame = load(entry.full_page.frame);
        if (flags & GTF_sub_page) {
            a.offset = load(entry.sub_page.page_off);
            a.length = load(entry.sub_page.length);
            if (a.offset >= page_size || a.length > page_size - a.offset) return false;
        }
    }
    a.frame = static_cast<u32>(frame);
    return frame < ~0u; // no machine has more memory (mm/page.hpp)
}

/// Copies what a marked entry grants. False: it makes no sense, or not for this use.
inline bool Table::remember(GrantRef ref, const Use& use, Active& into) const {
    Active a;
    a.user = use.user;
    a.length = page_size;
    a.cache_bits = static_cast<u8>((Header::of(load(*header(ref))).flags & cache_flags) >> _GTF_PWT);
    if (version_ == 1) [[likely]] {
        a.frame = load(v1(ref).frame);
        if (a.frame == ~0u) return false;
    } else if (!remember_v2(ref, a) || (use.map && !a.mappable())) {
        return false;
    }
    into = a;
    return true;
}

inline Granted Table::meaning(const Active& a) {
    Granted g{.frame = Mfn(a.frame), .offset = a.offset, .length = a.length, .cache_bits = a.cache_bits};
    if (a.transitive) [[unlikely]] {
        g.transitive = true;
        g.offset = 0;
        g.via_domain = DomId(a.offset);
        g.via_ref = GrantRef(a.frame);
    }
    return g;
}

/// The first use of an entry decides what all until the last one get.
inline bool Table::pin_first(GrantRef ref, const Use& use, Active& a) {
    if (!mark(ref, use)) return false;
    if (remember(ref, use, a)) [[likely]]
        return true;
    unmark(ref, GTF_reading | GTF_writing);
    return false;
}

bool Table::pin_again(GrantRef ref, const Use& use, const Active& a) {
    if (a.user != use.user || a.readers == max_pins || a.writers == max_pins || (use.map && !a.mappable()))
        return false;
    // Marks are set already for a use of the same kind; a first writer needs its own.
    return !use.write || a.writers != 0 || mark(ref, use);
}

Outcome<Granted> Table::pin(GrantRef ref, const Use& use) {
    if (ref.raw() >= entry_count()) return std::unexpected(Status::bad_gntref);
    Active* a = active(ref);
    if (!a) [[unlikely]] {
        a = make_active(ref);
        if (!a) return std::unexpected(Status::no_space);
    }
    if (!(a->pinned() ? pin_again(ref, use, *a) : pin_first(ref, use, *a)))
        return std::unexpected(Status::general_error);
    ++(use.write ? a->writers : a->readers);
    return meaning(*a);
}

void Table::unpin(GrantRef ref, bool write) {
    if (ref.raw() >= entry_count()) return;
    Active* a = active(ref);
    if (!a || (write ? a->writers : a->readers) == 0) return;
    --(write ? a->writers : a->readers);
    const u16 over = static_cast<u16>((write && a->writers == 0 ? GTF_writing : 0) | (a->pinned() ? 0 : GTF_reading));
    if (!a->pinned()) *a = {};
    if (over != 0) unmark(ref, over);
}

Outcome<> Table::commit_transfer(GrantRef ref, DomId from) {
    if (ref.raw() >= entry_count()) return std::unexpected(Status::bad_gntref);
    std::atomic_ref<u32> word(*header(ref));
    u32 seen = word.load();
    for (unsigned i = 0; i < attempts; ++i) {
        const Header h = Header::of(seen);
        // Exactly this: an entry that is committed already has more flags.
        if (h.flags != GTF_accept_transfer || h.domain != from) break;
        if (word.compare_exchange_strong(seen, seen | GTF_transfer_committed)) return {};
    }
    return std::unexpected(Status::bad_gntref);
}

void Table::finish_transfer(GrantRef ref, Mfn frame) {
    if (version_ == 1) std::atomic_ref(v1(ref).frame).store(static_cast<u32>(frame.raw()));
    else std::atomic_ref(v2(ref).full_page.frame).store(frame.raw());
    std::atomic_ref(*header(ref)).fetch_or(GTF_transfer_completed);
}

void Table::cancel_transfer(GrantRef ref) { std::atomic_ref(*header(ref)).fetch_and(~u32{GTF_transfer_committed}); }

Outcome<> Table::swap(GrantRef a, GrantRef b) {
    if (a.raw() >= entry_count() || b.raw() >= entry_count()) return std::unexpected(Status::bad_gntref);
    if (pin_count(a) != 0 || pin_count(b) != 0) return std::unexpected(Status::eagain);
    if (a == b) return {};
    if (version_ == 1) {
        std::swap(v1(a), v1(b));
    } else {
        std::swap(v2(a), v2(b));
        std::swap(status_word(a), status_word(b));
    }
    return {};
}

bool Table::in_use() const {
    for (u32 ref = reserved_entries; ref < entry_count(); ++ref)
        if (pin_count(GrantRef(ref)) != 0) return true;
    return false;
}

u32 Table::pin_count(GrantRef ref) const {
    const Active* a = active(ref);
    return a ? u32{a->readers} + a->writers : 0;
}

bool Table::uses(DomId user, Mfn frame) const {
    for (u32 ref = 0; ref < entry_count(); ++ref) {
        const Active* a = active(GrantRef(ref));
        if (!a) {
            ref |= actives_per_bucket - 1; // none in this bucket
            continue;
        }
        if (a->pinned() && !a->transitive && a->user == user && a->frame == frame.raw()) return true;
    }
    return false;
}

/// The marks that tell the guest of an entry's use.
u16 Table::marks_of(GrantRef ref) const {
    const Active* a = active(ref);
    return static_cast<u16>((a && a->pinned() ? GTF_reading : 0) | (a && a->writers != 0 ? GTF_writing : 0));
}

Result<> Table::can_set_version(u32 version) const {
    if (in_use()) return fail(Errno::EBUSY);
    for (u32 i = 0; version == 1 && frame_count_ != 0 && i < reserved_entries; ++i) {
        const u16 flags = Header::of(load(*header(GrantRef(i)))).flags;
        const u16 type = flags & GTF_type_mask;
        if (type == GTF_invalid) continue;
        if (type == GTF_transitive || (flags & GTF_sub_page) || load(v2(GrantRef(i)).full_page.frame) >> 32 != 0)
            return fail(Errno::ERANGE);
    }
    return {};
}

void Table::set_version(u32 version) {
    struct Plain {
        u16 flags;
        u16 domain;
        u64 frame;
    };
    constexpr u16 mark_flags = GTF_reading | GTF_writing;
    std::array<Plain, reserved_entries> kept{};
    const u32 keep = frame_count_ != 0 ? reserved_entries : 0;
    for (u32 i = 0; i < keep; ++i) {
        const Header h = Header::of(load(*header(GrantRef(i))));
        const u64 frame = version_ == 1 ? load(v1(GrantRef(i)).frame) : load(v2(GrantRef(i)).full_page.frame);
        kept[i] = {static_cast<u16>(h.flags & ~mark_flags), h.domain.raw(), frame};
    }
    for (u32 i = 0; i < frame_count_; ++i) std::memset(frames_[i], 0, page_size);
    for (u32 i = 0; i < status_count_; ++i) std::memset(statuses_[i], 0, page_size);
    version_ = version;
    for (u32 i = 0; i < keep; ++i) {
        const GrantRef ref(i);
        if (version == 1) {
            v1(ref) = {static_cast<u16>(kept[i].flags | marks_of(ref)), kept[i].domain,
                       static_cast<u32>(kept[i].frame)};
        } else {
            v2(ref).full_page.hdr = {kept[i].flags, kept[i].domain};
            v2(ref).full_page.frame = kept[i].frame;
            status_word(ref) = marks_of(ref);
        }
    }
}

} // namespace streak::grant
