// SPDX-License-Identifier: GPL-2.0-only

// Two domains grant frames in both layouts, two others map and copy them. The granters change their shared entries between
// any two accesses of the hypervisor, by the rules or against them. A use begins only if the entry allowed it while it
// began, means what it meant then until it ends, and is told by the entry's marks; each pin has its user.

#include "input.hpp"
#include "racing.hpp"

#include "../unit/test_memory.hpp"
#include "grant/grant_table.cpp"
#include "grant/maptrack.cpp"

using namespace streak;
using namespace streak::grant;
using fuzz::require;

namespace {

fuzz::Fault untold_use("untold-use"), lost_unpin("lost-unpin"), changed_frame("changed-frame");

constexpr u32 max_frames = 3, refs = 24;
constexpr u16 users[] = {5, 6};

/// What an entry said at some moment.
struct Said {
    u16 flags = 0, domain = 0, offset = 0, length = 0;
    u64 frame = 0;

    /// xen/grant_table.h, in other words than the tested code.
    [[nodiscard]] bool permits(Use use, u32 version) const {
        if (domain != use.user.raw() || (use.write && (flags & GTF_readonly))) return false;
        switch (flags & GTF_type_mask) {
        case GTF_permit_access: return version == 1 || !use.map || !(flags & GTF_sub_page);
        case GTF_transitive: return version == 2 && !use.map;
        default: return false;
        }
    }
};

/// A use of a grant that goes on.
struct Used {
    u32 ref;
    bool write, map;
    Granted as;
    Maptrack::Claim claim; ///< the mapper's handle for it
};

/// A domain that grants; plays its guest, too.
struct Granter {
    std::vector<std::unique_ptr<u8[], decltype(&std::free)>> pages, statuses;
    std::unique_ptr<Table> table;
    std::vector<Used> uses;
    std::set<u32> revoked;   ///< no use may begin or go on
    std::set<u32> scribbled; ///< the guest broke the rules: its marks may be wrong
    u32 watched = ~0u;       ///< an entry that is looked at by an operation under way
    std::vector<Said> history;
    u32 generation = 0;

    Granter() { start(); }
    ~Granter() { stop(); }

    void start() {
        table = std::make_unique<Table>(test::memory, max_frames, ++generation);
        require(table->init().has_value());
        add_frame();
    }
    /// The domain ends; what others map of it stays theirs.
    void stop() {
        uses.clear(), revoked.clear(), scribbled.clear();
        table.reset();
        pages.clear(), statuses.clear();
    }

    [[nodiscard]] static std::unique_ptr<u8[], decltype(&std::free)> page() {
        auto* p = static_cast<u8*>(std::aligned_alloc(page_size, page_size));
        std::memset(p, 0, page_size);
        return {p, &std::free};
    }
    void add_statuses(u32 frames) {
        while (table->status_count() < Table::statuses_for(frames))
            table->add_status_frame(statuses.emplace_back(page()).get());
    }
    void add_frame() {
        if (table->frame_count() == table->max_frames()) return;
        if (table->version() == 2) add_statuses(table->frame_count() + 1);
        table->add_frame(pages.emplace_back(page()).get());
    }

    // ---- The shared memory, as the guest sees it ----

    [[nodiscard]] grant_entry_v1_t& v1(u32 ref) {
        return reinterpret_cast<grant_entry_v1_t*>(pages[ref / Table::entries_v1].get())[ref % Table::entries_v1];
    }
    [[nodiscard]] grant_entry_v2_t& v2(u32 ref) {
        return reinterpret_cast<grant_entry_v2_t*>(pages[ref / Table::entries_v2].get())[ref % Table::entries_v2];
    }
    [[nodiscard]] bool second() const { return table->version() == 2; }
    [[nodiscard]] u16& flags(u32 ref) { return second() ? v2(ref).hdr.flags : v1(ref).flags; }
    [[nodiscard]] u16& marks(u32 ref) {
        return second() ? reinterpret_cast<u16*>(
                              statuses[ref / Table::statuses_per_frame].get())[ref % Table::statuses_per_frame]
                        : v1(ref).flags;
    }
    [[nodiscard]] Said says(u32 ref) {
        if (!second()) return {v1(ref).flags, v1(ref).domid, 0, 0, v1(ref).frame};
        const auto& e = v2(ref);
        if ((e.hdr.flags & GTF_type_mask) == GTF_transitive)
            return {e.hdr.flags, e.hdr.domid, e.transitive.trans_domid, 0, e.transitive.gref};
        return {e.hdr.flags, e.hdr.domid, e.sub_page.page_off, e.sub_page.length, e.full_page.frame};
    }
    void write(u32 ref, const Said& s) {
        if (!second()) {
            v1(ref) = {s.flags, s.domain, static_cast<u32>(s.frame)};
            return;
        }
        v2(ref) = {};
        v2(ref).hdr = {s.flags, s.domain};
        if ((s.flags & GTF_type_mask) == GTF_transitive) {
            v2(ref).transitive.trans_domid = s.offset;
            v2(ref).transitive.gref = static_cast<u32>(s.frame);
        } else if (s.flags & GTF_sub_page) {
            v2(ref).sub_page.page_off = s.offset;
            v2(ref).sub_page.length = s.length;
            v2(ref).sub_page.frame = s.frame;
        } else {
            v2(ref).full_page.frame = s.frame;
        }
    }
    void note(u32 ref) {
        if (ref == watched) history.push_back(says(ref));
    }

