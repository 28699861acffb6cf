// SPDX-License-Identifier: GPL-2.0-only

// XEN_DOMCTL_shadow_op on a running guest, and an oracle: the guest's memory is copied while it is paused, and again
// later. A page that differs must have been told; a guest with nothing to do is told to have written little.
//
//   log-probe NAME DOMAIN busy|idle|leave|off

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>
#include <thread> // before lib/errno.hpp, which takes the names it uses
#include <vector>

#include "base/error.hpp"
#include "hv/calls.hpp"
#include "hv/hypervisor.hpp"
#include "hv/privcmd.hpp"

using namespace streak;
using namespace std::chrono_literals;

namespace {

using Bitmap = std::vector<std::uint64_t>;

struct Frame {
    std::uint64_t pfn, mfn;
};

class Probe {
public:
    Probe(hv::Hypervisor& hypervisor, std::string name, DomId domain)
        : hypervisor_(hypervisor), port_(hypervisor.port()), name_(std::move(name)), domain_(domain) {}

    int run(const std::string& mode) {
        if (mode == "off") verdict("off", shadow_op(XEN_DOMCTL_SHADOW_OP_OFF));
        else if (mode == "leave") verdict("left-on", shadow_op(XEN_DOMCTL_SHADOW_OP_ENABLE_LOGDIRTY));
        else measure(mode == "idle");
        return good_ ? 0 : 1;
    }

private:
    void measure(bool idle) {
        refused("not-logged", shadow_op(XEN_DOMCTL_SHADOW_OP_CLEAN), Errno::EINVAL);
        verdict("enable", shadow_op(XEN_DOMCTL_SHADOW_OP_ENABLE_LOGDIRTY));
        refused("enable-twice", shadow_op(XEN_DOMCTL_SHADOW_OP_ENABLE_LOGDIRTY), Errno::EINVAL);
        (void)hypervisor_.pause(domain_);
        if (!find_frames()) return;
        if (idle) { // what comes first is that the tables fill
            (void)hypervisor_.unpause(domain_);
            std::this_thread::sleep_for(3s);
            (void)hypervisor_.pause(domain_);
        }
        const int rounds = idle ? 2 : 6;
        for (int i = 0; i < rounds; ++i) round(idle, i);
        (void)hypervisor_.unpause(domain_);
        writers();
        verdict("off", shadow_op(XEN_DOMCTL_SHADOW_OP_OFF));
        verdict("off-twice", shadow_op(XEN_DOMCTL_SHADOW_OP_OFF));
        refused("not-logged-any-more", shadow_op(XEN_DOMCTL_SHADOW_OP_PEEK), Errno::EINVAL);
    }

    /// The guest is paused before and after.
    void round(bool idle, int number) {
        Bitmap told(words_, 0);
        const std::vector<std::byte> before = copy();
        clean(told);
        std::fill(told.begin(), told.end(), 0);
        (void)hypervisor_.unpause(domain_);
        const int looks = idle ? 1 : 20;
        for (int i = 0; i < looks; ++i) {
            std::this_thread::sleep_for(idle ? 2000ms : std::chrono::milliseconds(20 * (number + 1)));
            if (!idle) clean(told);
        }
        (void)hypervisor_.pause(domain_);
        Bitmap peeked(words_, 0);
        (void)shadow_op(XEN_DOMCTL_SHADOW_OP_PEEK, &peeked);
        Bitmap last(words_, 0);
        const auto stats = clean(last, XEN_DOMCTL_SHADOW_LOGDIRTY_FINAL);
        for (std::size_t i = 0; i < words_; ++i) told[i] |= last[i];
        Bitmap again(words_, 0);
        clean(again);
        compare(before, told, idle);
        verdict("peek-tells-the-same", peeked == last);
        verdict("nothing-new-while-paused", bits(again) <= 200, std::to_string(bits(again)) + " pages");
        std::printf("%s: %u faults, %u pages in the last round\n", name_.c_str(), stats.fault_count, stats.dirty_count);
    }

