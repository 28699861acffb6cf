// SPDX-License-Identifier: GPL-2.0-only
#include "probe.hpp"

#include <algorithm>
#include <atomic>
#include <cstring>
#include <set>

#include <poll.h>
#include <sys/mman.h>
#include <unistd.h>

namespace streak::probe {

namespace {

constexpr std::uint64_t present = 1, writable = 2, user = 4;
constexpr std::uint64_t virtual_base = 0xffffffff80000000;
constexpr std::uint64_t pages = 2 * 512 + 7;
constexpr std::uint64_t mapped_pages = 512; ///< what one L1 table maps
constexpr std::uint64_t first_table = pages - 4;

/// The hypervisor looks now and then whether a dead domain's pages are still in use.
bool eventually(auto&& condition) {
    for (int tries = 0; tries < 100; ++tries) {
        if (condition()) return true;
        ::usleep(20'000);
    }
    return false;
}

/// One domain, and what is done with it step by step.
class Subject {
public:
    explicit Subject(hv::Hypervisor& hypervisor) : hypervisor_(hypervisor) {}

    void run() {
        if (!create()) return;
        parameters();
        memory();
        if (frames_.size() == pages) {
            mappings();
            guest_memory();
            tables();
            processors();
            grant_table();
            execution();
        }
        destruction();
    }

private:
    bool create() {
        const auto id = hypervisor_.create_domain({.handle = handle_, .max_vcpus = 2});
        check("create", id);
        if (!id) return false;
        id_ = *id;
        const auto info = hypervisor_.info(id_);
        verdict("info", info && info->id == id_ && info->handle == handle_ && info->paused && !info->dying &&
                            !info->running && !info->shut_down && info->pages == 0 && info->max_vcpu_id == 1);
        const auto list = hypervisor_.list();
        verdict("list", list && list->size() == 2 && list->front().id == dom0_id && list->back().id == id_);
        refused("info-of-nobody", hypervisor_.info(DomId(id_.raw() - 1 != 0 ? id_.raw() - 1 : 999)), Errno::ESRCH);
        return true;
    }

    void parameters() {
        const base::Uuid other = base::Uuid::random();
        check("set-handle", hypervisor_.set_handle(id_, other));
        const auto info = hypervisor_.info(id_);
        verdict("handle-set", info && info->handle == other);
        check("max-vcpus", hypervisor_.set_max_vcpus(id_, 2));
        check("time-offset", hypervisor_.set_time_offset(id_, 3600));
        check("tsc-mode", hypervisor_.set_tsc_mode(id_, 2));
        refused("tsc-mode-unknown", hypervisor_.set_tsc_mode(id_, 9), Errno::EINVAL);
        check("memory-map", hypervisor_.set_memory_map(id_, pages * page_size));
        check("pause", hypervisor_.pause(id_));
        check("unpause", hypervisor_.unpause(id_));
        refused("pause-self", hypervisor_.pause(dom0_id), Errno::EINVAL);
        refused("destroy-self", hypervisor_.destroy_domain(dom0_id), Errno::EINVAL);
    }

    void memory() {
        check("max-memory", hypervisor_.set_max_memory(id_, pages * 4));
        check("claim", hypervisor_.claim_pages(id_, pages));
        const auto claimed = hypervisor_.host_info();
        verdict("claimed", claimed && claimed->outstanding_pages == pages);
        refused("claim-too-much", hypervisor_.claim_pages(id_, 1ull << 40), Errno::ENOMEM);
        auto frames = hypervisor_.populate(id_, Pfn(0), pages);
        check("populate", frames);
        if (!frames) return;
        frames_ = std::move(*frames);
        check("claim-ends", hypervisor_.claim_pages(id_, 0));
        verdict("frames-differ", std::set(frames_.begin(), frames_.end()).size() == pages);
        equal("reservation", current_reservation(hypervisor_, id_).value_or(0), pages);
        refused("populate-too-much", hypervisor_.populate(id_, Pfn(pages), 1), Errno::ENOMEM);
    }

    void mappings() {
        {
            const auto all = hypervisor_.map(id_, frames_);
            check("map", all);
            if (!all) return;
            verdict("pages-are-empty", std::ranges::all_of(all->bytes(), [](std::byte b) { return b == std::byte{}; }));
            for (std::uint64_t i = 0; i < pages; ++i) all->as<std::uint64_t>(i * page_size) = i * 3;
        }
        std::vector<std::uint64_t> backwards(frames_.rbegin(), frames_.rend());
        const auto again = hypervisor_.map(id_, backwards, false);
        check("map-read-only", again);
        bool same = again.has_value();
        for (std::uint64_t i = 0; same && i < pages; ++i)
            same = again->as<std::uint64_t>((pages - 1 - i) * page_size) == i * 3;
        verdict("map-same-pages", same);
        const std::uint64_t wrong[] = {frames_[0], 0};
        verdict("map-of-others", !hypervisor_.map(id_, wrong));
    }

    /// Four tables at the end map the first pages of the domain; the tables themselves are not mapped.
    void guest_memory() {
        {
            const auto tables = hypervisor_.map(id_, std::span(frames_).subspan(first_table));
            if (!tables) return check("map-tables", tables);
            std::memset(tables->bytes().data(), 0, tables->bytes().size());
            const auto entry = [&](unsigned table, unsigned index) -> std::uint64_t& {
                return tables->as<std::uint64_t>(table * page_size + index * 8);
            };
            const std::uint64_t flags = present | writable | user;
            entry(0, 511) = frames_[first_table + 1] << page_shift | flags;
            entry(1, 510) = frames_[first_table + 2] << page_shift | flags;
            entry(2, 0) = frames_[first_table + 3] << page_shift | flags;
            for (unsigned i = 0; i < mapped_pages; ++i) entry(3, i) = frames_[i] << page_shift | flags;
        }
        copies("warm", false);
        copies("cold", true);
        std::byte some[16]{};
        refused("write-unmapped", hypervisor_.write_guest(id_, root(), virtual_base - 4096, some), Errno::EFAULT);
        refused("read-unmapped", read_guest(hypervisor_, id_, root(), 0x1000, some), Errno::EFAULT);
        refused("read-past-end",
                read_guest(hypervisor_, id_, root(), virtual_base + mapped_pages * page_size - 8, some), Errno::EFAULT);
    }

    /// Copies between the guest and memory that is all there, or that Linux has yet to bring in.
    void copies(const std::string& kind, bool cold) {
        constexpr std::size_t size = (mapped_pages - 3) * page_size + 1234;
        constexpr std::uint64_t address = virtual_base + 2 * page_size + 99;
        const int populate = cold ? 0 : MAP_POPULATE;
        const auto anonymous = [&] {
            void* const memory =
                ::mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | populate, -1, 0);
            return std::span(static_cast<std::byte*>(memory), size);
        };
        const auto source = anonymous(), target = anonymous();
        for (std::size_t i = 0; i < size; i += cold ? 40 * page_size : 1) source[i] = static_cast<std::byte>(i * 7);
        check(("write-guest-" + kind).c_str(), hypervisor_.write_guest(id_, root(), address, source));
        check(("read-guest-" + kind).c_str(), read_guest(hypervisor_, id_, root(), address, target));
        verdict(("guest-bytes-" + kind).c_str(), std::memcmp(source.data(), target.data(), size) == 0);
        const auto mapped = hypervisor_.map(id_, std::span(frames_).first(mapped_pages), false);
        verdict(("guest-frames-" + kind).c_str(),
                mapped && std::memcmp(mapped->bytes().data() + (address - virtual_base), source.data(), size) == 0);
        ::munmap(source.data(), size);
        ::munmap(target.data(), size);
    }

    void tables() {
        check("hypercall-page", hypervisor_.write_hypercall_page(id_, Mfn(frames_[1])));
        {
            const auto page = hypervisor_.map(id_, std::span(frames_).subspan(1, 1), false);
            const std::uint8_t system_call[] = {0x0f, 0x05};
            verdict("hypercall-page-written", page && std::ranges::search(page->bytes().first(32), system_call, {},
                                                                          [](std::byte b) { return std::uint8_t(b); }));
        }
        refused("hypercall-page-of-others", hypervisor_.write_hypercall_page(id_, Mfn(0)), Errno::EACCES);
        const std::uint64_t no_entries[] = {~0ull, ~0ull};
        (void)hypervisor_.write_guest(id_, root(), virtual_base + 3 * page_size, std::as_bytes(std::span(no_entries)));
        refused("pin-what-is-no-table", hypervisor_.pin_root(id_, Mfn(frames_[3])), Errno::EINVAL);
        check("pin", hypervisor_.pin_root(id_, root()));
        std::byte some[16]{};
        refused("write-to-unmapped-table", hypervisor_.write_guest(id_, Mfn(frames_[first_table + 1]), 0, some),
                Errno::EFAULT);
    }

    void processors() {
        const auto host = hypervisor_.host_info();
        hv::CpuSet last(host ? host->cpus : 1);
        last.back() = true;
        check("set-affinity", hypervisor_.set_affinity(id_, 1, last));
        verdict("affinity", hypervisor_.affinity(id_, 1, last.size()) == last);
        check("set-soft-affinity", hypervisor_.set_affinity(id_, 0, {true}, true));
        verdict("soft-affinity", hypervisor_.affinity(id_, 0, 1, true) == hv::CpuSet{true});
        refused("affinity-to-nothing", hypervisor_.set_affinity(id_, 1, {}), Errno::EINVAL);
        refused("affinity-of-nobody", hypervisor_.affinity(id_, 2, 1), Errno::ESRCH);
        check("set-share", hypervisor_.set_share(id_, {.weight = 512, .cap = 50}));
        const auto shares = share(hypervisor_, id_);
        verdict("share", shares && shares->weight == 512 && shares->cap == 50);
        const auto offline = hypervisor_.vcpu_info(id_, 0);
        verdict("vcpu-info", offline && !offline->online && !offline->running);
        refused("vcpu-info-of-nobody", hypervisor_.vcpu_info(id_, 2), Errno::EINVAL);
    }

    void grant_table() {
        constexpr std::size_t second = sizeof(grant_entry_v1_t);
        {
            const auto table = hypervisor_.map_grant_table(id_);
            check("map-grant-table", table);
            if (!table) return;
            table->as<grant_entry_v1_t>(second) = {
                .flags = GTF_permit_access, .domid = 0, .frame = static_cast<std::uint32_t>(frames_[3])};
        }
        const auto again = hypervisor_.map_grant_table(id_);
        verdict("grant-table-same", again && again->as<grant_entry_v1_t>(second).frame == frames_[3]);
        refused("grant-table-of-nobody", hypervisor_.map_grant_table(DomId(999)), Errno::ESRCH);
    }

    /// The domain runs a few instructions that end it; the control domain hears of it.
    void execution() {
        auto channels = hv::EventChannels::open();
        if (!channels) return check("evtchn", channels);
        const auto virq = channels->bind_virq(VIRQ_DOM_EXC);
        check("bind-virq", virq);
        const auto port = hypervisor_.allocate_port(id_, dom0_id);
        check("allocate-port", port);
        if (!virq || !port) return;
        check("bind-its-port", channels->bind_interdomain(id_, *port));
        refused("bind-it-twice", channels->bind_interdomain(id_, *port), Errno::EINVAL);

        // mov $__HYPERVISOR_sched_op, %eax; mov $SCHEDOP_shutdown, %edi; lea 2(%rip), %rsi; syscall; .long reason
        constexpr std::uint8_t code[] = {0xb8, 29, 0, 0,    0,    0xbf,           2, 0, 0, 0, 0x48, 0x8d, 0x35, 2,
                                         0,    0,  0, 0x0f, 0x05, SHUTDOWN_crash, 0, 0, 0};
        check("write-code", hypervisor_.write_guest(id_, root(), virtual_base, std::as_bytes(std::span(code))));
        vcpu_guest_context_t context{};
        context.flags = VGCF_in_kernel | VGCF_online;
        context.user_regs.rip = virtual_base;
        context.user_regs.rsp = virtual_base + 16 * page_size;
        context.user_regs.rflags = 0x200;
        context.user_regs.cs = FLAT_KERNEL_CS;
        context.user_regs.ss = context.kernel_ss = FLAT_KERNEL_SS;
        context.kernel_sp = context.user_regs.rsp;
        context.ctrlreg[3] = root().raw() << page_shift;
        check("set-context", hypervisor_.set_context(id_, 0, context));
        refused("set-context-of-nobody", hypervisor_.set_context(id_, 2, context), Errno::EINVAL);
        check("run", hypervisor_.unpause(id_));
        verdict("ended", hears(*channels, *virq));
        const auto info = hypervisor_.info(id_);
        verdict("reason", info && info->shut_down && info->shutdown_reason == SHUTDOWN_crash && !info->dying &&
                              info->online_vcpus == 1);
        check("nmi", send_nmi(hypervisor_, id_, 0));
        refused("nmi-to-nobody", send_nmi(hypervisor_, id_, 2), Errno::ESRCH);
    }

    static bool hears(hv::EventChannels& channels, EvtchnPort wanted) {
        pollfd waiting{.fd = channels.fd(), .events = POLLIN, .revents = 0};
        while (::poll(&waiting, 1, 20000) == 1) {
            const auto port = channels.next();
            if (!port) return false;
            if (*port == wanted) return channels.unmask(wanted).has_value();
        }
        return false;
    }

    /// What is mapped keeps the domain until it is unmapped.
    void destruction() {
        {
            const auto mapped = frames_.empty() ? Result<hv::Mapping>(fail(Errno::ENOMEM))
                                                : hypervisor_.map(id_, std::span(frames_).first(3));
            check("map-again", mapped);
            check("destroy", hypervisor_.destroy_domain(id_));
            const auto info = hypervisor_.info(id_);
            verdict("dying", info && info->dying && info->pages == 3,
                    info ? std::to_string(info->pages) + " pages left" : "gone");
            verdict("still-mapped", mapped && mapped->as<std::uint64_t>(2 * page_size) == 6);
            verdict("map-of-dying", !hypervisor_.map(id_, frames_));
            verdict("populate-dying", !hypervisor_.populate(id_, Pfn(0), 1));
        }
        verdict("gone", eventually([&] {
                    const auto info = hypervisor_.info(id_);
                    return !info && info.error() == Errno::ESRCH;
                }));
        refused("destroy-again", hypervisor_.destroy_domain(id_), Errno::ESRCH);
    }

    [[nodiscard]] Mfn root() const { return Mfn(frames_[first_table]); }

    hv::Hypervisor& hypervisor_;
    base::Uuid handle_ = base::Uuid::random();
    DomId id_{};
    std::vector<std::uint64_t> frames_;
};

std::uint64_t free_pages(hv::Hypervisor& hypervisor) {
    const auto host = hypervisor.host_info();
    return host ? host->free_pages : 0;
}

Result<DomId> build(hv::Hypervisor& hypervisor) {
    TRY_ASSIGN(id, hypervisor.create_domain({.handle = base::Uuid::random()}));
    TRY(hypervisor.set_max_memory(id, 4 << 10));
    TRY(hypervisor.populate(id, Pfn(0), 1024));
    TRY(hypervisor.allocate_port(id, dom0_id));
    TRY(hypervisor.map_grant_table(id));
    return id;
}

bool cycle(hv::Hypervisor& hypervisor) {
    const auto id = build(hypervisor);
    return id && hypervisor.destroy_domain(*id);
}

bool alone(hv::Hypervisor& hypervisor) {
    return eventually([&] {
        const auto list = hypervisor.list();
        return list && list->size() == 1;
    });
}

void memory_is_back(hv::Hypervisor& hypervisor, const char* name, std::uint64_t expected) {
    (void)eventually([&] { return free_pages(hypervisor) == expected; });
    equal(name, free_pages(hypervisor), expected);
}

} // namespace

void domain(hv::Hypervisor& hypervisor) {
    // The hypervisor's heap keeps pages that it needed once.
    verdict("first", cycle(hypervisor) && alone(hypervisor));
    const std::uint64_t before = free_pages(hypervisor);
    Subject(hypervisor).run();
    memory_is_back(hypervisor, "memory-back", before);
}

void nobody(hv::Hypervisor& hypervisor) {
    // More than Linux maps at once: it goes on after the first refusal.
    const std::vector<std::uint64_t> frames(40, 0x1000);
    const auto mapped = hypervisor.map(DomId(999), frames);
    refused("map-of-nobody", mapped ? Result<>{} : fail(mapped.error()), Errno::ESRCH);
}

void cycles(hv::Hypervisor& hypervisor) {
    constexpr int threads = 4, rounds = 25;
    // The hypervisor's heap keeps what several domains at once needed.
    std::vector<DomId> some;
    while (some.size() < 2 * threads) {
        const auto id = build(hypervisor);
        if (!id) return check("build", id);
        some.push_back(*id);
    }
    for (const DomId id : some) check("destroy-one-of-many", hypervisor.destroy_domain(id));
    verdict("all-gone", alone(hypervisor));

    const std::uint64_t before = free_pages(hypervisor);
    std::atomic<int> done{0};
    {
        std::vector<std::jthread> workers;
        for (int i = 0; i < threads; ++i)
            workers.emplace_back([&] {
                for (int round = 0; round < rounds; ++round) done += cycle(hypervisor);
            });
    }
    equal("cycles", done.load(), threads * rounds);
    verdict("only-dom0-left", alone(hypervisor));
    memory_is_back(hypervisor, "memory-back-after-cycles", before);
}

} // namespace streak::probe
