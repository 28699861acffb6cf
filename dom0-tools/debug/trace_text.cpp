// SPDX-License-Identifier: GPL-2.0-only
#include "debug/trace_text.hpp"

#include <cstdio>

namespace streak::debug {
namespace {

using Kind = TraceEvent::Kind;

/// "1.234" of 1234.
std::string thousandths(std::uint64_t number) {
    std::string text = std::to_string(number);
    if (text.size() < 4) text.insert(0, 4 - text.size(), '0');
    return text.insert(text.size() - 3, ".");
}

std::string what(const TraceEvent& e, const TraceClock& clock) {
    switch (e.kind) {
    case Kind::call: return (e.in_list ? "  " : "") + call_text(e.number, e.arguments);
    case Kind::call_end:
        return (e.in_list ? "  " : "") + call_name(e.number) + " = " + result_text(e.result) +
               (e.begun != 0 ? ", " + thousandths(clock.ns(e.tsc - e.begun)) + " us" : "");
    case Kind::trap: return trap_name(e.number) + " at " + number_text(e.rip) + ", error " + number_text(e.error);
    case Kind::page_fault:
        return trap_name(e.number) + " at " + number_text(e.rip) + ", address " + number_text(e.address) + ", error " +
               number_text(e.error);
    case Kind::switches: return "switch to " + vcpu_text(e.next);
    case Kind::wakes: return "wakes";
    case Kind::blocks: return "blocks";
    default: return std::to_string(e.number) + " records lost";
    }
}

std::string quoted(const std::string& text) { return '"' + text + '"'; } // nothing in it needs to be escaped

constexpr std::uint32_t cpu_tracks = 0x8000; ///< a "process", above all domains'

} // namespace

std::string vcpu_text(const TraceVcpu& vcpu) {
    if (!vcpu.known()) return "d?v?";
    if (vcpu.idle()) return "idle";
    return "d" + std::to_string(vcpu.domain) + "v" + std::to_string(vcpu.number);
}

std::string event_line(const TraceEvent& e, const TraceClock& clock) {
    char head[64];
    const std::uint64_t ns = clock.at(e.tsc);
    std::snprintf(head, sizeof head, "%5llu.%09llu %3u %-6s ", static_cast<unsigned long long>(ns / 1'000'000'000),
                  static_cast<unsigned long long>(ns % 1'000'000'000), e.cpu, vcpu_text(e.vcpu).c_str());
    return head + what(e, clock) + "\n";
}

std::string ChromeTrace::name_track(std::uint32_t process, std::uint32_t thread) {
    std::string text;
    const auto name = [&](const char* kind, const std::string& is) {
        text += std::string(any_ ? ",\n" : "\n") + R"({"ph":"M","name":")" + kind + R"(","pid":)" +
                std::to_string(process) + R"(,"tid":)" + std::to_string(thread) + R"(,"args":{"name":")" + is + "\"}}";
        any_ = true;
    };
    const bool cpus = process == cpu_tracks;
    const auto same = named_.lower_bound({process, 0});
    if (same == named_.end() || same->first != process)
        name("process_name", cpus ? "CPUs" : "domain " + std::to_string(process));
    if (named_.emplace(process, thread).second) name("thread_name", (cpus ? "CPU " : "vCPU ") + std::to_string(thread));
    return text;
}

std::string ChromeTrace::entry(const TraceEvent& e, const std::string& name, const std::string& arguments,
                               bool on_cpu_track) {
    const bool span = e.kind == Kind::call_end || e.kind == Kind::switches;
    const std::uint32_t process = on_cpu_track ? cpu_tracks : e.vcpu.domain,
                        thread = on_cpu_track ? e.cpu : e.vcpu.number;
    const std::uint64_t from = clock_.at(span ? e.begun : e.tsc);
    std::string text = name_track(process, thread);
    text += std::string(any_ ? ",\n" : "\n") + R"({"ph":)" +
            (span ? R"("X","dur":)" + thousandths(clock_.at(e.tsc) - from) : R"("i","s":"t")") + R"(,"ts":)" +
            thousandths(from) + R"(,"pid":)" + std::to_string(process) + R"(,"tid":)" + std::to_string(thread) +
            R"(,"name":)" + quoted(name) + R"(,"args":{)" + arguments + "}}";
    any_ = true;
    return text;
}

std::string ChromeTrace::add(const TraceEvent& e) {
    const std::string cpu = R"("cpu":)" + std::to_string(e.cpu);
    switch (e.kind) {
    case Kind::call: return {}; // drawn when it ends
    case Kind::call_end:
        if (e.begun == 0) return {};
        return entry(e, call_name(e.number),
                     R"("call":)" + quoted(call_text(e.number, e.arguments)) + R"(,"result":)" +
                         quoted(result_text(e.result)) + "," + cpu,
                     !e.vcpu.known());
    case Kind::trap:
    case Kind::page_fault:
        return entry(e, trap_name(e.number),
                     R"("rip":)" + quoted(number_text(e.rip)) + R"(,"address":)" + quoted(number_text(e.address)) +
                         R"(,"error":)" + quoted(number_text(e.error)) + "," + cpu,
                     !e.vcpu.known());
    case Kind::switches: return e.begun == 0 || e.vcpu.idle() ? "" : entry(e, vcpu_text(e.vcpu), cpu, true);
    case Kind::loss: return entry(e, what(e, clock_), cpu, true);
    default: return entry(e, what(e, clock_), cpu, false);
    }
}

} // namespace streak::debug