    void compare(const std::vector<std::byte>& before, const Bitmap& told, bool idle) {
        std::size_t differ = 0, missing = 0;
        each_piece([&](std::size_t first, std::span<const std::byte> now) {
            for (std::size_t i = 0; i * page_size < now.size(); ++i) {
                const std::size_t at = first + i;
                if (std::memcmp(&before[at * page_size], &now[i * page_size], page_size) == 0) continue;
                ++differ;
                if (told[frames_[at].pfn / 64] >> (frames_[at].pfn % 64) & 1) continue;
                if (++missing < 10) describe_missing(frames_[at], &before[at * page_size], &now[i * page_size]);
            }
        });
        const std::size_t count = bits(told);
        std::printf("%s: %zu of %zu pages differ, %zu were told\n", name_.c_str(), differ, frames_.size(), count);
        verdict("all-told", missing == 0 && differ != 0, std::to_string(missing) + " were not");
        if (idle) verdict("few-told", count < frames_.size() / 20, std::to_string(count) + " pages");
        else verdict("not-all-told", count < frames_.size() * 9 / 10, std::to_string(count) + " pages");
    }

    void describe_missing(const Frame& frame, const std::byte* before, const std::byte* now) {
        for (std::size_t i = 0; i < page_size; i += 8)
            if (std::memcmp(before + i, now + i, 8) != 0) {
                std::uint64_t old, found;
                std::memcpy(&old, before + i, 8);
                std::memcpy(&found, now + i, 8);
                std::printf("not told: pfn %#lx mfn %#lx + %#zx: %#lx became %#lx\n", frame.pfn, frame.mfn, i, old,
                            found);
                return;
            }
    }

    /// A page that the tool itself may write is told each time.
    void writers() {
        const std::uint64_t page[] = {frames_[frames_.size() / 2].mfn};
        const std::uint64_t pfn = frames_[frames_.size() / 2].pfn;
        const auto mapped = hypervisor_.map(domain_, page);
        verdict("map-to-write", mapped.has_value());
        for (int i = 0; i < 3; ++i) {
            Bitmap told(words_, 0);
            clean(told);
            verdict("foreign-mapping-told", told[pfn / 64] >> (pfn % 64) & 1);
        }
    }

    // ---- Calls ----

    Result<> shadow_op(std::uint32_t command, Bitmap* bitmap = nullptr, std::uint32_t mode = 0) {
        auto op = hv::domctl(XEN_DOMCTL_shadow_op, domain_);
        auto& request = op.u.shadow_op;
        request.op = command;
        request.mode = mode;
        const hv::Buffer<std::uint64_t> buffer(port_, bitmap ? bitmap->size() : 1);
        if (bitmap) {
            set_xen_guest_handle(request.dirty_bitmap, reinterpret_cast<unsigned char*>(buffer.data()));
            request.pages = pfns_;
        }
        TRY(hv::run(port_, op));
        if (bitmap) std::copy_n(buffer.data(), bitmap->size(), bitmap->data());
        stats_ = request.stats;
        if (bitmap && request.pages != pfns_) return fail(Errno::EOVERFLOW);
        return {};
    }

    xen_domctl_shadow_op_stats clean(Bitmap& into, std::uint32_t mode = 0) {
        Bitmap told(words_, 0);
        if (const auto done = shadow_op(XEN_DOMCTL_SHADOW_OP_CLEAN, &told, mode); !done) verdict("clean", done);
        for (std::size_t i = 0; i < words_; ++i) into[i] |= told[i];
        return stats_;
    }

