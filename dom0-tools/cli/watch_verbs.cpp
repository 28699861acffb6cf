// SPDX-License-Identifier: GPL-2.0-only
#include "cli/verbs.hpp"

#include "cli/text.hpp"
#include "cli/views.hpp"

// Verbs that go on showing: top and events.

namespace streak::cli {
namespace {

void show_top(Context& context, const Json& before, const Json& now, bool clear) {
    const auto ns = number_of(now, "time_ns") - number_of(before, "time_ns");
    context.print(now, (clear ? "\033[H\033[J" : "") + top_text(before, now, before.empty() ? 0 : ns));
}

Outcome<> top(Context& context, bool once, const Options::Value& interval, bool hypercalls) {
    TRY_ASSIGN(seconds, parse_number("interval", interval.value_or("1"), 1, 3600));
    if (hypercalls) return top_hypercalls(context, once, seconds);
    TRY_ASSIGN(before, context.get("/v1/stats"));
    const bool clear = context.terminal() && !once;
    if (!once) show_top(context, Json::object(), before, clear);
    while (true) {
        sleep_for(std::chrono::seconds(seconds));
        TRY_ASSIGN(now, context.get("/v1/stats"));
        show_top(context, before, now, clear);
        if (once) return {};
        if (!clear && !context.json()) context.print_text("\n");
        before = std::move(now);
    }
}

constexpr unsigned wait_seconds = 30, most_tries = 30;

/// The next events; a streakd that is being restarted is waited for.
Outcome<Json> next_events(Context& context, std::uint64_t since) {
    const auto path = "/v1/events?since=" + std::to_string(since) + "&wait=" + std::to_string(wait_seconds);
    for (unsigned tries = 1;; ++tries) {
        auto answer = context.get(path, std::chrono::seconds(wait_seconds) + Context::usual_limit);
        if (answer || answer.error().error.kind != base::ErrorKind::unavailable || tries == most_tries) return answer;
        sleep_for(std::chrono::seconds(1));
    }
}

void show_events(Context& context, const Json& answer) {
    for (const auto& event : list_of(answer, "events")) {
        Json line{{"schema", "streak.event/1"}};
        line.update(event);
        context.print(line, event_text(event));
    }
}

Outcome<> events(Context& context, bool follow, const Options::Value& since) {
    TRY_ASSIGN(first, parse_number("number of an event", since.value_or("0"), 0, UINT32_MAX));
    TRY_ASSIGN(answer, context.get("/v1/events?since=" + std::to_string(first)));
    if (!follow && context.json()) return context.print(answer, {});
    show_events(context, answer);
    auto last = number_of(answer, "last");
    while (follow) {
        TRY_ASSIGN(more, next_events(context, last));
        show_events(context, more);
        last = number_of(more, "last");
    }
    return {};
}

} // namespace

Action declare_top(Options& options) {
    const auto& once = options.flag("--once", "only once, for one interval");
    const auto& interval = options.value("--interval", "S", "seconds between two looks (1)");
    const auto& hypercalls = options.flag("--hypercalls", "which hypercalls all domains make, and how long they take");
    return [&once, &interval, &hypercalls](Context& context) { return top(context, once, interval, hypercalls); };
}

Action declare_events(Options& options) {
    const auto& follow =
        options.flag("--follow", "go on with those that come (one JSON line each, schema streak.event/1)");
    const auto& since = options.value("--since", "NUMBER", "only those after this number");
    return [&follow, &since](Context& context) { return events(context, follow, since); };
}

} // namespace streak::cli
