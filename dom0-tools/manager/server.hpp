// SPDX-License-Identifier: GPL-2.0-only
#pragma once

#include "manager/routes.hpp"

struct MHD_Daemon;

namespace streak::manager {

/// The API on a Unix socket: a thread for each connection, so that those who wait hold up nobody.
class Server {
public:
    /// `socket` is replaced; whoever may write to it may do everything: mode 0660, group `streak` where there is one.
    [[nodiscard]] static base::Outcome<Server> start(Manager& manager, const std::filesystem::path& socket);

private:
    struct Stop {
        void operator()(MHD_Daemon* daemon) const;
    };
    std::unique_ptr<MHD_Daemon, Stop> daemon_;
};

} // namespace streak::manager
