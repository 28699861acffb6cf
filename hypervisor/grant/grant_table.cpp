// SPDX-License-Identifier: GPL-2.0-only
#include "grant/pin.hpp"

#include <array>
#include <cstring>
#include <new>

namespace streak::grant {

namespace {

static_assert(sizeof(grant_entry_v1_t) == 8 && sizeof(grant_entry_v2_t) == 16 && sizeof(grant_status_t) == 2);
static_assert(offsetof(grant_entry_v1_t, flags) == 0 && offsetof(grant_entry_v1_t, domid) == 2);

} // namespace

Table::Table(MemorySource memory, u32 max_frames, u32 generation)
    : memory_(memory), max_frames_(std::max(max_frames, 1u)), generation_(generation) {}

Result<> Table::init() {
    frames_ = static_cast<void**>(memory_.allocate(max_frames_ * sizeof(void*)));
    statuses_ = static_cast<void**>(memory_.allocate(statuses_for(max_frames_) * sizeof(void*)));
    actives_ = static_cast<Granted**>(memory_.allocate(bucket_count() * sizeof(Granted*)));
    return frames_ && statuses_ && actives_ ? Result<>{} : fail(Errno::ENOMEM);
}

Table::~Table() {
    for (u32 i = 0; actives_ && i < bucket_count(); ++i)
        if (actives_[i]) memory_.release(actives_[i], bucket_bytes);
    if (actives_) memory_.release(actives_, bucket_count() * sizeof(Granted*));
    if (statuses_) memory_.release(statuses_, statuses_for(max_frames_) * sizeof(void*));
    if (frames_) memory_.release(frames_, max_frames_ * sizeof(void*));
}

Granted* Table::make_active(GrantRef ref) {
    Granted*& bucket = actives_[ref.raw() / actives_per_bucket];
    auto* memory = static_cast<Granted*>(memory_.allocate(bucket_bytes));
    for (u32 i = 0; memory && i < actives_per_bucket; ++i) ::new (&memory[i]) Granted{};
    bucket = memory;
    return active(ref);
}

/// Version 2: marks and permission are two words, so the permission is judged again after marking. The guest
/// revokes in the other order (permission away, then it looks at the marks).
bool Table::mark_v2(GrantRef ref, Use use) {
    if (!allows(Header::of(load(*header(ref))), use, 2)) return false;
    std::atomic_ref<grant_status_t> status(status_word(ref));
    const u16 before = status.fetch_or(marks(use));
    if (allows(Header::of(load(*header(ref))), use, 2)) return true;
    status.fetch_and(static_cast<u16>(~(marks(use) & ~before)));
    return false;
}

bool Table::mark(GrantRef ref, Use use) { return version_ == 1 ? mark_v1(*header(ref), use) != 0 : mark_v2(ref, use); }

/// What a marked entry of version 2 grants. False: it makes no sense.
bool Table::remember_v2(GrantRef ref, Granted& a) const {
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

bool Table::pin_first_v2(GrantRef ref, Use use, Granted& a) {
    if (!mark_v2(ref, use)) return false;
    Granted now;
    now.user = use.user;
    now.length = page_size;
    now.cache_bits = static_cast<u8>((Header::of(load(*header(ref))).flags & cache_flags) >> _GTF_PWT);
    if (remember_v2(ref, now) && (!use.map || now.mappable())) {
        a = now;
        return true;
    }
    unmark(ref, marks(use));
    return false;
}

bool Table::pin_again(GrantRef ref, Use use, const Granted& a) {
    if (a.user != use.user || a.readers == max_pins || a.writers == max_pins || (use.map && !a.mappable()))
        return false;
    // Marks are set already for a use of the same kind; a first writer needs its own.
    return !use.write || a.writers != 0 || mark(ref, use);
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
    const Granted* a = active(ref);
    return a ? u32{a->readers} + a->writers : 0;
}

bool Table::uses(DomId user, Mfn frame) const {
    bool found = false;
    for_each_pinned([&](const Granted& a) { found |= !a.transitive && a.user == user && a.frame == frame.raw(); });
    return found;
}

/// The marks that tell the guest of an entry's use.
u16 Table::marks_of(GrantRef ref) const {
    const Granted* a = active(ref);
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
    count_entries();
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
