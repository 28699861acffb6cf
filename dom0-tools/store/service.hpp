// SPDX-License-Identifier: GPL-2.0-only
#pragma once

#include <array>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "store/journal.hpp"
#include "store/output.hpp"
#include "store/transaction.hpp"
#include "store/wire.hpp"

// The store without its sockets and rings: requests in, replies and events out.

namespace streak::store {

/// What only the machine around the store can do (rings.hpp); a fake in tests.
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

/// One client: a socket's connection or a domain's ring.
struct Session {
    SessionId id = 0;
    Caller caller;
    std::map<std::uint32_t, Transaction> transactions{};
    Output output{};
    std::size_t kept_beside = 0; ///< by snapshots of open transactions, of what was changed outside of them
    bool overrun = false;        ///< a socket's client that doesn't read: there was too much, it has to be dropped

    [[nodiscard]] bool of_domain() const { return id < first_socket_session; }
};

class Service {
public:
    Service(Domains& domains, Environment environment);

    /// A socket's session.
    Session& open(const Caller& caller) { return add(++last_session_, caller); }
    /// The session of a domain's ring.
    Session& open_domain(const Caller& caller) { return add(caller.id.raw(), caller); }
    void close(SessionId id);
    [[nodiscard]] Session* session(SessionId id);
    [[nodiscard]] const std::map<SessionId, std::unique_ptr<Session>>& sessions() const { return sessions_; }

    /// Answers one request; the reply and the events it causes are in the sessions' outputs.
    void handle(Session& session, const Message& request);
    /// Sessions that were given something to send since the last call; each is named once.
    [[nodiscard]] std::vector<SessionId> take_woken() { return std::exchange(woken_, {}); }
    /// Watches and transactions of a session end, its output stays.
    void reset(Session& session);

    /// `@introduceDomain`, `@releaseDomain`
    void announce(const std::string& event);
    /// A domain is gone. Its nodes go, and the rights it had, with the next sweep: most of them are removed by the
    /// toolstack before that, and a walk through all nodes is saved.
    void bury(DomId domain);
    void sweep();
    [[nodiscard]] bool has_to_sweep() const { return !graves_.empty(); }
    [[nodiscard]] std::set<std::uint16_t> buried() const;

    [[nodiscard]] Tree& tree() { return tree_; }
    [[nodiscard]] Watches& watches() { return watches_; }
    /// Rights on the events of announce(): who may know.
    [[nodiscard]] std::map<std::string, NodeRef, std::less<>>& special() { return special_; }
    /// Where to record what is committed, so that a later daemon can go on from there.
    void set_recorder(Records* recorder) { recorder_ = recorder; }

private:
    struct Request;
    struct Handlers;
    using Reply = Result<std::string>;
    [[nodiscard]] bool has_room(const Session& session) const;
    [[nodiscard]] Reply stats(std::span<const std::string_view> words) const;
    [[nodiscard]] bool may_know(const Caller& who, const Change& change) const;
    void fire(const Change& change);
    void send(Session& session, std::string message);
    void send_event(const Watch& watch, const std::string& path);
    [[nodiscard]] Records* recorder_of(const Session& s) const { return s.of_domain() ? recorder_ : nullptr; }
    [[nodiscard]] Session& add(SessionId id, const Caller& caller);

    /// A domain that is gone, and when (Tree::latest_change): what is newer belongs to a domain of the same name.
    struct Grave {
        DomId domain;
        std::uint64_t since;
    };

    Domains& domains_;
    Environment environment_;
    Tree tree_;
    std::map<std::string, NodeRef, std::less<>> special_;
    Watches watches_;
    std::map<SessionId, std::unique_ptr<Session>> sessions_;
    std::vector<SessionId> woken_;
    std::vector<Grave> graves_;
    SessionId last_session_ = first_socket_session - 1;
    std::uint32_t last_transaction_ = 0;
    Records* recorder_ = nullptr;

    std::array<std::uint64_t, XS_TYPE_COUNT> requests_{};        ///< by type
    std::map<std::string, std::uint64_t, std::less<>> refusals_; ///< by quota
};

} // namespace streak::store
