// SPDX-License-Identifier: GPL-2.0-only

// Entities of all weights and caps on the run queues of three CPUs, their timers, and vCPU states, beside models that are
// too simple to be wrong. Nobody is lost or on two queues, whoever is furthest behind runs next, nobody capped runs beyond
// its share, and every timer expires in its turn.

#include "input.hpp"

#include <algorithm>
#include <array>
#include <memory>
#include <optional>
#include <vector>

#include "sched/run_queue.hpp"
#include "sched/timer_heap.hpp"
#include "sched/vcpu_state.hpp"

using namespace streak;
using namespace streak::sched;
using fuzz::require;

namespace {

fuzz::Fault lost_entity("lost-entity"), late_timer("late-timer"), cap_ignored("cap-ignored");

constexpr unsigned cpus = 3, entity_count = 12, timer_count = 6;
constexpr u64 longest_run = 100'000'000;

/// Where an entity is: waiting on a queue, running on a CPU, or asleep.
struct Place {
    enum { asleep, waits, runs } how = asleep;
    unsigned cpu = 0;
    u64 period = 0, used = 0; ///< of the cap: which one, and what it ran in it
};

struct World {
    fuzz::Input input;
    u64 now = 1'000'000'000;
    std::array<RunQueue, cpus> queues;
    std::array<Entity, entity_count> entities;
    std::array<Place, entity_count> places;
    std::array<Entity*, cpus> running{};
    TimerHeap timers;
    std::array<TimerNode, timer_count> nodes;
    std::array<std::optional<u64>, timer_count> deadlines;
    VcpuState state;
    bool up = false, blocked = false, polling = false;
    u32 pauses = 0;

    World(const std::uint8_t* data, std::size_t bytes) : input(data, bytes) {}

    [[nodiscard]] Place& place(const Entity& e) { return places[static_cast<std::size_t>(&e - entities.data())]; }
    [[nodiscard]] Entity& some_entity() { return entities[input.pick(entity_count)]; }

    void enqueue(Entity& e, unsigned cpu, bool woken) {
        queues[cpu].enqueue(e, now, woken);
        place(e).how = Place::waits;
        place(e).cpu = cpu;
        require(e.queued && e.throttled == RunQueue::exhausted(e, now));
    }

    /// The CPU's next one: of those that may run, none is further behind.
    void schedule(unsigned cpu) {
        deschedule(cpu, false);
        Entity* next = queues[cpu].pop(now);
        if (lost_entity && next) next = queues[cpu].pop(now);
        for (Entity& e : entities) {
            if (&e == next || place(e).how != Place::waits || place(e).cpu != cpu) continue;
            if (!next) require(e.throttled);
            else if (!e.throttled) require(static_cast<i64>(e.vruntime - next->vruntime) >= 0);
            if (e.throttled) require(e.release > now);
        }
        running[cpu] = next;
        if (!next) return;
        require(place(*next).how == Place::waits && place(*next).cpu == cpu && !next->queued);
        place(*next).how = Place::runs;
        if (next->cap != 0 && place(*next).period == next->period_start)
            require(place(*next).used < cap_period_ns / full_cpu * next->cap);
    }
    void deschedule(unsigned cpu, bool sleeps) {
        Entity* e = std::exchange(running[cpu], nullptr);
        if (!e) return;
        if (sleeps) place(*e).how = Place::asleep;
        else enqueue(*e, cpu, false);
    }

