// SPDX-License-Identifier: GPL-2.0-only
#include <catch2/catch_test_macros.hpp>

#include <random>
#include <set>
#include <vector>

#include "sched/timer_heap.hpp"

using namespace streak;
using namespace streak::sched;

TEST_CASE("timers come due in order", "[sched]") {
    TimerHeap heap;
    TimerNode a, b, c;
    REQUIRE(heap.earliest() == no_deadline);
    REQUIRE(heap.set(a, 300));
    REQUIRE(heap.set(b, 100));
    REQUIRE_FALSE(heap.set(c, 200));
    REQUIRE(heap.earliest() == 100);
    REQUIRE(heap.pop_due(99) == nullptr);
    REQUIRE(heap.pop_due(250) == &b);
    REQUIRE(heap.pop_due(250) == &c);
    REQUIRE(heap.pop_due(250) == nullptr);
    REQUIRE_FALSE(b.queued);
    REQUIRE(heap.pop_due(300) == &a);
    REQUIRE(heap.earliest() == no_deadline);
}

TEST_CASE("a timer set again moves", "[sched]") {
    TimerHeap heap;
    TimerNode a, b;
    heap.set(a, 100);
    heap.set(b, 200);
    REQUIRE(heap.set(a, 300));
    REQUIRE(heap.earliest() == 200);
    REQUIRE(heap.cancel(b));
    REQUIRE_FALSE(heap.cancel(b));
    REQUIRE(heap.earliest() == 300);
}

TEST_CASE("the heap agrees with a sorted set", "[sched]") {
    std::mt19937 random(42);
    TimerHeap heap;
    std::vector<TimerNode> timers(200);
    std::set<std::pair<u64, TimerNode*>> model;
    u64 now = 0;
    for (int step = 0; step < 50'000; ++step) {
        TimerNode& t = timers[random() % timers.size()];
        switch (random() % 4) {
        case 0:
        case 1:
            if (t.queued) model.erase({t.deadline, &t});
            heap.set(t, now + random() % 1000);
            model.insert({t.deadline, &t});
            break;
        case 2:
            if (t.queued) model.erase({t.deadline, &t});
            heap.cancel(t);
            break;
        default:
            now += random() % 20;
            while (TimerNode* due = heap.pop_due(now)) {
                REQUIRE(due->deadline == model.begin()->first);
                REQUIRE(model.erase({due->deadline, due}) == 1);
            }
            REQUIRE((model.empty() || model.begin()->first > now));
        }
        REQUIRE(heap.earliest() == (model.empty() ? no_deadline : model.begin()->first));
    }
}
