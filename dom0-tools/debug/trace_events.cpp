// SPDX-License-Identifier: GPL-2.0-only
#include "debug/trace_events.hpp"

#include <algorithm>
#include <cstring>

#include "lib/abi.hpp"

namespace streak::debug {
namespace {

using Kind = TraceEvent::Kind;

constexpr std::uint32_t call_end = TRC_PV_ENTRY + 15, subcall_end = TRC_PV_SUBCALL + 15; // docs/abi.md

/// Records whose words stand for the same each time.
struct Shape {
    std::uint32_t event, words;
    Kind kind;
};
constexpr std::array<Shape, 9> shapes{{{TRC_PV_HYPERCALL_V2, 1, Kind::call},
                                       {TRC_PV_HYPERCALL_SUBCALL, 1, Kind::call},
                                       {call_end, 3, Kind::call_end},
                                       {subcall_end, 3, Kind::call_end},
                                       {TRC_PV_TRAP | TRC_64_FLAG, 3, Kind::trap},
                                       {TRC_PV_PAGE_FAULT | TRC_64_FLAG, 5, Kind::page_fault},
                                       {TRC_SCHED_SWITCH, 4, Kind::switches},
                                       {TRC_SCHED_WAKE, 2, Kind::wakes},
                                       {TRC_SCHED_BLOCK, 2, Kind::blocks}}};

} // namespace

void RecordReader::read(std::span<const std::byte> bytes, std::vector<TraceRecord>& to) {
    pending_.insert(pending_.end(), bytes.begin(), bytes.end());
    std::size_t at = 0;
    const auto word = [&](std::size_t index) {
        std::uint32_t value;
        std::memcpy(&value, pending_.data() + at + index * sizeof value, sizeof value);
        return value;
    };
    while (pending_.size() - at >= sizeof(std::uint32_t)) {
        const std::uint32_t head = word(0), count = TRC_HD_EXTRA(head);
        const std::size_t stamp = TRC_HD_INCLUDES_CYCLE_COUNT(head) ? 2 : 0, all = 1 + stamp + count;
        if (pending_.size() - at < all * sizeof(std::uint32_t)) break;
        if (stamp != 0) tsc_ = word(1) | std::uint64_t{word(2)} << 32;
        TraceRecord record{.tsc = tsc_, .cpu = cpu_, .event = TRC_HD_TO_EVENT(head), .count = count};
        for (std::uint32_t i = 0; i < count; ++i) record.words[i] = word(1 + stamp + i);
        at += all * sizeof(std::uint32_t);
        if (record.event == TRC_TRACE_CPU_CHANGE) cpu_ = record.words[0];
        else if (record.event != TRC_TRACE_WRAP_BUFFER) to.push_back(record);
    }
    pending_.erase(pending_.begin(), pending_.begin() + static_cast<std::ptrdiff_t>(at));
}

std::optional<TraceEvent> TraceFollower::add(const TraceRecord& r) {
    Cpu& cpu = cpus_[r.cpu];
    TraceEvent event{.tsc = r.tsc, .cpu = r.cpu, .vcpu = cpu.runs};
    if (r.event == TRC_LOST_RECORDS && r.count >= 1) {
        // What happened in between is not known: neither who runs nor what has ended.
        cpu = {};
        event.kind = Kind::loss;
        event.number = r.words[0];
        lost_ += r.words[0];
        return event;
    }
    const auto* shape = std::ranges::find(shapes, r.event, &Shape::event);
    if (shape == shapes.end() || r.count < shape->words) return {};
    event.kind = shape->kind;
    event.in_list = r.event == TRC_PV_HYPERCALL_SUBCALL || r.event == subcall_end;
    switch (event.kind) {
    case Kind::call: begin_call(r, cpu, event); return event;
    case Kind::call_end: end_call(r, cpu, event); return event;
    case Kind::trap:
        event.number = r.words[2] & 0x7fff;
        event.error = r.words[2] >> 16;
        event.rip = r.wide(0);
        return event;
    case Kind::page_fault:
        event.number = 14;
        event.rip = r.wide(0);
        event.address = r.wide(2);
        event.error = r.words[4];
        return event;
    case Kind::switches:
        event.vcpu = {r.words[0], r.words[1]};
        event.next = {r.words[2], r.words[3]};
        event.begun = cpu.since;
        cpu = {.runs = event.next, .since = r.tsc};
        return event;
    default: event.vcpu = {r.words[0], r.words[1]}; return event;
    }
}

void TraceFollower::begin_call(const TraceRecord& r, Cpu& cpu, TraceEvent& event) {
    event.number = r.words[0] & ~TRC_PV_HYPERCALL_V2_ARG_MASK;
    std::size_t at = 1;
    for (unsigned i = 0; i < 6; ++i) {
        const std::uint32_t width = r.words[0] >> (20 + 2 * i) & 3;
        if (width == 0 || width == 3 || at + width > r.count) break;
        event.arguments.push_back(width == 1 ? r.words[at] : r.wide(at));
        at += width;
    }
    // Of those that didn't end there are no more than a call and one of its list.
    if (!event.in_list) cpu.open.clear();
    if (cpu.open.size() < 2) cpu.open.push_back(event);
}

void TraceFollower::end_call(const TraceRecord& r, Cpu& cpu, TraceEvent& event) {
    event.number = r.words[0];
    event.result = r.wide(1);
    while (!cpu.open.empty()) {
        const TraceEvent begun = std::move(cpu.open.back());
        cpu.open.pop_back();
        if (begun.number != event.number || begun.in_list != event.in_list) continue;
        event.begun = begun.tsc;
        event.arguments = begun.arguments;
        return;
    }
}

} // namespace streak::debug
