// SPDX-License-Identifier: GPL-2.0-only
#include <catch2/catch_test_macros.hpp>

#include <map>
#include <random>
#include <vector>

#include "sched/run_queue.hpp"

using namespace streak;
using namespace streak::sched;

namespace {

constexpr u64 ms = 1'000'000;

/// One CPU whose entities never sleep: runs each for its slice and says how much time everybody got.
struct Simulation {
    RunQueue queue;
    std::vector<Entity*> all;
    std::map<Entity*, u64> got;
    u64 now = 1'000 * ms;
    u64 idle = 0;

    void add(Entity& entity) {
        entity.fresh = false;
        entity.vruntime = queue.clock();
        queue.enqueue(entity, now, true);
        all.push_back(&entity);
    }
    void run(u64 duration) {
        const u64 end = now + duration;
        while (now < end) {
            Entity* running = queue.pop(now);
            if (running == nullptr) {
                const u64 until = std::min(queue.next_release(), end);
                REQUIRE(until > now);
                idle += until - now;
                now = until;
                continue;
            }
            const u64 slice = std::min({queue.time_slice(*running, now), slice_ns, end - now});
            REQUIRE(slice > 0);
            now += slice;
            got[running] += slice;
            queue.charge(*running, now);
            queue.enqueue(*running, now, false);
        }
    }
    [[nodiscard]] double share(Entity& entity, u64 duration) {
        return static_cast<double>(got[&entity]) / static_cast<double>(duration);
    }
};

void require_near(double value, double expected, double tolerance) {
    INFO("value " << value << " expected " << expected);
    REQUIRE(value > expected - tolerance);
    REQUIRE(value < expected + tolerance);
}

} // namespace

