// SPDX-License-Identifier: GPL-2.0-only
#include <nlohmann/json.hpp>

#include <catch2/catch_test_macros.hpp>

#include <cstring>
#include <random>

#include "debug/call_counters.hpp"
#include "debug/trace_buffers.hpp"
#include "debug/trace_text.hpp"
#include "domain/trace.hpp"
#include "hv/port.hpp"
#include "lib/abi.hpp"

using namespace streak;
using namespace streak::debug;
using Kind = TraceEvent::Kind;

namespace {

constexpr std::uint32_t call_end = TRC_PV_ENTRY + 15, subcall_end = TRC_PV_SUBCALL + 15;
constexpr std::uint64_t first_frame = 100;
constexpr std::uint32_t arg32_0 = 1u << 20, arg64_1 = 2u << 22;

struct alignas(page_size) Page {
    std::byte bytes[page_size] = {};
};

/// A hypervisor with trace buffers, written by its own rings, and counters.
struct TracePort final : hv::Port {
    std::vector<Page> memory; ///< t_info, then two rings
    std::array<trace::Ring, 2> rings;
    std::uint32_t pages = 0, events = 0, fails = 0, calls = 0;
    bool on = false, all_cpus = false, counting = false;
    std::size_t mapped = 0, buffers = 0;
    CallCounters counters{};
    std::uint32_t nr_vals = sizeof(CallCounters) / 4;

    t_info& info() { return *reinterpret_cast<t_info*>(memory[0].bytes); }

    void make(std::uint32_t size) {
        pages = size;
        memory.resize(1 + 2 * size);
        info().tbuf_size = static_cast<std::uint16_t>(size);
        for (std::uint32_t cpu = 0; cpu < 2; ++cpu) {
            auto* offsets = reinterpret_cast<std::uint16_t*>(memory[0].bytes) + 1;
            offsets[cpu] = static_cast<std::uint16_t>(8 + cpu * size);
            for (std::uint32_t i = 0; i < size; ++i)
                reinterpret_cast<std::uint32_t*>(memory[0].bytes)[8 + cpu * size + i] =
                    static_cast<std::uint32_t>(first_frame + 1 + cpu * size + i);
            rings[cpu].shared = reinterpret_cast<t_buf*>(memory[1 + cpu * size].bytes);
            rings[cpu].size = size * page_size - sizeof(t_buf);
        }
    }

    Result<> trace_op(xen_sysctl_tbuf_op& op) {
        switch (op.cmd) {
        case XEN_SYSCTL_TBUFOP_get_info:
            op.size = memory.empty() ? 0 : page_size;
            op.buffer_mfn = memory.empty() ? 0 : first_frame;
            return {};
        case XEN_SYSCTL_TBUFOP_set_size: make(op.size); return {};
        case XEN_SYSCTL_TBUFOP_set_evt_mask: events = op.evt_mask; return {};
        case XEN_SYSCTL_TBUFOP_set_cpu_mask:
            all_cpus = op.cpu_mask.nr_bits >= 256 && (*op.cpu_mask.bitmap.p & 3) == 3;
            return {};
        case XEN_SYSCTL_TBUFOP_enable: on = true; return {};
        case XEN_SYSCTL_TBUFOP_disable: on = false; return {};
        default: return fail(Errno::EINVAL);
        }
    }

    Result<> counter_op(xen_sysctl_perfc_op& op) {
        if (op.cmd == XEN_SYSCTL_PERFCOP_reset) {
            counters = {};
            counting = true;
            return {};
        }
        op.nr_counters = 3;
        op.nr_vals = nr_vals;
        if (op.val.p != nullptr) std::memcpy(op.val.p, &counters, sizeof counters);
        counters.calls[__HYPERVISOR_sysctl] += counting;
        return {};
    }

