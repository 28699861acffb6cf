// SPDX-License-Identifier: GPL-2.0-only
#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <string>

#include "store/transaction.hpp"
#include "store/watches.hpp"
#include "store/wire.hpp"

// The store without its sockets and rings: requests in, replies and events out.

namespace streak::store {

/// What only the machine around the store can do (daemon.cpp); a fake in tests.
class Domains {
public:
    virtual ~Domains() = default;
    /// Connects a domain's ring; ENOENT: no such domain, EINVAL: its ring or port can't be used.
    [[nodiscard]] virtual Result<> introduce(DomId domain, std::uint64_t frame, EvtchnPort port) = 0;
    [[nodiscard]] virtual Result<> release(DomId domain) = 0;
    [[nodiscard]] virtual bool introduced(DomId domain) const = 0;
    /// The domain was suspended and goes on. ENOENT.
    [[nodiscard]] virtual Result<> resume(DomId domain) = 0;
    [[nodiscard]] virtual Result<> set_target(DomId domain, DomId target) = 0;
};

/// A record of what was committed, so that a later daemon can go on from there (journal.hpp).
class Recorder {
public:
    virtual ~Recorder() = default;
    virtual void changed(const Change& change) = 0;
    virtual void watching(SessionId session, std::string_view path, const Watch& watch, bool added) = 0;
};

/// One client: a socket's connection or a domain's ring.
struct Session {
    SessionId id = 0;
    Caller caller;
    std::map<std::uint32_t, Transaction> transactions;
    std::deque<std::string> output; ///< encoded messages to be sent, oldest first
};

class Service {
public:
    Service(Domains& domains, Environment environment) : domains_(domains), environment_(std::move(environment)) {}

    Session& open(const Caller& caller, SessionId id = 0);
    void close(SessionId id);
    [[nodiscard]] Session* session(SessionId id);
    [[nodiscard]] const std::map<SessionId, std::unique_ptr<Session>>& sessions() const { return sessions_; }

    /// Answers one request; the reply and the events it causes are in the sessions' outputs.
    void handle(Session& session, const Message& request);

    /// `@introduceDomain`, `@releaseDomain`
    void announce(const std::string& event);

    [[nodiscard]] Tree& tree() { return tree_; }
    [[nodiscard]] Watches& watches() { return watches_; }
    void set_recorder(Recorder* recorder) { recorder_ = recorder; }

private:
    struct Request;
    using Reply = Result<std::string>;
    using Handler = Reply (Service::*)(Request&);
    [[nodiscard]] static Handler handler_of(std::uint32_t type);

    [[nodiscard]] Reply directory(Request& r);
    [[nodiscard]] Reply directory_part(Request& r);
    [[nodiscard]] Reply read(Request& r);
    [[nodiscard]] Reply get_permissions(Request& r);
    [[nodiscard]] Reply set_permissions(Request& r);
    [[nodiscard]] Reply write(Request& r);
    [[nodiscard]] Reply make(Request& r);
    [[nodiscard]] Reply remove(Request& r);
    [[nodiscard]] Reply watch(Request& r);
    [[nodiscard]] Reply unwatch(Request& r);
    [[nodiscard]] Reply reset_watches(Request& r);
    [[nodiscard]] Reply start_transaction(Request& r);
    [[nodiscard]] Reply end_transaction(Request& r);
    [[nodiscard]] Reply introduce(Request& r);
    [[nodiscard]] Reply release(Request& r);
    [[nodiscard]] Reply resume(Request& r);
    [[nodiscard]] Reply set_target(Request& r);
    [[nodiscard]] Reply is_introduced(Request& r);
    [[nodiscard]] Reply domain_path(Request& r);
    [[nodiscard]] Reply control(Request& r);

    [[nodiscard]] Reply change(Request& r, Operation::Kind kind, std::string value = {});
    [[nodiscard]] Reply apply(Request& r, Operation operation);
    void fire(const Change& change);
    void send_event(const Watch& watch, const std::string& path);
    void forget_watches(Session& session);

    Domains& domains_;
    Environment environment_;
    Tree tree_;
    Watches watches_;
    std::map<SessionId, std::unique_ptr<Session>> sessions_;
    SessionId last_session_ = first_socket - 1;
    std::uint32_t last_transaction_ = 0;
    Recorder* recorder_ = nullptr;

public:
    /// Sessions of domains are named by the domain's id; those of sockets are numbered from here.
    static constexpr SessionId first_socket = 1u << 16;
};

} // namespace streak::store
