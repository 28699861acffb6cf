// SPDX-License-Identifier: GPL-2.0-only
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>

#include <sys/epoll.h>
#include <systemd/sd-event.h>

#include "base/error.hpp"

// sd-event(3): loops and sources that end with their owners, and functions that are called.

namespace streak::base {

struct EventEnd {
    void operator()(sd_event* loop) const { sd_event_unref(loop); }
    void operator()(sd_event_source* source) const { sd_event_source_disable_unref(source); }
};
using EventLoop = std::unique_ptr<sd_event, EventEnd>;
/// May be ended by the function that it calls, too.
using EventSource = std::unique_ptr<sd_event_source, EventEnd>;

/// A loop that SIGTERM and SIGINT end.
[[nodiscard]] Outcome<EventLoop> make_event_loop();

/// Calls `handle(events)` each time that `fd` is ready for some of `events`, EPOLL*. Null: it can't be had.
[[nodiscard]] EventSource on_ready(sd_event* loop, int fd, std::uint32_t events,
                                   std::function<void(std::uint32_t)> handle);
/// Calls `handle` once, when the time has passed.
[[nodiscard]] EventSource after(sd_event* loop, std::chrono::microseconds time, std::function<void()> handle);

} // namespace streak::base
