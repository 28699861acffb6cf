// SPDX-License-Identifier: GPL-2.0-only
#pragma once

#include <chrono>
#include <memory>
#include <optional>
#include <string>

#include "base/error.hpp"

struct mnl_socket;

// Linux's network interfaces by netlink (rtnetlink(7)).

namespace streak::device {

struct Link {
    std::uint32_t index = 0, mtu = 0;
    bool is_bridge = false;
};

/// A netlink connection. For one thread.
class Links {
public:
    /// `notices`: hear of interfaces that appear.
    [[nodiscard]] static base::Outcome<Links> open(bool notices = false);

    /// Nothing: there is no such interface.
    [[nodiscard]] base::Outcome<std::optional<Link>> find(const std::string& name);

    struct Settings {
        std::string name;         ///< empty: as it is
        std::uint32_t master = 0; ///< the bridge's index; 0: as it is
        std::uint32_t mtu = 0;    ///< 0: as it is
        bool up = false;          ///< false: as it is
    };
    [[nodiscard]] base::Outcome<> set(std::uint32_t index, const Settings& settings);

    /// Waits for news of any interface, with `notices` only. False: none within `limit`.
    [[nodiscard]] base::Outcome<bool> wait(std::chrono::milliseconds limit);

private:
    struct Close {
        void operator()(mnl_socket* socket) const;
    };
    std::unique_ptr<mnl_socket, Close> socket_;
    std::uint32_t sequence_ = 0;
};

} // namespace streak::device