    /// The way to take a grant back: it worked, or somebody uses it.
    void revoke(u32 ref) {
        const u16 used = untold_use ? 0 : GTF_reading | GTF_writing;
        if (scribbled.contains(ref)) return;
        const u16 was = flags(ref);
        if (!second() && (was & used)) return;
        flags(ref) = 0;
        note(ref);
        if (second() && (marks(ref) & used)) flags(ref) = was;
        else revoked.insert(ref);
    }
    void grant(u32 ref, const Said& s) {
        if (!revoked.contains(ref) && flags(ref) != 0) return;
        if (scribbled.contains(ref)) return;
        revoked.erase(ref);
        write(ref, s);
        note(ref);
    }
    void scribble(u32 ref, const Said& s, u16 status) {
        scribbled.insert(ref);
        revoked.erase(ref);
        write(ref, s);
        if (second()) marks(ref) = status;
        note(ref);
    }
};

struct World {
    fuzz::Input input;
    Granter granters[2];
    Maptrack maptrack{test::memory, 1};
    std::map<u32, u16> handles; ///< with the kinds that are mapped

    World(const std::uint8_t* data, std::size_t bytes) : input(data, bytes) {}

    [[nodiscard]] u32 some_ref(const Granter& g) {
        const unsigned n = input.byte();
        if (n == 0xff) return input.word();
        if (n == 0xfe) return g.table->entry_count() - 1;
        return n % refs;
    }
    [[nodiscard]] bool exists(const Granter& g, u32 ref) const { return ref < g.table->entry_count(); }

    [[nodiscard]] Said anything() {
        static constexpr u16 kinds[] = {GTF_permit_access,
                                        GTF_permit_access,
                                        GTF_permit_access | GTF_readonly,
                                        GTF_permit_access | GTF_sub_page,
                                        GTF_transitive,
                                        GTF_accept_transfer,
                                        GTF_invalid,
                                        GTF_permit_access | GTF_PCD};
        Said s{kinds[input.pick(8)], users[input.pick(2)], 0, 0, input.byte()};
        if (s.flags & GTF_sub_page)
            s.offset = static_cast<u16>(input.byte() * 20), s.length = static_cast<u16>(input.byte() * 20);
        if (input.one_in(16)) s.frame = input.pick(2) ? ~0u : 1ull << 40;
        return s;
    }

    /// What a guest does in the meantime.
    void guest_runs(Granter& g) {
        const u32 ref = g.watched != ~0u && input.pick(4) ? g.watched : some_ref(g);
        if (!exists(g, ref)) return;
        switch (input.pick(4)) {
        case 0: return g.revoke(ref);
        case 1:
        case 2: return g.grant(ref, anything());
        case 3:
            if (input.pick(2) == 0) return;
            const Said s = anything();
            return g.scribble(ref, s, static_cast<u16>(input.pick(4) ? input.byte() : 0));
        }
    }

    void pin(Granter& g) {
        const u32 ref = some_ref(g);
        const Use use{DomId(users[input.pick(2)]), input.pick(2) == 1, input.pick(3) != 0};
        if (!exists(g, ref)) return require(g.table->pin(GrantRef(ref), use).error() == Status::bad_gntref);
        const bool first = g.table->pin_count(GrantRef(ref)) == 0;
        g.watched = ref;
        g.history = {g.says(ref)};
        const auto granted = g.table->pin(GrantRef(ref), use);
        g.watched = ~0u;
        if (!granted) return require(granted.error() == Status::general_error || granted.error() == Status::no_space);
        Granted as = **granted;
        if (changed_frame) as.frame ^= 1;
        as.readers = as.writers = 0;
        require(as.user == use.user && (!use.map || as.mappable()));
        if (first) judge(g, use, as);
        else require(same(as, last_use(g, ref)));
        g.uses.push_back({ref, use.write, use.map, as, {}});
        if (use.map) enter(g, g.uses.back());
    }

