// SPDX-License-Identifier: GPL-2.0-only
#include "base/event.hpp"

#include <csignal>

namespace streak::base {

namespace {

/// The function belongs to the source from here on.
template <class Function> EventSource keep(sd_event_source* source, std::unique_ptr<Function> handle) {
    const auto end = [](void* function) { delete static_cast<Function*>(function); };
    if (source && sd_event_source_set_destroy_callback(source, end) >= 0) (void)handle.release();
    return EventSource(source);
}

} // namespace

Outcome<EventLoop> make_event_loop() {
    sd_event* made = nullptr;
    int status = sd_event_new(&made);
    EventLoop loop(made);
    for (const int signal : {SIGTERM, SIGINT})
        if (status >= 0)
            status = sd_event_add_signal(made, nullptr, signal | SD_EVENT_SIGNAL_PROCMASK, nullptr, nullptr);
    if (status < 0) return errno_error("the event loop can't be made", -status);
    return loop;
}

EventSource on_ready(sd_event* loop, int fd, std::uint32_t events, std::function<void(std::uint32_t)> handle) {
    auto kept = std::make_unique<decltype(handle)>(std::move(handle));
    const auto call = [](sd_event_source*, int, std::uint32_t ready, void* function) {
        (*static_cast<decltype(handle)*>(function))(ready);
        return 0;
    };
    sd_event_source* source = nullptr;
    sd_event_add_io(loop, &source, fd, events, call, kept.get());
    return keep(source, std::move(kept));
}

EventSource after(sd_event* loop, std::chrono::microseconds time, std::function<void()> handle) {
    auto kept = std::make_unique<decltype(handle)>(std::move(handle));
    const auto call = [](sd_event_source*, std::uint64_t, void* function) {
        (*static_cast<decltype(handle)*>(function))();
        return 0;
    };
    sd_event_source* source = nullptr;
    sd_event_add_time_relative(loop, &source, CLOCK_MONOTONIC, static_cast<std::uint64_t>(time.count()), 0, call,
                               kept.get());
    return keep(source, std::move(kept));
}

} // namespace streak::base