TEST_CASE("equal weights share a CPU equally", "[sched]") {
    Simulation s;
    Entity a, b, c;
    s.add(a);
    s.add(b);
    s.add(c);
    s.run(3'000 * ms);
    for (Entity* e : {&a, &b, &c}) require_near(s.share(*e, 3'000 * ms), 1.0 / 3, 0.01);
    REQUIRE(s.idle == 0);
}

TEST_CASE("time goes by weight", "[sched]") {
    Simulation s;
    Entity light, normal, heavy;
    light.weight = 128;
    normal.weight = 256;
    heavy.weight = 512;
    s.add(light);
    s.add(normal);
    s.add(heavy);
    s.run(7'000 * ms);
    require_near(s.share(light, 7'000 * ms), 1.0 / 7, 0.01);
    require_near(s.share(normal, 7'000 * ms), 2.0 / 7, 0.01);
    require_near(s.share(heavy, 7'000 * ms), 4.0 / 7, 0.01);
}

TEST_CASE("a cap holds even when nobody else wants the CPU", "[sched]") {
    Simulation s;
    Entity capped;
    capped.cap = 250;
    s.add(capped);
    s.run(3'000 * ms);
    require_near(s.share(capped, 3'000 * ms), 0.25, 0.02);
}

TEST_CASE("what a capped entity leaves goes to the others", "[sched]") {
    Simulation s;
    Entity capped, open;
    capped.cap = 100;
    capped.weight = 65535;
    s.add(capped);
    s.add(open);
    s.run(3'000 * ms);
    require_near(s.share(capped, 3'000 * ms), 0.10, 0.03);
    require_near(s.share(open, 3'000 * ms), 0.90, 0.03);
    REQUIRE(s.idle == 0);
}

TEST_CASE("a sleeper is served soon, but does not save up time", "[sched]") {
    Simulation s;
    Entity hog, sleeper;
    s.add(hog);
    sleeper.fresh = false;
    sleeper.vruntime = s.queue.clock();
    s.run(1'000 * ms);
    // It has slept for a second: it pre-empts, and is behind by the wake-up credit at most.
    s.queue.enqueue(sleeper, s.now, true);
    REQUIRE(RunQueue::preempts(sleeper, hog));
    REQUIRE(s.queue.pop(s.now) == &sleeper);
    s.queue.charge(sleeper, s.now += 2 * wake_credit_ns);
    s.queue.enqueue(sleeper, s.now, false);
    REQUIRE(s.queue.pop(s.now) == &hog);
}

TEST_CASE("a new entity waits for the slice of the one that made it", "[sched]") {
    Simulation s;
    Entity maker, made;
    s.add(maker);
    s.run(100 * ms);
    REQUIRE(s.queue.pop(s.now) == &maker);
    s.queue.enqueue(made, s.now, true);
    REQUIRE_FALSE(RunQueue::preempts(made, maker));
    s.queue.charge(maker, s.now += slice_ns / 2);
    s.queue.enqueue(maker, s.now, false);
    REQUIRE(s.queue.pop(s.now) == &maker);
    s.queue.charge(maker, s.now += slice_ns);
    REQUIRE(RunQueue::preempts(made, maker));
    s.queue.enqueue(maker, s.now, false);
    REQUIRE(s.queue.pop(s.now) == &made);
    // From now on it is a sleeper like any other.
    s.queue.enqueue(made, s.now += 100 * ms, true);
    REQUIRE(s.queue.pop(s.now) == &made);
}

TEST_CASE("a clock that is behind books nothing", "[sched]") {
    RunQueue queue;
    Entity entity;
    queue.enqueue(entity, 0, false);
    REQUIRE(queue.pop(10 * ms) == &entity);
    const u64 before = entity.vruntime;
    queue.charge(entity, 10 * ms - 1);
    REQUIRE(entity.vruntime == before);
    queue.charge(entity, 11 * ms);
    REQUIRE(entity.vruntime == before + ms);
    queue.charge(entity, 11 * ms);
    REQUIRE(entity.vruntime == before + ms);
}

TEST_CASE("a chosen one keeps the CPU for a while, whoever wakes", "[sched]") {
    RunQueue queue;
    Entity running, woken;
    queue.enqueue(running, 0, false);
    const u64 start = 100 * ms;
    REQUIRE(queue.pop(start) == &running);
    queue.charge(running, start + rate_limit_ns / 2);
    woken.fresh = false;
    queue.enqueue(woken, start, true);
    REQUIRE(RunQueue::preempts(woken, running));
    REQUIRE(running.slice_end == 0); // a new turn
    running.slice_end = start + slice_ns;
    REQUIRE(RunQueue::turn_end(running, woken) == start + rate_limit_ns);
    running.slice_end = start + rate_limit_ns / 2;
    REQUIRE(RunQueue::turn_end(running, woken) == running.slice_end);
    woken.vruntime = running.vruntime; // not behind: the slice is the running one's
    running.slice_end = start + slice_ns;
    REQUIRE(RunQueue::turn_end(running, woken) == running.slice_end);
}

TEST_CASE("two that run don't pre-empt each other within the margin", "[sched]") {
    Entity a, b;
    a.vruntime = b.vruntime = 1'000 * ms;
    REQUIRE_FALSE(RunQueue::preempts(a, b));
    b.vruntime += preempt_margin_ns / 2;
    REQUIRE_FALSE(RunQueue::preempts(a, b));
    b.vruntime += preempt_margin_ns;
    REQUIRE(RunQueue::preempts(a, b));
}

TEST_CASE("giving way puts the next one first", "[sched]") {
    RunQueue queue;
    Entity running, other;
    running.vruntime = queue.clock();
    other.vruntime = queue.clock() + 5 * ms;
    queue.enqueue(other, 0, false);
    queue.give_way(running, 0);
    queue.enqueue(running, 0, false);
    REQUIRE(queue.pop(0) == &other);
    REQUIRE(queue.pop(0) == &running);
    REQUIRE(queue.pop(0) == nullptr);
}

TEST_CASE("an entity keeps its lag when it goes to another queue", "[sched]") {
    RunQueue from, to;
    Entity runner, mover;
    runner.vruntime = from.clock();
    from.charge(runner, 500 * ms);
    mover.vruntime = from.clock() - ms;
    from.hand_over(mover, to);
    REQUIRE(mover.vruntime == to.clock() - ms);
}

TEST_CASE("random operations keep the counts and the order", "[sched]") {
    std::mt19937 random(7);
    RunQueue queue;
    std::vector<Entity> entities(64);
    for (Entity& e : entities) {
        e.weight = 1 + random() % 1000;
        e.vruntime = queue.clock();
    }
    u64 now = 0;
    unsigned queued = 0;
    for (int step = 0; step < 20'000; ++step) {
        now += random() % ms;
        Entity& e = entities[random() % entities.size()];
        if (!e.queued) {
            queue.enqueue(e, now, random() % 2 == 0);
            ++queued;
        } else if (random() % 2 == 0) {
            queue.dequeue(e);
            --queued;
        } else if (Entity* first = queue.pop(now)) {
            --queued;
            for (const Entity& other : entities)
                if (other.queued) REQUIRE(static_cast<i64>(other.vruntime - first->vruntime) >= 0);
            queue.charge(*first, now += random() % (10 * ms));
        }
        REQUIRE(queue.waiting() == queued);
    }
}

TEST_CASE("a CPU is chosen by affinity, load and history", "[sched]") {
    std::map<u32, u32> load;
    const auto load_of = [&](CpuId cpu) { return load[cpu.raw()]; };
    CpuMask all, online;
    all.set_all();
    for (u32 cpu = 0; cpu < 4; ++cpu) online.set(CpuId(cpu));

    SECTION("the previous CPU when it is idle") {
        REQUIRE(choose_cpu(CpuId(2), all, all, online, load_of) == CpuId(2));
    }
    SECTION("an idle one rather than a busy previous one") {
        load = {{0, 1}, {1, 1}, {2, 1}, {3, 0}};
        REQUIRE(choose_cpu(CpuId(2), all, all, online, load_of) == CpuId(3));
    }
    SECTION("only allowed ones") {
        load = {{0, 9}};
        REQUIRE(choose_cpu(CpuId(2), CpuMask::of(CpuId(0)), all, online, load_of) == CpuId(0));
    }
    SECTION("preferred ones at equal load") {
        load = {{0, 1}, {1, 1}, {2, 1}, {3, 1}};
        REQUIRE(choose_cpu(CpuId(2), all, CpuMask::of(CpuId(1)), online, load_of) == CpuId(1));
    }
    SECTION("any online one when no allowed one is") {
        load = {{0, 1}, {1, 0}, {2, 1}, {3, 1}};
        REQUIRE(choose_cpu(CpuId(2), CpuMask::of(CpuId(77)), all, online, load_of) == CpuId(1));
    }
    SECTION("an idle CPU takes from the fullest queue") {
        load = {{0, 1}, {1, 3}, {2, 2}, {3, 0}};
        REQUIRE(choose_victim(CpuId(3), online, load_of) == CpuId(1));
        load = {{3, 5}};
        REQUIRE(choose_victim(CpuId(3), online, load_of) == CpuId(max_cpus));
    }
}
