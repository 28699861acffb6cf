// SPDX-License-Identifier: GPL-2.0-only
#pragma once

#include "base/error.hpp"
#include "device/layout.hpp"

// What a hot-plug waits for, as pure state machines: they are shown the states of both ends, in whatever order and
// with whatever jumps, and say whether to go on waiting.

namespace streak::device {

enum class Progress : std::uint8_t { waiting, done, failed };

/// The states of both ends at one instant.
struct Ends {
    State frontend = State::unknown, backend = State::unknown;
    bool operator==(const Ends&) const = default;
};

/// Connecting: done when both ends are connected, failed when the backend gave up.
class Attach {
public:
    explicit Attach(Kind kind) : kind_(kind) {}
    [[nodiscard]] Progress saw(Ends ends);
    /// Who did not answer. `reason`: what the backend left in its error node.
    [[nodiscard]] base::Error failure(const std::string& reason = {}) const;

private:
    Kind kind_;
    Ends last_{};
    bool backend_was_there_ = false;
};

/// Closing with the guest's consent: done when both ends have closed, or were never open.
class Detach {
public:
    explicit Detach(Kind kind) : kind_(kind) {}
    [[nodiscard]] Progress saw(Ends ends);
    [[nodiscard]] base::Error failure() const;

private:
    Kind kind_;
    Ends last_{};
};

} // namespace streak::device
