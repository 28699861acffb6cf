// SPDX-License-Identifier: GPL-2.0-only
#pragma once

#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <span>
#include <string>

#include "base/log.hpp"
#include "store/ring.hpp"
#include "store/service.hpp"
#include "store/state_file.hpp"

namespace streak::store {

/// A domain's ring in our memory, and its event channel. Both end with it.
class Link {
public:
    virtual ~Link() = default;
    [[nodiscard]] virtual xenstore_domain_interface& page() = 0;
    /// Ours; what Store::ring() is told.
    [[nodiscard]] virtual EvtchnPort port() const = 0;
    virtual void notify() = 0;
};

/// Where domains are (xen_machine.hpp); a fake in tests.
class Machine {
public:
    virtual ~Machine() = default;
    /// ENOENT: no such domain; EINVAL and others: its ring or port can't be had.
    [[nodiscard]] virtual Result<std::unique_ptr<Link>> connect(DomId domain, EvtchnPort remote) = 0;
};

/// What the hypervisor says of a domain.
struct DomainState {
    DomId id{};
    bool dying = false, shut_down = false;
};

/// The store with its rings and its journal: everything but sockets and the event loop.
class Store final : private Domains {
public:
    using Log = std::function<void(base::LogLevel, const std::string&)>;
    Store(Machine& machine, const Environment& environment, const std::string& state_file, Log log);

    /// Goes on from the state file, if there is one, and connects the control domain's kernel, if `kernel_port`.
    /// The error of Machine::connect() for the control domain.
    [[nodiscard]] Result<> start(EvtchnPort kernel_port);

    [[nodiscard]] Service& service() { return service_; }
    /// A request by a socket. `woken` are other sockets that now have something to send.
    void handle(Session& session, const Message& request);
    /// A change outside of a request: it is kept from here on.
    void commit();
    /// Sockets' sessions that were given something to send since the last call.
    [[nodiscard]] std::vector<SessionId> take_woken_sockets() { return std::exchange(woken_sockets_, {}); }

    /// A domain rang.
    void ring(EvtchnPort local);
    /// Serves domains, each for a short while in turn, at most `turns` times. True: there is more to do.
    bool run(unsigned turns);
    /// Domains have died, or have been shut down: all there are is said.
    void look_at(std::span<const DomainState> domains);
    void sweep();

private:
    struct Connection {
        std::unique_ptr<Link> link;
        Ring ring;
        SavedDomain saved; ///< without positions and output, which are in `ring` and in the session
        bool waits = false;
    };

    Result<> introduce(DomId domain, std::uint64_t frame, EvtchnPort port) override;
    Result<> release(DomId domain) override;
    bool introduced(DomId domain) const override { return connections_.contains(domain.raw()); }
    Result<> resume(DomId domain) override;
    Result<> set_target(DomId domain, DomId target) override;

    [[nodiscard]] std::vector<DomId> restore(const SavedState& state);
    [[nodiscard]] bool restore(DomId domain, const SavedDomain& saved);
    void begin_file();
    [[nodiscard]] SavedState state();
    void add(DomId domain, std::unique_ptr<Link> link, const SavedDomain& saved);
    void remove(DomId domain);

    void schedule(DomId domain, Connection& c);
    void wake();
    [[nodiscard]] bool serve(DomId domain, Connection& c);
    [[nodiscard]] Result<bool> serve_request(DomId domain, Connection& c, Session& session);
    [[nodiscard]] Result<bool> take_message(DomId domain, Connection& c, Message& message);
    [[nodiscard]] Result<bool> deliver(Connection& c, Session& session);
    void stop(DomId domain, Connection& c, std::uint32_t error);
    void reset(DomId domain, Connection& c);

    Machine& machine_;
    Log log_;
    Service service_;
    StateFile file_;
    Records records_;
    std::map<std::uint16_t, Connection> connections_;
    std::map<std::uint32_t, DomId> by_port_;
    std::deque<DomId> queue_; ///< domains that wait for a turn
    std::vector<SessionId> woken_sockets_;
    std::vector<DomId> lost_; ///< domains that could not be connected again
    unsigned unkept_ = 0;     ///< commits in a row that are in no file
};

} // namespace streak::store
