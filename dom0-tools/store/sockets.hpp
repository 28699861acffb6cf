// SPDX-License-Identifier: GPL-2.0-only
#pragma once

#include <map>
#include <memory>
#include <set>
#include <string>

#include "base/event.hpp"
#include "base/fd.hpp"
#include "store/store.hpp"

namespace streak::store {

/// Clients at the socket: tools of the control domain.
class Sockets {
public:
    Sockets(sd_event* loop, Store& store) : loop_(loop), store_(store) {}

    /// Listens on `path`, for the owner only.
    [[nodiscard]] base::Outcome<> listen(const std::string& path);

    /// Sends what sessions were given meanwhile.
    void flush_woken();
    /// Gives clients with requests left over another turn. True: there is more to do.
    bool run();

private:
    struct Client {
        base::Fd socket;
        SessionId session;
        MessageReader reader{};
        base::EventSource source{};
        std::uint32_t waits_for = EPOLLIN; ///< epoll's events
    };

    void accept();
    void on_event(Client& client, std::uint32_t events);
    [[nodiscard]] bool receive(Client& client);
    [[nodiscard]] bool serve(Client& client);
    [[nodiscard]] bool flush(Client& client);
    void wait_for(Client& client);
    void drop(Client& client);
    void go_on(SessionId id, bool (Sockets::*step)(Client&));

    sd_event* loop_;
    Store& store_;
    base::Fd listener_;
    base::EventSource listener_source_;
    std::map<SessionId, std::unique_ptr<Client>> clients_;
    std::set<SessionId> left_over_; ///< clients with requests that wait for another turn
};

} // namespace streak::store
