// SPDX-License-Identifier: GPL-2.0-only
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <set>
#include <string>

#include <systemd/sd-event.h>

#include "base/error.hpp"
#include "base/fd.hpp"
#include "store/store.hpp"

namespace streak::store {

struct EventSourceEnd {
    void operator()(sd_event_source* source) const { sd_event_source_disable_unref(source); }
};
using EventSource = std::unique_ptr<sd_event_source, EventSourceEnd>;

/// Clients at the socket: tools of the control domain.
class Sockets {
public:
    /// `worked` is called when a client's requests were handled.
    Sockets(sd_event* loop, Store& store, std::function<void()> worked);

    /// Listens on `path`, for the owner only.
    [[nodiscard]] base::Outcome<> listen(const std::string& path);

    /// Sends what sessions were given meanwhile.
    void flush_woken();
    /// Gives clients with requests left over another turn. True: there is more to do.
    bool run();

private:
    struct Client {
        Sockets& owner;
        base::Fd socket;
        SessionId session;
        MessageReader reader{};
        EventSource source{};
        std::uint32_t waits_for = 0; ///< epoll's events
    };

    void accept();
    void on_event(Client& client, std::uint32_t events);
    [[nodiscard]] bool receive(Client& client);
    [[nodiscard]] bool serve(Client& client);
    [[nodiscard]] bool flush(Client& client);
    void wait_for(Client& client);
    void drop(Client& client);

    sd_event* loop_;
    Store& store_;
    std::function<void()> worked_;
    base::Fd listener_;
    EventSource listener_source_;
    std::map<SessionId, std::unique_ptr<Client>> clients_;
    std::set<SessionId> left_over_; ///< clients with requests that wait for another turn
};

} // namespace streak::store
