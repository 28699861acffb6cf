// SPDX-License-Identifier: GPL-2.0-only
#include <catch2/catch_test_macros.hpp>

#include <atomic>
#include <thread>

#include "sched/vcpu_state.hpp"

using namespace streak;
using namespace streak::sched;

TEST_CASE("a vCPU starts offline and runs when nothing hinders it", "[sched]") {
    VcpuState s;
    REQUIRE_FALSE(s.runnable());
    REQUIRE(s.classify(false, false) == RunState::offline);
    REQUIRE(s.up());
    REQUIRE_FALSE(s.up());
    REQUIRE(s.runnable());
    REQUIRE(s.classify(true, false) == RunState::running);
    REQUIRE(s.classify(false, false) == RunState::runnable);
    REQUIRE(s.classify(false, true) == RunState::offline);
}

TEST_CASE("blocking, polling and pausing are independent", "[sched]") {
    VcpuState s;
    s.up();
    s.block();
    s.pause();
    REQUIRE(s.classify(false, false) == RunState::blocked);
    REQUIRE(s.wake());
    REQUIRE_FALSE(s.wake());
    REQUIRE_FALSE(s.runnable());
    REQUIRE(s.classify(false, false) == RunState::offline);
    REQUIRE(s.unpause());
    REQUIRE(s.runnable());
    s.begin_poll();
    REQUIRE(s.polling());
    REQUIRE(s.asleep());
    REQUIRE(s.wake());
    REQUIRE(s.runnable());
}

TEST_CASE("pauses count, unpaired unpauses are ignored", "[sched]") {
    VcpuState s;
    s.up();
    REQUIRE_FALSE(s.unpause());
    s.pause();
    s.pause();
    REQUIRE_FALSE(s.unpause());
    REQUIRE_FALSE(s.runnable());
    REQUIRE(s.unpause());
    REQUIRE(s.runnable());
}

TEST_CASE("no wake-up is lost between a sleeper and a sender", "[sched]") {
    // The protocol of block_current() and kick(): flag, then look; raise, then look at the flag.
    VcpuState s;
    s.up();
    std::atomic<bool> pending{false};
    std::atomic<int> done{0};
    constexpr int rounds = 50'000;
    std::thread sender([&] {
        for (int i = 0; i < rounds; ++i) {
            pending.exchange(true);
            if (s.asleep()) s.wake();
            while (done.load() <= i) std::this_thread::yield();
        }
    });
    for (int i = 0; i < rounds; ++i) {
        while (!pending.load()) {
            s.block();
            if (pending.load()) s.wake();
            while (!s.runnable()) // asleep until the sender wakes it; a lost wake-up hangs here
                std::this_thread::yield();
        }
        pending.store(false);
        done.store(i + 1);
    }
    sender.join();
    REQUIRE(done.load() == rounds);
}