    Result<std::uint64_t> call(std::uint32_t number, std::array<std::uint64_t, 5> arguments) override {
        REQUIRE(number == __HYPERVISOR_sysctl);
        if (++calls == fails) return fail(Errno::EPERM);
        auto& op = *reinterpret_cast<xen_sysctl_t*>(arguments[0]);
        REQUIRE(op.interface_version == XEN_SYSCTL_INTERFACE_VERSION);
        if (op.cmd == XEN_SYSCTL_tbuf_op) TRY(trace_op(op.u.tbuf_op));
        else if (op.cmd == XEN_SYSCTL_perfc_op) TRY(counter_op(op.u.perfc_op));
        else if (op.cmd == XEN_SYSCTL_physinfo) op.u.physinfo.nr_cpus = 2;
        else return fail(Errno::ENOSYS);
        return 0;
    }
    std::span<std::byte> allocate(std::size_t bytes) override {
        ++buffers;
        return {new std::byte[bytes]{}, bytes};
    }
    void release(std::span<std::byte> bytes) override {
        --buffers;
        delete[] bytes.data();
    }
    Result<std::span<std::byte>> map_foreign(DomId domain, std::span<const std::uint64_t> frames,
                                             bool writable) override {
        REQUIRE(domain == xen_id);
        if (++calls == fails) return fail(Errno::ENOMEM);
        const std::uint64_t at = frames.front() - first_frame;
        if (at + frames.size() > memory.size() || writable != (at != 0)) return fail(Errno::EPERM);
        ++mapped;
        return std::span(memory[at].bytes, frames.size() * page_size);
    }
    Result<std::span<std::byte>> map_resource(DomId, std::uint32_t, std::uint32_t, std::uint64_t,
                                              std::uint64_t) override {
        return fail(Errno::ENOSYS);
    }
    void unmap(std::span<std::byte>) override { --mapped; }
};

TraceRecord record(std::uint64_t tsc, std::uint32_t cpu, std::uint32_t event,
                   std::initializer_list<std::uint32_t> words) {
    TraceRecord r{.tsc = tsc, .cpu = cpu, .event = event, .count = static_cast<std::uint32_t>(words.size())};
    std::ranges::copy(words, r.words.begin());
    return r;
}

/// A life of two CPUs: 1 ms at 1 GHz.
const std::vector<TraceRecord> life = {
    record(1'000'000, 0, TRC_PV_HYPERCALL_V2, {__HYPERVISOR_iret}),
    record(1'000'100, 0, TRC_SCHED_SWITCH, {0x7fff, 0, 1, 1}),
    record(1'000'200, 0, TRC_PV_HYPERCALL_V2,
           {__HYPERVISOR_event_channel_op | arg32_0 | arg64_1, EVTCHNOP_send, 0x80001000, 0xffff8880}),
    record(1'000'250, 1, TRC_SCHED_WAKE, {0, 0}),
    record(1'001'434, 0, call_end, {__HYPERVISOR_event_channel_op, 0, 0}),
    record(1'002'000, 0, TRC_PV_HYPERCALL_V2, {__HYPERVISOR_multicall}),
    record(1'002'100, 0, TRC_PV_HYPERCALL_SUBCALL, {63}),
    record(1'002'200, 0, subcall_end, {63, 0xffffffda, 0xffffffff}),
    record(1'002'300, 0, call_end, {__HYPERVISOR_multicall, 0, 0}),
    record(1'003'000, 0, TRC_PV_PAGE_FAULT | TRC_64_FLAG, {0x81000000, 0xffffffff, 0x1000, 0, 6}),
    record(1'003'100, 0, TRC_PV_TRAP | TRC_64_FLAG, {0x81000010, 0xffffffff, 13 | 1 << 15 | 0x18 << 16}),
    record(1'003'200, 0, TRC_SCHED_RUNSTATE_CHANGE | 2 << 4, {1 << 16 | 1}),
    record(1'003'300, 0, TRC_SCHED_BLOCK, {1, 1}),
    record(1'003'300, 0, TRC_SCHED_SWITCH, {1, 1, 0x7fff, 0}),
    record(1'003'400, 0, TRC_LOST_RECORDS, {12, 0, 0, 0}),
    record(1'003'500, 0, call_end, {__HYPERVISOR_sched_op, 0, 0}),
    record(1'003'600, 1, 0x0008f001, {}),
};

std::string lines(const std::vector<TraceRecord>& records, TraceFollower& follower) {
    std::string text;
    const TraceClock clock{.first = records.front().tsc};
    for (const auto& r : records)
        if (const auto event = follower.add(r)) text += event_line(*event, clock);
    return text;
}

nlohmann::json chrome(const std::vector<TraceRecord>& records) {
    TraceFollower follower;
    ChromeTrace trace({.first = records.front().tsc});
    std::string text = ChromeTrace::begin();
    for (const auto& r : records)
        if (const auto event = follower.add(r)) text += trace.add(*event);
    return nlohmann::json::parse(text + trace.end(follower.lost()));
}

} // namespace

