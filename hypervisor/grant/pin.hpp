// SPDX-License-Identifier: GPL-2.0-only
#pragma once

#include "grant/grant_table.hpp"

// The beginning and the end of a use of a grant, inline: the short way of every mapping and copy.

namespace streak::grant {

/// Flags and domain of an entry, as the guest wrote them: one word, so that both are read together.
struct Header {
    u16 flags;
    DomId domain;

    [[nodiscard]] static Header of(u32 word) { return {static_cast<u16>(word), DomId(static_cast<u16>(word >> 16))}; }
};

/// A guest that keeps changing an entry while it is marked gets this many attempts.
inline constexpr unsigned attempts = 5;
inline constexpr u16 cache_flags = GTF_PWT | GTF_PCD | GTF_PAT;
inline constexpr u16 max_pins = 0xffff;

template <class T> [[nodiscard]] inline std::remove_const_t<T> load(T& shared) {
    return __atomic_load_n(&shared, __ATOMIC_ACQUIRE);
}

inline u32* Table::header(GrantRef ref) const {
    return version_ == 1 ? reinterpret_cast<u32*>(&v1(ref)) : reinterpret_cast<u32*>(&v2(ref));
}

/// Does an entry with this header allow the use?
[[nodiscard]] inline bool allows(Header h, Use use, u32 version) {
    const u16 type = h.flags & GTF_type_mask;
    const bool direct = type == GTF_permit_access && !(version == 2 && (h.flags & GTF_sub_page));
    const bool detour = version == 2 && (type == GTF_transitive || type == GTF_permit_access);
    if (h.domain != use.user || !(direct || (!use.map && detour))) return false;
    return !use.write || !(h.flags & GTF_readonly);
}

[[nodiscard]] inline u16 marks(Use use) { return use.write ? GTF_reading | GTF_writing : GTF_reading; }

/// Version 1: the marks are set in the word that was judged, or not at all. Returns that word, or 0.
[[nodiscard]] inline u32 mark_v1(u32& word, Use use) {
    u32 seen = load(word);
    for (unsigned i = 0; i < attempts; ++i) {
        if (!allows(Header::of(seen), use, 1)) return 0;
        if (__atomic_compare_exchange_n(&word, &seen, seen | marks(use), false, __ATOMIC_SEQ_CST, __ATOMIC_RELAXED))
            return seen;
    }
    return 0;
}

inline void Table::unmark(GrantRef ref, u16 flags) {
    u16& word = version_ == 1 ? v1(ref).flags : status_word(ref);
    __atomic_fetch_and(&word, static_cast<u16>(~flags), __ATOMIC_SEQ_CST);
}

// The first use of an entry decides what all until the last one get.

inline bool Table::pin_first_v1(GrantRef ref, Use use, Granted& a) {
    grant_entry_v1_t& entry = v1(ref);
    const u32 seen = mark_v1(reinterpret_cast<u32&>(entry), use);
    if (seen == 0) return false;
    a.frame = load(entry.frame);
    a.user = use.user;
    a.length = page_size;
    a.cache_bits = static_cast<u8>((seen & cache_flags) >> _GTF_PWT);
    if (likely(a.frame != ~0u)) return true;
    unmark(ref, marks(use));
    a = {};
    return false;
}

inline Outcome<const Granted*> Table::pin(GrantRef ref, Use use) {
    if (ref.raw() >= entry_count_) return std::unexpected(Status::bad_gntref);
    Granted* a = active(ref);
    if (!a) [[unlikely]] {
        a = make_active(ref);
        if (!a) return std::unexpected(Status::no_space);
    }
    if (!(a->pinned()     ? pin_again(ref, use, *a)
          : version_ == 1 ? pin_first_v1(ref, use, *a)
                          : pin_first_v2(ref, use, *a))) [[unlikely]]
        return std::unexpected(Status::general_error);
    ++(use.write ? a->writers : a->readers);
    return a;
}

inline void Table::unpin(GrantRef ref, bool write) {
    if (ref.raw() >= entry_count_) return;
    Granted* a = active(ref);
    if (!a || (write ? a->writers : a->readers) == 0) return;
    u16 over = 0;
    if (--(write ? a->writers : a->readers) == 0) over = write ? GTF_writing : 0;
    if (!a->pinned()) {
        over |= GTF_reading;
        *a = {};
    }
    if (over != 0) unmark(ref, over);
}

} // namespace streak::grant