    /// Time goes by on all CPUs; the one that runs is asked for again as often as its queue wants.
    void run_for(u64 ns) {
        now += ns;
        for (unsigned cpu = 0; cpu < cpus; ++cpu) {
            Entity* e = running[cpu];
            if (!e) continue;
            const u64 clock = queues[cpu].clock();
            if (cap_ignored) e->charged = now;
            queues[cpu].charge(*e, now);
            if (std::exchange(place(*e).period, e->period_start) != e->period_start) place(*e).used = 0;
            if (e->cap != 0) place(*e).used += ns;
            require(static_cast<i64>(queues[cpu].clock() - clock) >= 0);
            const u64 slice = queues[cpu].time_slice(*e, now);
            require(slice != 0 && (queues[cpu].waiting() == 0 || slice <= slice_ns));
            if (RunQueue::exhausted(*e, now)) require(e->cap != 0 && slice <= 100'000);
        }
        expire();
    }

    void change(Entity& e) {
        if (place(e).how == Place::waits) return; // as domctl does it: off the queue first
        if (input.pick(2)) e.weight = 1 + input.byte() * 257;
        else e.cap = input.pick(3) ? input.byte() * 8 : 0;
    }

    void move(Entity& e) {
        if (place(e).how != Place::waits) return;
        const unsigned to = input.pick(cpus);
        RunQueue& from = queues[place(e).cpu];
        from.dequeue(e);
        require(!e.queued);
        const u64 lag = e.vruntime - from.clock();
        from.hand_over(e, queues[to]);
        require(e.vruntime - queues[to].clock() == lag);
        enqueue(e, to, false);
    }

    /// What another CPU could take is what waits.
    void look_around() {
        for (unsigned cpu = 0; cpu < cpus; ++cpu) {
            unsigned seen = 0;
            require(queues[cpu].find([&](Entity& e) {
                require(place(e).how == Place::waits && place(e).cpu == cpu && !e.throttled);
                ++seen;
                return false;
            }) == nullptr);
            require(seen == queues[cpu].waiting());
        }
    }

    void choose() {
        CpuMask allowed, preferred, online;
        const unsigned bits = input.byte(), more = input.byte();
        for (unsigned cpu = 0; cpu < 4; ++cpu) {
            if (bits >> cpu & 1) allowed.set(CpuId(cpu));
            if (bits >> (cpu + 4) & 1) preferred.set(CpuId(cpu));
            if (more >> cpu & 1) online.set(CpuId(cpu));
        }
        if (online.empty()) return;
        const CpuId previous(more >> 4 & 3);
        const auto load = [&](CpuId cpu) { return ((bits >> cpu.raw()) + cpu.raw()) & 3; };
        const CpuId chosen = choose_cpu(previous, allowed, preferred, online, load);
        require(online.test(chosen));
        if (!(allowed & online).empty()) require(allowed.test(chosen));
        const CpuId victim = choose_victim(previous, online, load);
        if (victim == CpuId(max_cpus)) return;
        require(victim != previous && online.test(victim) && load(victim) > 0);
    }

    // ---- Timers ----

    [[nodiscard]] u64 earliest() const {
        u64 first = no_deadline;
        for (const auto& d : deadlines)
            if (d) first = std::min(first, *d);
        return first;
    }
    void set_timer() {
        const unsigned i = input.pick(timer_count);
        const u64 before = earliest();
        if (input.pick(4) == 0) {
            deadlines[i].reset();
            require(timers.cancel(nodes[i]) == (earliest() != before));
        } else {
            deadlines[i] = now + input.byte() * 1000;
            require(timers.set(nodes[i], *deadlines[i]) == (earliest() != before));
        }
    }
    void expire() {
        while (TimerNode* due = timers.pop_due(late_timer ? now - 1 : now)) {
            auto& deadline = deadlines[static_cast<std::size_t>(due - nodes.data())];
            require(deadline && *deadline == earliest() && *deadline <= now && !due->queued);
            deadline.reset();
        }
        require(earliest() > now || earliest() == no_deadline);
    }

    // ---- States ----

    void change_state() {
        switch (input.pick(7)) {
        case 0: require(state.up() == !std::exchange(up, true)); break;
        case 1: require(state.down() == std::exchange(up, false)); break;
        case 2: state.block(), blocked = true; break;
        case 3: state.begin_poll(), polling = true; break;
        case 4:
            require(state.wake() == (blocked || polling));
            blocked = polling = false;
            break;
        case 5: state.pause(), ++pauses; break;
        case 6:
            require(state.unpause() == (pauses == 1));
            pauses -= pauses != 0;
            break;
        }
        const bool asleep = blocked || polling;
        require(state.runnable() == (up && !asleep && pauses == 0) && state.asleep() == asleep);
        require(state.polling() == polling && state.is_up() == up && state.paused() == (pauses != 0));
        const bool domain_paused = input.pick(2);
        const RunState as = state.classify(true, domain_paused);
        require((as == RunState::running) == (state.runnable() && !domain_paused));
    }

    void step() {
        const unsigned kind = input.byte(), cpu = kind / 16 % cpus;
        switch (kind % 16) {
        case 0:
        case 1: return schedule(cpu);
        case 2: return deschedule(cpu, true);
        case 3:
        case 4:
            if (Entity& e = some_entity(); place(e).how == Place::asleep) enqueue(e, cpu, true);
            return;
        case 5: return change(some_entity());
        case 6: return move(some_entity());
        case 7:
            if (running[cpu]) queues[cpu].give_way(*running[cpu], now);
            return;
        case 8:
            if (Entity& e = some_entity(); place(e).how == Place::waits) {
                queues[place(e).cpu].dequeue(e);
                place(e).how = Place::asleep;
            }
            return;
        case 9: return choose();
        case 10: return look_around();
        case 11: return set_timer();
        case 12: return change_state();
        case 13: return run_for(input.byte() * (longest_run / 255));
        default: return run_for(input.byte() * 1000);
        }
    }

    void check() {
        for (unsigned cpu = 0; cpu < cpus; ++cpu) {
            unsigned ready = 0, throttled = 0;
            u64 release = RunQueue::no_limit;
            for (const Entity& e : entities) {
                if (place(e).how != Place::waits || place(e).cpu != cpu) continue;
                ++(e.throttled ? throttled : ready);
                if (e.throttled) release = std::min(release, e.release);
            }
            require(queues[cpu].waiting() == ready && queues[cpu].throttled() == throttled);
            require(queues[cpu].next_release() == release);
        }
        for (const Entity& e : entities) require(e.queued == (place(e).how == Place::waits));
        require(timers.earliest() == earliest());
    }

    /// Nobody is lost: each that waits runs within the time that it takes the others.
    void drain() {
        for (unsigned cpu = 0; cpu < cpus; ++cpu) deschedule(cpu, true);
        for (unsigned cpu = 0; cpu < cpus; ++cpu)
            while (queues[cpu].waiting() + queues[cpu].throttled() != 0) {
                if (queues[cpu].waiting() == 0) now = std::max(now, queues[cpu].next_release());
                schedule(cpu);
                require(running[cpu] != nullptr);
                deschedule(cpu, true);
            }
        for (const Entity& e : entities) require(place(e).how == Place::asleep);
    }

    void run() {
        for (unsigned steps = 0; !input.empty() && steps < 1000; ++steps) {
            step();
            check();
        }
        drain();
        check();
    }
};

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t bytes) {
    std::make_unique<World>(data, bytes)->run();
    return 0;
}