    /// Which frames the guest has, and what it calls them: by the machine's own table, and by asking for each whose it is.
    bool find_frames() {
        const auto info = hypervisor_.info(domain_);
        if (!info) return verdict("info", false), false;
        const std::uint64_t shared[] = {info->shared_info.raw()};
        const auto page = hypervisor_.map(domain_, shared, false);
        if (!page) return verdict("shared-info", false), false;
        pfns_ = page->as<shared_info_t>().arch.max_pfn;
        words_ = (pfns_ + 63) / 64;
        std::vector<std::uint64_t> chunks(64);
        {
            const hv::Buffer<xen_pfn_t> list(port_, chunks.size());
            xen_machphys_mfn_list_t op{};
            op.max_extents = static_cast<unsigned>(chunks.size());
            set_xen_guest_handle(op.extent_start, list.data());
            if (!hv::call_with(port_, __HYPERVISOR_memory_op, op, unsigned{XENMEM_machphys_mfn_list}))
                return verdict("machphys", false), false;
            chunks.assign(list.data(), list.data() + op.nr_extents);
        }
        std::uint64_t first = 0;
        for (const std::uint64_t chunk : chunks) {
            std::vector<std::uint64_t> parts(512);
            for (std::uint64_t i = 0; i < parts.size(); ++i) parts[i] = chunk + i;
            const auto table = hypervisor_.map(DomId(DOMID_XEN), parts, false);
            if (!table) return verdict("map-machphys", false, base::describe(table.error())), false;
            for (std::uint64_t at = 0; at < 512 * 512; at += 1024) add_own(*table, first, at);
            first += 512 * 512;
        }
        verdict("frames-found", frames_.size() + 8 > info->pages, std::to_string(frames_.size()));
        return true;
    }

    void add_own(const hv::Mapping& table, std::uint64_t first, std::uint64_t at) {
        const hv::Buffer<xen_pfn_t> list(port_, 1024);
        for (std::uint64_t i = 0; i < 1024; ++i) list.data()[i] = first + at + i;
        auto op = hv::domctl(XEN_DOMCTL_getpageframeinfo3, domain_);
        op.u.getpageframeinfo3.num = 1024;
        set_xen_guest_handle(op.u.getpageframeinfo3.array, list.data());
        if (!hv::run(port_, op)) return;
        for (std::uint64_t i = 0; i < 1024; ++i) {
            const std::uint64_t pfn = table.as<std::uint64_t>((at + i) * 8);
            if (list.data()[i] != XEN_DOMCTL_PFINFO_XTAB && pfn < pfns_) frames_.push_back({pfn, first + at + i});
        }
    }

    template <class F> void each_piece(F f) {
        constexpr std::size_t step = 1024;
        for (std::size_t at = 0; at < frames_.size(); at += step) {
            std::vector<std::uint64_t> piece;
            for (std::size_t i = at; i < std::min(at + step, frames_.size()); ++i) piece.push_back(frames_[i].mfn);
            const auto mapped = hypervisor_.map(domain_, piece, false);
            if (!mapped) return verdict("map", false, base::describe(mapped.error()));
            f(at, mapped->bytes());
        }
    }

    std::vector<std::byte> copy() {
        std::vector<std::byte> all(frames_.size() * page_size);
        each_piece([&](std::size_t first, std::span<const std::byte> bytes) {
            std::memcpy(&all[first * page_size], bytes.data(), bytes.size());
        });
        return all;
    }

    // ---- Verdicts ----

    static std::size_t bits(const Bitmap& map) {
        std::size_t count = 0;
        for (const std::uint64_t word : map) count += static_cast<std::size_t>(__builtin_popcountll(word));
        return count;
    }
    void verdict(const char* what, bool good, const std::string& detail = {}) {
        good_ &= good;
        std::printf("TEST %s-%s: %s%s\n", name_.c_str(), what, good ? "ok" : "FAIL ", good ? "" : detail.c_str());
        std::fflush(stdout);
    }
    void verdict(const char* what, const Result<>& result) {
        verdict(what, result.has_value(), result ? "" : base::describe(result.error()));
    }
    void refused(const char* what, const Result<>& result, Errno with) {
        verdict(what, !result && result.error() == with, result ? "it was done" : base::describe(result.error()));
    }

    hv::Hypervisor& hypervisor_;
    hv::Port& port_;
    std::string name_;
    DomId domain_;
    std::vector<Frame> frames_;
    std::uint64_t pfns_ = 0;
    std::size_t words_ = 0;
    xen_domctl_shadow_op_stats stats_{};
    bool good_ = true;
};

} // namespace

int main(int count, char** arguments) {
    if (count != 4) return 2;
    auto port = hv::Privcmd::open();
    if (!port) {
        std::printf("TEST privcmd: FAIL %s\n", port.error().text().c_str());
        return 1;
    }
    hv::Hypervisor hypervisor(**port);
    return Probe(hypervisor, arguments[1], DomId(static_cast<std::uint16_t>(std::atoi(arguments[2]))))
        .run(arguments[3]);
}
