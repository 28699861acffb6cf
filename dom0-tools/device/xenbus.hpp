// SPDX-License-Identifier: GPL-2.0-only
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace streak::device {

/// State of one end of a split driver, XenbusState* of xen/io/xenbus.h.
enum class State : std::uint8_t {
    unknown = 0, ///< no node, or nonsense in it
    initialising = 1,
    init_wait = 2,
    initialised = 3,
    connected = 4,
    closing = 5,
    closed = 6,
    reconfiguring = 7,
    reconfigured = 8,
};

/// What a node `state` says; a guest can write anything there.
[[nodiscard]] constexpr State parse_state(const std::optional<std::string>& text) {
    if (!text || text->size() != 1 || text->front() < '0' || text->front() > '8') return State::unknown;
    return static_cast<State>(text->front() - '0');
}

[[nodiscard]] constexpr std::string_view name_of(State state) {
    constexpr std::string_view names[] = {"unknown", "initialising", "init-wait",     "initialised", "connected",
                                          "closing", "closed",       "reconfiguring", "reconfigured"};
    return names[static_cast<std::size_t>(state)];
}

} // namespace streak::device