    /// A first use is what the entry said at some moment of the operation.
    void judge(Granter& g, Use use, const Granted& as) {
        require(std::ranges::any_of(g.history, [&](const Said& s) { return s.permits(use, g.table->version()); }));
        require(std::ranges::any_of(g.history, [&](const Said& s) { return static_cast<u32>(s.frame) == as.frame; }));
        if (!as.transitive) require(u32{as.offset} + as.length <= page_size);
    }
    [[nodiscard]] static bool same(const Granted& a, const Granted& b) {
        return a.frame == b.frame && a.user == b.user && a.offset == b.offset && a.length == b.length &&
               a.transitive == b.transitive;
    }
    [[nodiscard]] static Granted last_use(const Granter& g, u32 ref) {
        for (const Used& u : g.uses)
            if (u.ref == ref) return u.as;
        require(false);
        return {};
    }

    /// A mapping gets a handle, or is undone.
    void enter(Granter& g, Used& use) {
        const u16 kinds = static_cast<u16>(1 + input.pick(3));
        const auto claim = maptrack.take({.granter = DomId(static_cast<u16>(&g - granters)),
                                          .flags = static_cast<u16>(kinds | (use.write ? 0 : GNTMAP_readonly)),
                                          .ref = GrantRef(use.ref),
                                          .frame = use.as.frame,
                                          .generation = g.table->generation()});
        if (!claim) {
            require(claim.error() == Errno::ENOSPC);
            return end(g, g.uses.size() - 1);
        }
        require(handles.emplace(claim->handle.raw(), kinds).second && claim->kinds == kinds);
        use.claim = *claim;
        Maptrack::give_back(*claim);
    }

    void end(Granter& g, std::size_t i) {
        const Used use = g.uses[i];
        if (!lost_unpin) g.table->unpin(GrantRef(use.ref), use.write);
        g.uses.erase(g.uses.begin() + static_cast<std::ptrdiff_t>(i));
    }

    /// Whoever maps unmaps by handle, one kind after the other; a copy ends by itself.
    void unpin(Granter& g) {
        if (g.uses.empty()) return;
        const std::size_t i = input.byte() % g.uses.size();
        const Used use = g.uses[i];
        if (!use.map) return end(g, i);
        unmap(use.claim.handle);
    }

    void unmap(GrantHandle handle) {
        const u16 kinds = static_cast<u16>(input.pick(4));
        const auto claim = maptrack.claim(handle, kinds);
        if (!handles.contains(handle.raw())) return require(claim.mapping == nullptr);
        if (!claim.mapping || claim.kinds == 0) return;
        require((claim.kinds & ~kinds) == 0);
        // Another vCPU ends the rest, or the same, at the same time.
        const auto rival = maptrack.claim(handle, Maptrack::kind_mask);
        require(!rival.mapping || (rival.kinds & claim.kinds) == 0);
        finish(claim);
        if (rival.mapping && rival.kinds != 0) finish(rival);
    }
    /// Claimed kinds go, or can't; with the last one goes the mapping.
    void finish(const Maptrack::Claim& claim) {
        if (input.one_in(4)) return Maptrack::give_back(claim);
        u16& kinds = handles.at(claim.handle.raw());
        kinds &= static_cast<u16>(~claim.kinds);
        const bool last = Maptrack::finish(claim);
        require(last == (kinds == 0));
        if (last) unmapped(claim);
    }

    /// Nothing is left of a mapping.
    void unmapped(const Maptrack::Claim& claim) {
        const Mapping mapping = *claim.mapping;
        require(handles.erase(claim.handle.raw()) == 1);
        maptrack.put(claim);
        Granter& g = granters[mapping.granter.raw()];
        if (mapping.generation != g.table->generation()) return; // that domain is gone
        const bool write = !(mapping.flags & GNTMAP_readonly);
        for (std::size_t i = 0; i < g.uses.size(); ++i)
            if (const Used& u = g.uses[i]; u.map && u.claim.handle == claim.handle) {
                require(u.ref == mapping.ref.raw() && u.write == write && u.as.frame == mapping.frame);
                return end(g, i);
            }
        require(false);
    }

    void transfer(Granter& g) {
        const u32 ref = some_ref(g);
        const DomId from(users[input.pick(2)]);
        if (!exists(g, ref)) return require(!g.table->commit_transfer(GrantRef(ref), from));
        g.scribbled.insert(ref); // flags that the model of revocation knows nothing of
        g.revoked.erase(ref);
        g.watched = ref;
        g.history = {g.says(ref)};
        const bool committed = g.table->commit_transfer(GrantRef(ref), from).has_value();
        g.watched = ~0u;
        if (!committed) return;
        require(std::ranges::any_of(
            g.history, [&](const Said& s) { return s.flags == GTF_accept_transfer && s.domain == from.raw(); }));
        if (input.pick(2)) g.table->finish_transfer(GrantRef(ref), Mfn(77));
        else g.table->cancel_transfer(GrantRef(ref));
    }

