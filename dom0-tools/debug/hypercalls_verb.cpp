// SPDX-License-Identifier: GPL-2.0-only
#include "debug/hypercalls_verb.hpp"

#include <cstdio>

#include "cli/text.hpp"
#include "debug/call_counters.hpp"
#include "debug/call_names.hpp"
#include "hv/hypervisor.hpp"
#include "hv/privcmd.hpp"

namespace streak::cli {
namespace {

using Clock = std::chrono::steady_clock;

std::string rounded(double number, int digits) {
    char text[32];
    std::snprintf(text, sizeof text, "%.*f", digits, number);
    return text;
}

Json to_json(const std::vector<debug::CallUse>& uses, double seconds) {
    Json list = Json::array();
    for (const auto& use : uses)
        list.push_back({{"name", debug::call_name(use.number)},
                        {"number", use.number},
                        {"calls", use.calls},
                        {"per_second", use.per_second},
                        {"share", use.share},
                        {"mean_ns", use.mean_ns},
                        {"p50_ns", use.p50_ns},
                        {"p99_ns", use.p99_ns}});
    return {{"schema", "streak.hypercalls/1"}, {"seconds", seconds}, {"hypercalls", list}};
}

std::string to_text(const std::vector<debug::CallUse>& uses) {
    Table table({"HYPERCALL", ">CALLS/S", ">CPU%", ">MEAN us", ">P50 us <", ">P99 us <"});
    for (const auto& use : uses)
        table.row({debug::call_name(use.number), rounded(use.per_second, 0), rounded(use.share * 100, 2),
                   rounded(use.mean_ns / 1000, 2), rounded(use.p50_ns / 1000, 2), rounded(use.p99_ns / 1000, 2)});
    return table.text();
}

Outcome<> failed(Errno code) {
    return std::unexpected(Failure(base::hypercall_error("hypercalls can't be counted", code).error()));
}

} // namespace

Outcome<> top_hypercalls(Context& context, bool once, unsigned seconds) {
    TRY_ASSIGN(port, hv::Privcmd::open());
    const auto host = hv::Hypervisor(*port).host_info();
    auto before = debug::begin_counting(*port);
    if (!host || !before) return failed(host ? before.error() : host.error());
    auto then = Clock::now();
    const bool clear = context.terminal() && !once;
    while (true) {
        // Counting ends when nobody asks for 10 s.
        for (unsigned second = 0; second < seconds; ++second) {
            sleep_for(std::chrono::seconds(1));
            if (second % 4 == 3)
                if (auto kept = debug::read_counters(*port); !kept) return failed(kept.error());
        }
        const auto now = debug::read_counters(*port);
        if (!now) return failed(now.error());
        const double passed = std::chrono::duration<double>(Clock::now() - then).count();
        const auto uses = debug::use_between(*before, *now, passed, host->cpu_khz, host->cpus);
        context.print(to_json(uses, passed), (clear ? "\033[H\033[J" : "") + to_text(uses));
        if (once) return {};
        if (!clear && !context.json()) context.print_text("\n");
        before = now;
        then = Clock::now();
    }
}

} // namespace streak::cli
