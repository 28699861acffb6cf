// SPDX-License-Identifier: GPL-2.0-only
#pragma once

#include <chrono>
#include <deque>

#include "base/error.hpp"
#include "base/fd.hpp"
#include "lib/ids.hpp"
#include "store/wire.hpp"

namespace streak::store {

/// A connection to the store's socket. For one thread at a time; requests wait for their reply.
/// EIO: the connection is lost (the store restarts); make a new one. EAGAIN: no reply within the time that SO_RCVTIMEO of
/// fd() sets, when it does.
class Client {
public:
    static constexpr const char* default_socket = "/run/xenstored/socket";

    /// The default one is below STREAK_ROOT, if the environment has it. ENOENT, ECONNREFUSED: no store is running.
    [[nodiscard]] static Result<Client> connect(const char* socket = default_socket);

    [[nodiscard]] Result<std::string> read(std::string_view path) { return request(XS_READ, with_nul(path)); }
    /// A node that may be absent.
    [[nodiscard]] Result<std::optional<std::string>> find(std::string_view path);
    [[nodiscard]] Result<std::vector<std::string>> list(std::string_view path);
    [[nodiscard]] Result<> write(std::string_view path, std::string_view value) {
        return order(XS_WRITE, with_nul(path).append(value));
    }
    [[nodiscard]] Result<> remove(std::string_view path) { return order(XS_RM, with_nul(path)); }
    [[nodiscard]] Result<> watch(std::string_view path, std::string_view token) {
        return order(XS_WATCH, with_nul(path) + with_nul(token));
    }
    [[nodiscard]] Result<> unwatch(std::string_view path, std::string_view token) {
        return order(XS_UNWATCH, with_nul(path) + with_nul(token));
    }
    [[nodiscard]] Result<> introduce(DomId domain, std::uint64_t frame, EvtchnPort port);
    [[nodiscard]] Result<> release(DomId domain) { return order(XS_RELEASE, with_nul(std::to_string(domain.raw()))); }

    /// Many changes in one message (or a few, in one transaction, when they are longer than one), all or none: Streak's
    /// own CONTROL request `apply` (docs/store.md).
    struct Change {
        enum class Kind : char { write = 'w', permissions = 'p', remove = 'r' };
        Kind kind = Kind::write;
        std::string path;
        std::string value{}; ///< permissions: words such as "n0 r5"
    };
    [[nodiscard]] Result<> apply(const std::vector<Change>& changes);

    /// Any request of xen/io/xs_wire.h, for tools that show what they are told.
    [[nodiscard]] Result<std::string> request(std::uint32_t type, std::string_view payload,
                                              std::uint32_t transaction = 0);

    struct Event {
        std::string path, token;
    };
    /// The next watch event, waiting for at most `wait`. Nothing: none came.
    [[nodiscard]] Result<std::optional<Event>> next_event(std::chrono::milliseconds wait);
    /// For poll(2), when next_event(0) had nothing.
    [[nodiscard]] int fd() const { return socket_.get(); }
    /// Messages sent so far.
    [[nodiscard]] std::uint64_t requests() const { return requests_; }

private:
    [[nodiscard]] Result<> send(std::string_view bytes);
    /// Nothing: none came within `wait_ms`, if that isn't negative.
    [[nodiscard]] Result<std::optional<Message>> receive(int wait_ms);
    /// A request whose reply says nothing.
    [[nodiscard]] Result<> order(std::uint32_t type, std::string_view payload, std::uint32_t transaction = 0);
    [[nodiscard]] Result<std::string> long_list(std::string_view path);
    [[nodiscard]] Result<> queue(const Message& event);

    base::Fd socket_;
    MessageReader reader_;
    std::deque<Event> events_;
    std::uint32_t last_request_ = 0;
    std::uint64_t requests_ = 0;
};

} // namespace streak::store