    void swap(Granter& g) {
        const u32 a = some_ref(g), b = some_ref(g);
        const bool swapped = g.table->swap(GrantRef(a), GrantRef(b)).has_value();
        require(swapped == (exists(g, a) && exists(g, b) && count(g, a) == 0 && count(g, b) == 0));
        if (swapped)
            for (const u32 ref : {a, b}) g.scribbled.insert(ref), g.revoked.erase(ref);
    }

    void change_version(Granter& g) {
        const u32 version = 1 + input.pick(2);
        if (version == g.table->version()) return;
        const bool busy = std::ranges::any_of(g.uses, [](const Used& u) { return u.ref >= Table::reserved_entries; });
        const auto can = g.table->can_set_version(version);
        require(!busy || (!can && can.error() == Errno::EBUSY));
        if (!can) return;
        if (version == 2) {
            g.add_statuses(g.table->frame_count());
        } else {
            while (g.table->take_status_frame() != nullptr) {}
            g.statuses.clear();
        }
        g.table->set_version(version);
        for (u32 ref = Table::reserved_entries; ref < refs; ++ref) require(g.flags(ref) == 0 && g.marks(ref) == 0);
        std::erase_if(g.scribbled, [](u32 ref) { return ref >= Table::reserved_entries; });
    }

    [[nodiscard]] static u64 count(const Granter& g, u32 ref) {
        return static_cast<u64>(std::ranges::count_if(g.uses, [ref](const Used& u) { return u.ref == ref; }));
    }

    /// Each pin has its user, means what it meant, and is told.
    void check(Granter& g) {
        for (u32 ref = 0; ref < refs; ++ref) {
            require(g.table->pin_count(GrantRef(ref)) == count(g, ref));
            if (g.revoked.contains(ref)) require(count(g, ref) == 0);
            if (g.scribbled.contains(ref)) {
                if (count(g, ref) == 0 && g.flags(ref) == 0 && g.marks(ref) == 0) g.scribbled.erase(ref);
                continue;
            }
            const bool writes = std::ranges::any_of(g.uses, [ref](const Used& u) { return u.ref == ref && u.write; });
            const u16 marks = static_cast<u16>((count(g, ref) ? GTF_reading : 0) | (writes ? GTF_writing : 0));
            require((g.marks(ref) & (GTF_reading | GTF_writing)) == marks);
        }
        u64 readers = 0, writers = 0;
        g.table->for_each_pinned([&](const Granted& a) {
            readers += a.readers, writers += a.writers;
            if (!a.transitive) require(g.table->uses(a.user, a.mfn()));
        });
        const u64 writing = static_cast<u64>(std::ranges::count_if(g.uses, [](const Used& u) { return u.write; }));
        require(writers == writing && readers == g.uses.size() - writing);
        for (const Used& u : g.uses)
            if (u.map) require(handles.contains(u.claim.handle.raw()) && u.claim.mapping->ref.raw() == u.ref);
    }

    void step() {
        const unsigned kind = input.byte();
        Granter& g = granters[kind & 1];
        switch (kind / 2 % 16) {
        case 0: return g.add_frame();
        case 1: return change_version(g);
        case 2: return transfer(g);
        case 3: return swap(g);
        case 4: {
            test::OutOfMemoryAfter none(input.pick(3));
            return pin(g);
        }
        case 5:
            if (input.pick(4) == 0) g.stop(), g.start();
            return;
        case 6: return unmap(GrantHandle(input.pick(4) ? input.byte() : input.word()));
        case 7:
        case 8: return unpin(g);
        case 9:
        case 10:
        case 11: return guest_runs(g);
        default: return pin(g);
        }
    }

    void run() {
        for (unsigned steps = 0; !input.empty() && steps < 400; ++steps) {
            unsigned quiet = input.pick(16); // accesses before the granters do something
            fuzz::meanwhile = [&] {
                if (input.empty() || quiet-- != 0) return;
                for (Granter& g : granters)
                    if (g.watched != ~0u) guest_runs(g);
                quiet = input.pick(4);
            };
            step();
            fuzz::meanwhile = {};
            for (Granter& g : granters) check(g);
        }
    }
};

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t bytes) {
    const i64 before = test::live_bytes;
    World(data, bytes).run();
    require(test::live_bytes == before);
    return 0;
}
