// SPDX-License-Identifier: GPL-2.0-only
#include <optional>

#include "arch/clock.hpp"
#include "arch/cpu.hpp"
#include "arch/smp.hpp"
#include "console/console.hpp"
#include "hypercall/watch.hpp"
#include "lib/build_info.hpp"
#include "loader/cmdline.hpp"
#include "pv/exit_work.hpp"
#include "tests/invariants/invariants.hpp"

// When to check, and how the other CPUs are held meanwhile.

namespace streak::invariants {

namespace {

constinit u64 interval = 0;
constinit std::atomic<u64> calls{0}, due{0};
constinit u64 checks = 0, given_up = 0, checking_ns = 0;

constinit std::atomic<bool> one_checks{false}, holding{false};
constinit std::atomic<u32> held{0};

/// On the exit path, or in the idle loop, of a CPU that was asked for by Work::console.
void stand_still() {
    console::serve_input();
    if (!holding.load()) return;
    held.fetch_add(1);
    while (holding.load()) spin_wait();
    held.fetch_sub(1);
}

void release_others() {
    holding.store(false);
    while (held.load() != 0) spin_wait();
}

/// False: a CPU does not come, since it waits for this one to be scheduled or to answer.
bool hold_others() {
    constexpr u64 patience_ns = 50'000'000;
    const u32 others = arch::online_cpu_count() - 1;
    if (others == 0) return true;
    holding.store(true);
    smp::online().for_each([](CpuId cpu) {
        if (cpu != arch::cpu_id()) arch::raise_work(cpu, arch::Work::console);
    });
    constexpr u32 wanted_here = static_cast<u32>(arch::Work::schedule) | static_cast<u32>(arch::Work::custom);
    for (const u64 end = clock::now() + patience_ns; held.load() != others; spin_wait())
        if ((arch::this_cpu().work.load() & wanted_here) || clock::now() > end) {
            release_others();
            return false;
        }
    return true;
}

void check_all() {
    clear_expected();
    check_free_lists();
    check_heap();
    count_domains();
    count_tables();
    compare_frames();
    check_events();
    check_grants();
    check_run_queues();
    check_timers();
}

/// False when it could not be done now.
bool try_check() {
    if (one_checks.exchange(true)) return false;
    const bool alone = hold_others();
    if (alone) {
        const u64 begun = clock::now();
        check_all();
        ++checks;
        checking_ns += clock::now() - begun;
        release_others();
    } else {
        ++given_up;
    }
    one_checks.store(false);
    return alone;
}

/// The last check is before the machine goes.
void begins(const hypercall::WatchedCall& call) {
    const Domain* const d = current().domain;
    if (call.number != __HYPERVISOR_sched_op || call.arguments[0] != SCHEDOP_shutdown || !d->privileged) return;
    while (!try_check()) spin_wait();
    log_info("invariants: {} checks in {} hypercalls, {} us each, {} put off", checks, calls.load(),
             checking_ns / 1000 / checks, given_up);
}

/// A domain that is half destroyed is looked at each time.
bool is_half_done(const hypercall::WatchedCall& call, const hypercall::Return& result) {
    return call.number == __HYPERVISOR_domctl && !result && result.error() == Errno::ERESTART;
}

void ends(const hypercall::WatchedCall& call, const hypercall::Return& result) {
    const u64 n = calls.fetch_add(1) + 1;
    if (call.in_multicall || (n < due.load() && !is_half_done(call, result))) return;
    if (try_check()) due.store(n + interval);
}

constexpr hypercall::Watcher watcher{.begins = begins, .ends = ends};

u64 option() {
    constexpr std::string_view name = "check-invariants=";
    std::string_view line = build_info::command_line();
    const auto at = line.find(name);
    if (at == line.npos) return 0;
    line.remove_prefix(at + name.size());
    return loader::parse_number(line.substr(0, std::min(line.find(' '), line.size()))).value_or(0);
}

} // namespace

void start() {
    interval = option();
    if (interval == 0) return;
    clear_expected(); // while there is memory for it
    due = interval;
    pv::set_console_work(stand_still);
    hypercall::set_watcher(hypercall::WatchedBy::checker, &watcher);
    log_info("invariants: checked after every {} hypercalls", interval);
}

void require_free(const SpinLock& lock, const char* which, u64 owner) {
    if (lock.next_.load() != lock.serving_.load()) broken("{} of {}: free expected, held found", which, owner);
}

} // namespace streak::invariants