TEST_CASE("records of a ring come back as they were put in, whatever the pieces", "[trace]") {
    std::mt19937 random(1);
    TracePort port;
    port.make(1);
    trace::Ring& ring = port.rings[0];
    std::vector<TraceRecord> seen;
    RecordReader reader(3);
    const auto* data = reinterpret_cast<const std::byte*>(ring.shared + 1);
    const auto consume = [&](std::size_t most) {
        std::size_t bytes = (ring.shared->prod + 2 * ring.size - ring.shared->cons) % (2 * ring.size);
        bytes = std::min(bytes, most);
        for (; bytes != 0; --bytes) {
            reader.read({data + ring.shared->cons % ring.size, 1}, seen);
            ring.shared->cons = (ring.shared->cons + 1) % (2 * ring.size);
        }
    };
    std::uint32_t lost = 0;
    bool half = false;
    for (std::uint32_t i = 0; i < 20'000; ++i) {
        const std::array<std::uint32_t, 7> words{i, i + 1, i + 2, i + 3, i + 4, i + 5, i + 6};
        half |= ring.put(TRC_PV_TRAP, i, std::span(words).first(1 + random() % 7));
        // Slower than the writer for a while.
        if (i % 3 != 0) consume(i % 5000 < 4000 ? 60 : 20);
    }
    consume(~0u);
    std::uint32_t next = 0;
    for (const auto& r : seen) {
        if (r.event == TRC_LOST_RECORDS) {
            REQUIRE(r.wide(2) == next);
            lost += r.words[0];
            next += r.words[0];
            continue;
        }
        REQUIRE((r.event == TRC_PV_TRAP && r.cpu == 3 && r.words[0] == next && r.tsc == next));
        for (std::uint32_t i = 0; i < r.count; ++i) REQUIRE(r.words[i] == next + i);
        ++next;
    }
    CHECK((lost != 0 && half));
    CHECK(next + ring.lost == 20'000);
}

TEST_CASE("a consumer that can't be loses records, and nothing else", "[trace]") {
    std::mt19937 random(2);
    TracePort port;
    port.make(1);
    trace::Ring& ring = port.rings[0];
    const Page behind = port.memory[2];
    for (std::uint32_t i = 0; i < 50'000; ++i) {
        ring.shared->cons = i % 2 ? random() : random() % (2 * ring.size);
        ring.shared->prod = random();
        ring.put(TRC_PV_TRAP, i, std::array<std::uint32_t, 7>{});
        REQUIRE(ring.produced < 2 * ring.size);
        REQUIRE(ring.produced % 4 == 0);
    }
    CHECK(std::memcmp(&behind, &port.memory[2], sizeof behind) == 0);
}

TEST_CASE("a file names the CPU, records without time have the last one's, and the rest waits", "[trace]") {
    const std::uint32_t file[] = {TRC_TRACE_CPU_CHANGE | 2u << 28,
                                  1,
                                  64,
                                  TRC_PV_TRAP | 1u << 28 | 1u << 31,
                                  7,
                                  1,
                                  42,
                                  TRC_TRACE_CPU_CHANGE | 2u << 28,
                                  0,
                                  64,
                                  TRC_SCHED_WAKE | 2u << 28,
                                  1,
                                  0,
                                  TRC_TRACE_WRAP_BUFFER | 1u << 28,
                                  9,
                                  TRC_PV_TRAP | 7u << 28};
    std::vector<TraceRecord> seen;
    RecordReader reader;
    reader.read(std::as_bytes(std::span(file)), seen);
    REQUIRE(seen.size() == 2);
    CHECK((seen[0].cpu == 1 && seen[0].tsc == (7 | 1ull << 32) && seen[0].words[0] == 42));
    CHECK((seen[1].cpu == 0 && seen[1].tsc == seen[0].tsc && seen[1].event == TRC_SCHED_WAKE));
    CHECK(reader.pending() == 4);
}

TEST_CASE("what happened, as lines", "[trace]") {
    TraceFollower follower;
    CHECK(lines(life, follower) == "    0.000000000   0 d?v?   iret()\n"
                                   "    0.000000100   0 idle   switch to d1v1\n"
                                   "    0.000000200   0 d1v1   event_channel_op(send, 0xffff888080001000)\n"
                                   "    0.000000250   1 d0v0   wakes\n"
                                   "    0.000001434   0 d1v1   event_channel_op = 0, 1.234 us\n"
                                   "    0.000002000   0 d1v1   multicall()\n"
                                   "    0.000002100   0 d1v1     hypercall 63()\n"
                                   "    0.000002200   0 d1v1     hypercall 63 = -38 (ENOSYS), 0.100 us\n"
                                   "    0.000002300   0 d1v1   multicall = 0, 0.300 us\n"
                                   "    0.000003000   0 d1v1   #PF at 0xffffffff81000000, address 0x1000, error 6\n"
                                   "    0.000003100   0 d1v1   #GP at 0xffffffff81000010, error 0x18\n"
                                   "    0.000003300   0 d1v1   blocks\n"
                                   "    0.000003300   0 d1v1   switch to idle\n"
                                   "    0.000003400   0 idle   12 records lost\n"
                                   "    0.000003500   0 d?v?   sched_op = 0\n");
    CHECK(follower.lost() == 12);
}

TEST_CASE("what happened, for browsers", "[trace]") {
    const auto trace = chrome(life);
    CHECK(trace["schema"] == "streak.trace/1");
    CHECK(trace["lost"] == 12);
    std::map<std::string, nlohmann::json> spans;
    unsigned tracks = 0, moments = 0;
    for (const auto& e : trace["traceEvents"]) {
        if (e["ph"] == "X") spans[e["name"]] = e;
        tracks += e["ph"] == "M" && e["name"] == "thread_name";
        moments += e["ph"] == "i";
    }
    REQUIRE((spans.contains("event_channel_op") && spans.contains("multicall") && spans.contains("d1v1")));
    const auto& send = spans["event_channel_op"];
    CHECK((send["pid"] == 1 && send["tid"] == 1 && send["ts"] == 0.2 && send["dur"] == 1.234));
    CHECK((send["args"]["call"] == "event_channel_op(send, 0xffff888080001000)" && send["args"]["result"] == "0"));
    CHECK(spans["hypercall 63"]["args"]["result"] == "-38 (ENOSYS)");
    CHECK((spans["d1v1"]["pid"] == 0x8000 && spans["d1v1"]["tid"] == 0 && spans["d1v1"]["ts"] == 0.1));
    CHECK(spans.size() == 4);
    CHECK(tracks == 3);  // d1v1, d0v0, CPU 0
    CHECK(moments == 5); // wakes, #PF, #GP, blocks, lost
}

TEST_CASE("garbage is survived, and is JSON in the end", "[trace]") {
    std::mt19937 random(3);
    const std::uint32_t known[] = {TRC_PV_HYPERCALL_V2,
                                   TRC_PV_HYPERCALL_SUBCALL,
                                   call_end,
                                   subcall_end,
                                   TRC_PV_TRAP | TRC_64_FLAG,
                                   TRC_PV_PAGE_FAULT | TRC_64_FLAG,
                                   TRC_SCHED_SWITCH,
                                   TRC_SCHED_WAKE,
                                   TRC_SCHED_BLOCK,
                                   TRC_LOST_RECORDS,
                                   TRC_TRACE_CPU_CHANGE};
    for (unsigned round = 0; round < 50; ++round) {
        std::vector<std::uint32_t> words;
        for (unsigned i = 0; i < 2000; ++i)
            words.push_back(random() % 3 ? random() : known[random() % std::size(known)] | (random() & 0xf0000000));
        std::vector<TraceRecord> records;
        RecordReader reader;
        reader.read(std::as_bytes(std::span(words)), records);
        REQUIRE(!records.empty());
        TraceFollower follower;
        CHECK(!lines(records, follower).empty());
        CHECK(chrome(records)["traceEvents"].is_array());
    }
}

TEST_CASE("names of calls, operations, results, exceptions", "[trace]") {
    const auto text = [](std::uint32_t call, std::uint64_t operation) {
        return call_text(call, std::array{operation});
    };
    CHECK(call_name(__HYPERVISOR_set_trap_table) == "set_trap_table");
    CHECK(call_name(__HYPERVISOR_update_descriptor) == "update_descriptor");
    CHECK(call_name(__HYPERVISOR_memory_op) == "memory_op");
    CHECK(call_name(__HYPERVISOR_event_channel_op) == "event_channel_op");
    CHECK(call_name(__HYPERVISOR_hypfs_op) == "hypfs_op");
    CHECK(call_name(__HYPERVISOR_mca) == "mca");
    CHECK(call_name(11) == "hypercall 11");
    CHECK(call_name(4'000'000'000) == "hypercall 4000000000");
    CHECK(text(__HYPERVISOR_event_channel_op, EVTCHNOP_set_priority) == "event_channel_op(set_priority)");
    CHECK(text(__HYPERVISOR_sched_op, SCHEDOP_pin_override) == "sched_op(pin_override)");
    CHECK(text(__HYPERVISOR_vcpu_op, VCPUOP_register_vcpu_time_memory_area) ==
          "vcpu_op(register_vcpu_time_memory_area)");
    CHECK(text(__HYPERVISOR_grant_table_op, GNTTABOP_cache_flush) == "grant_table_op(cache_flush)");
    CHECK(text(__HYPERVISOR_memory_op, XENMEM_populate_physmap) == "memory_op(populate_physmap)");
    CHECK(text(__HYPERVISOR_memory_op, XENMEM_acquire_resource) == "memory_op(acquire_resource)");
    CHECK(text(__HYPERVISOR_memory_op, XENMEM_claim_pages) == "memory_op(claim_pages)");
    CHECK(text(__HYPERVISOR_physdev_op, PHYSDEVOP_map_pirq) == "physdev_op(map_pirq)");
    CHECK(text(__HYPERVISOR_physdev_op, PHYSDEVOP_release_msix) == "physdev_op(release_msix)");
    CHECK(text(__HYPERVISOR_physdev_op, 18) == "physdev_op(0x12)");
    CHECK(text(__HYPERVISOR_xen_version, XENVER_build_id) == "xen_version(build_id)");
    CHECK(text(__HYPERVISOR_set_segment_base, SEGBASE_GS_USER_SEL) == "set_segment_base(gs_user_sel)");
    CHECK(text(__HYPERVISOR_console_io, CONSOLEIO_read) == "console_io(read)");
    CHECK(text(__HYPERVISOR_callback_op, CALLBACKOP_unregister) == "callback_op(unregister)");
    CHECK(text(__HYPERVISOR_vm_assist, VMASST_CMD_disable) == "vm_assist(disable)");
    CHECK(text(__HYPERVISOR_sched_op_compat, 1) == "sched_op_compat(block)");
    CHECK(text(__HYPERVISOR_mmu_update, 5) == "mmu_update(5)");
    CHECK(text(__HYPERVISOR_sched_op, ~0ull) == "sched_op(0xffffffffffffffff)");
    CHECK(result_text(0) == "0");
    CHECK(result_text(-22) == "-22 (EINVAL)");
    CHECK(result_text(-85) == "goes on");
    CHECK(result_text(0x40011) == "0x40011");
    CHECK(trap_name(3) == "#BP");
    CHECK(trap_name(21) == "#CP");
    CHECK(trap_name(9) == "vector 9");
    CHECK(trap_name(77) == "vector 77");
}

TEST_CASE("the buffers are made, read and left off", "[trace]") {
    TracePort port;
    {
        auto buffers = TraceBuffers::open(port, 2);
        REQUIRE(buffers);
        CHECK((port.pages == 2 && port.mapped == 2));
        port.rings[0].put(TRC_PV_TRAP, 1, std::array<std::uint32_t, 1>{7});
        REQUIRE(buffers->start(TRC_PV));
        CHECK((port.on && port.events == TRC_PV && port.all_cpus));
        port.rings[1].put(TRC_PV_TRAP, 2, std::array<std::uint32_t, 1>{8});
        port.rings[0].put(TRC_PV_TRAP, 3, std::array<std::uint32_t, 1>{9});
        std::vector<TraceRecord> seen;
        buffers->take(seen);
        REQUIRE(seen.size() == 2); // what was there before isn't
        CHECK((seen[0].words[0] == 9 && seen[0].cpu == 0 && seen[1].words[0] == 8 && seen[1].cpu == 1));
        // Round and round.
        for (std::uint32_t i = 0; i < 5000; ++i) {
            port.rings[0].put(TRC_PV_TRAP, i, std::array<std::uint32_t, 3>{i, i, i});
            if (i % 50 == 0) buffers->take(seen);
        }
        buffers->take(seen);
        CHECK(seen.size() == 5002);
        // Positions that can't be: nothing is read beyond the ring, and it goes on.
        for (const std::uint32_t bad : {~0u, 100'000u, 0x7fffffffu}) {
            port.rings[0].shared->prod = bad;
            buffers->take(seen);
        }
        port.rings[0].shared->cons = ~0u;
        buffers->take(seen);
        CHECK(seen.size() == 5002);
    }
    CHECK((!port.on && port.mapped == 0 && port.buffers == 0));
    // Buffers of another size are taken as they are.
    const auto again = TraceBuffers::open(port, 5);
    CHECK((again && port.pages == 2));
}

TEST_CASE("whatever fails, tracing is off and nothing stays mapped", "[trace]") {
    for (std::uint32_t n = 1;; ++n) {
        TracePort port;
        port.fails = n;
        bool good = false;
        {
            auto buffers = TraceBuffers::open(port, 1);
            if (buffers) {
                const auto started = buffers->start(TRC_ALL);
                good = started.has_value();
                if (!good) CHECK(started.error() == Errno::EPERM);
            } else {
                CHECK((buffers.error() == Errno::EPERM || buffers.error() == Errno::ENOMEM));
            }
        }
        CHECK((port.mapped == 0 && port.buffers == 0));
        if (good) break;
        CHECK((!port.on && n < 20));
    }
    TracePort port;
    port.make(1);
    reinterpret_cast<std::uint16_t*>(port.memory[0].bytes)[2] = 1024; // CPU 1's list begins where the page ends
    CHECK(!TraceBuffers::open(port, 1));
    CHECK(port.mapped == 0);
}

TEST_CASE("counters begin when nobody counts, and are left alone when somebody does", "[trace]") {
    TracePort port;
    auto first = begin_counting(port);
    REQUIRE(first);
    CHECK(port.counting);
    port.counters.calls[17] = 5;
    auto second = begin_counting(port);
    REQUIRE(second);
    CHECK(second->calls[17] == 5);
    port.nr_vals = 64;
    CHECK(read_counters(port).error() == Errno::EOPNOTSUPP);
    CHECK(port.buffers == 0);
    for (std::uint32_t n = 1; n <= 7; ++n) {
        TracePort failing;
        failing.fails = n;
        CHECK(!begin_counting(failing));
        CHECK(failing.buffers == 0);
    }
}

TEST_CASE("what calls used between two readings", "[trace]") {
    CallCounters before{}, now{};
    before.calls[17] = ~0u; // it goes round
    now.calls[17] = 99;
    now.ticks_1024[17] = 1000;
    now.shorter[4][17] = 98; // below 2^10 ticks
    now.shorter[10][17] = 2; // below 2^16
    now.calls[1] = 1;
    now.ticks_1024[1] = 5000;
    now.shorter[29][1] = 1;
    const auto uses = use_between(before, now, 2.0, 2'000'000, 4);
    REQUIRE(uses.size() == 2);
    CHECK((uses[0].number == 1 && uses[1].number == 17));
    const auto& u = uses[1];
    CHECK((u.calls == 100 && u.per_second == 50));
    CHECK(u.mean_ns == 5120);
    CHECK(u.share == 512'000.0 / 8e9);
    CHECK((u.p50_ns == 512 && u.p99_ns == 32'768));
    CHECK(uses[0].p50_ns == static_cast<double>(1ull << 34));
    CHECK(use_between(now, now, 1, 1'000'000, 1).empty());
}
