// SPDX-License-Identifier: GPL-2.0-only
#include "store/store.hpp"

#include <cstring>

#include "base/error.hpp"

namespace streak::store {

using base::LogLevel;

namespace {

/// Requests of a domain until others have their turn.
constexpr unsigned requests_per_turn = 16;
/// While the state can't be kept.
constexpr unsigned commits_per_try = 1000;

[[nodiscard]] std::string name(DomId domain) { return "domain " + std::to_string(domain.raw()); }

} // namespace

Store::Store(Machine& machine, const Environment& environment, const std::string& state_file, Log log)
    : machine_(machine), log_(std::move(log)), service_(*this, environment), file_(state_file) {}

Result<> Store::start(EvtchnPort kernel_port) {
    SavedState saved;
    const auto content = file_.read();
    if (content) {
        const Replayed r = replay(*content, saved);
        if (r.corrupt)
            log_(LogLevel::error,
                 "the state file is damaged after byte " + std::to_string(r.bytes) + "; what was before it is used");
        log_(LogLevel::notice, "goes on with " + std::to_string(saved.tree.size()) + " nodes and " +
                                   std::to_string(saved.domains.size()) + " domains");
    } else if (content.error() != Errno::ENOENT) {
        log_(LogLevel::error, "the state file can't be used; domains that run have to be started again");
    }
    const std::vector<DomId> liars = restore(saved);
    if (kernel_port != EvtchnPort{} && !introduced(dom0_id)) TRY(introduce(dom0_id, 0, kernel_port));
    service_.set_recorder(&records_);
    for (const DomId domain : lost_) service_.bury(domain);
    if (!lost_.empty()) service_.announce("@releaseDomain");
    records_.swept(); // at least something: the first commit begins a new file
    commit();
    for (const DomId domain : liars) stop(domain, connections_.at(domain.raw()), XENSTORE_ERROR_RINGIDX);
    for (auto& [id, c] : connections_) {
        schedule(DomId(id), c);
        c.link->notify();
    }
    return {};
}

/// Returns domains whose rings are not as they were left.
std::vector<DomId> Store::restore(const SavedState& saved) {
    service_.tree() = saved.tree;
    service_.watches() = saved.watches;
    for (const auto& [name, node] : saved.special) service_.special()[name] = node;
    for (const std::uint16_t id : saved.graves) service_.bury(DomId(id));
    std::vector<DomId> liars;
    for (const auto& [id, domain] : saved.domains)
        if (!restore(DomId(id), domain)) liars.emplace_back(id);
    return liars;
}

bool Store::restore(DomId domain, const SavedDomain& saved) {
    auto link = machine_.connect(domain, saved.port);
    if (!link) {
        log_(LogLevel::warning, name(domain) + " can't be connected again; it is taken for gone");
        service_.watches().remove_all(domain.raw());
        lost_.push_back(domain);
        return true;
    }
    const std::uint32_t delivered = Ring::response_index((*link)->page()) - saved.response_at;
    add(domain, std::move(*link), saved);
    Session& session = *service_.session(domain.raw());
    for (const std::uint32_t id : saved.transactions)
        session.transactions.emplace(id, Transaction::lost(service_.tree()));
    for (const std::string& message : saved.output) session.output.add(message);
    Connection& c = connections_.at(domain.raw());
    c.ring = Ring(c.link->page(), saved.request_at, Ring::response_index(c.link->page()));
    c.ring.publish();
    const bool plausible = delivered <= session.output.bytes();
    if (plausible) session.output.delivered(delivered);
    return plausible || saved.stopped || Ring::wants_reset(c.link->page());
}

SavedState Store::state() {
    SavedState all{service_.tree(), service_.special(), service_.watches(), {}, service_.buried()};
    for (const auto& [id, c] : connections_) {
        SavedDomain& d = all.domains[id] = c.saved;
        const Session& session = *service_.session(id);
        d.target = session.caller.target;
        d.request_at = c.ring.request_at();
        d.response_at = c.ring.response_at();
        for (std::size_t i = 0; i < session.output.messages(); ++i) d.output.emplace_back(session.output.message(i));
        for (const auto& [transaction, _] : session.transactions) d.transactions.insert(transaction);
    }
    return all;
}

void Store::commit() {
    if (!records_.empty() && !file_.append(records_.bytes()) && unkept_++ % commits_per_try == 0) begin_file();
    records_.clear();
    wake();
}

/// All of the state goes to a new file, this commit with it.
void Store::begin_file() {
    Records all;
    all.all_of(state());
    const auto begun = file_.begin(all.bytes());
    if (!begun) {
        file_.remove();
        log_(LogLevel::error,
             "the store's state can't be kept: " + base::system_error(static_cast<int>(begun.error())) +
                 "; if this daemon ends now, domains have to be started again");
        return;
    }
    if (unkept_ > 1) log_(LogLevel::notice, "the store's state is kept again");
    unkept_ = 0;
}

/// Sessions that were given something: domains are served, sockets told of.
void Store::wake() {
    for (const SessionId id : service_.take_woken()) {
        const auto found = connections_.find(static_cast<std::uint16_t>(id));
        if (id >= first_socket_session) woken_sockets_.push_back(id);
        else if (found != connections_.end()) schedule(DomId(found->first), found->second);
    }
}

void Store::handle(Session& session, const Message& request) {
    service_.handle(session, request);
    commit();
}

// ---- Domains

void Store::add(DomId domain, std::unique_ptr<Link> link, const SavedDomain& saved) {
    Connection& c = connections_[domain.raw()];
    by_port_.insert_or_assign(link->port().raw(), domain);
    c.link = std::move(link);
    c.saved = saved;
    c.saved.output.clear();
    c.saved.transactions.clear();
    c.ring = Ring(c.link->page(), saved.request_at, saved.response_at);
    service_.open_domain({.id = domain, .privileged = domain == dom0_id, .target = saved.target});
}

void Store::remove(DomId domain) {
    const auto found = connections_.find(domain.raw());
    if (found == connections_.end()) return;
    by_port_.erase(found->second.link->port().raw());
    std::erase(queue_, domain);
    connections_.erase(found);
    service_.close(domain.raw());
    records_.released(domain);
}

Result<> Store::introduce(DomId domain, std::uint64_t frame, EvtchnPort port) {
    const auto known = connections_.find(domain.raw());
    if (known != connections_.end() && known->second.saved.port == port) {
        known->second.link->notify();
        return {};
    }
    TRY_ASSIGN(link, machine_.connect(domain, port));
    SavedDomain saved{.frame = frame, .port = port};
    if (known != connections_.end()) {
        Connection& c = known->second;
        by_port_.erase(c.link->port().raw());
        by_port_.insert_or_assign(link->port().raw(), domain);
        c.link = std::move(link);
        c.ring = Ring(c.link->page(), c.ring.request_at(), c.ring.response_at());
        c.saved.frame = frame;
        c.saved.port = port;
    } else {
        saved.request_at = Ring::request_index(link->page());
        saved.response_at = Ring::response_index(link->page());
        Ring::announce_features(link->page());
        service_.sweep(); // what a domain of this name had before
        add(domain, std::move(link), saved);
    }
    records_.introduced(domain, saved);
    Connection& c = connections_.at(domain.raw());
    schedule(domain, c);
    c.link->notify();
    return {};
}

Result<> Store::release(DomId domain) {
    if (domain == dom0_id || !introduced(domain)) return fail(domain == dom0_id ? Errno::EINVAL : Errno::ENOENT);
    remove(domain);
    service_.bury(domain);
    return {};
}

Result<> Store::resume(DomId domain) {
    const auto found = connections_.find(domain.raw());
    if (found == connections_.end()) return fail(Errno::ENOENT);
    found->second.saved.shut_down = false;
    records_.shut_down(domain, false);
    return {};
}

Result<> Store::set_target(DomId domain, DomId target) {
    if (!introduced(domain) || !introduced(target)) return fail(Errno::ENOENT);
    service_.session(domain.raw())->caller.target = target;
    records_.targets(domain, target);
    return {};
}

void Store::look_at(std::span<const DomainState> domains) {
    std::map<std::uint16_t, bool> alive; // and whether it is shut down
    for (const DomainState& d : domains)
        if (!d.dying) alive[d.id.raw()] = d.shut_down;
    std::vector<DomId> gone;
    bool news = false;
    for (auto& [id, c] : connections_) {
        const auto found = alive.find(id);
        if (id == dom0_id.raw()) continue;
        if (found == alive.end()) gone.emplace_back(id);
        else if (found->second && !c.saved.shut_down) {
            c.saved.shut_down = news = true;
            records_.shut_down(DomId(id), true);
        }
    }
    for (const DomId domain : gone) remove(domain);
    // Also those that were never introduced.
    service_.tree().for_each_domain([&](DomId id) {
        if (id != dom0_id && id < first_reserved_id && !alive.contains(id.raw())) service_.bury(id);
    });
    if (news || !gone.empty()) service_.announce("@releaseDomain");
    commit();
}

void Store::sweep() {
    service_.sweep();
    commit();
}

// ---- Rings

void Store::ring(EvtchnPort local) {
    const auto found = by_port_.find(local.raw());
    if (found != by_port_.end()) schedule(found->second, connections_.at(found->second.raw()));
}

void Store::schedule(DomId domain, Connection& c) {
    if (c.waits) return;
    c.waits = true;
    queue_.push_back(domain);
}

bool Store::run(unsigned turns) {
    for (; turns != 0 && !queue_.empty(); --turns) {
        const DomId domain = queue_.front();
        queue_.pop_front();
        Connection& c = connections_.at(domain.raw());
        const bool more = serve(domain, c); // (what it is given meanwhile, it is served with)
        c.waits = false;
        if (more) schedule(domain, c);
    }
    return !queue_.empty();
}

/// True: it wants another turn.
bool Store::serve(DomId domain, Connection& c) {
    if (Ring::wants_reset(c.link->page())) reset(domain, c);
    if (c.saved.stopped) return false;
    Session& session = *service_.session(domain.raw());
    bool moved = false;
    unsigned requests = 0;
    for (; requests < requests_per_turn; ++requests) {
        const auto delivered = deliver(c, session);
        // Who doesn't fetch replies isn't given more of them.
        const auto served =
            delivered && session.output.empty() ? serve_request(domain, c, session) : Result<bool>(false);
        if (!delivered || !served) {
            const bool too_long = !served && served.error() == Errno::E2BIG;
            stop(domain, c, too_long ? XENSTORE_ERROR_PROTO : XENSTORE_ERROR_RINGIDX);
            return false;
        }
        moved = moved || *delivered || *served;
        if (!*served) break;
    }
    if (moved) c.link->notify();
    return requests == requests_per_turn;
}

/// Puts output into the ring while there is room. True: some.
Result<bool> Store::deliver(Connection& c, Session& session) {
    bool some = false;
    while (!session.output.empty()) {
        TRY_ASSIGN(given, c.ring.give(session.output.message(0)));
        if (given == 0) break;
        session.output.delivered(given);
        some = true;
    }
    return some;
}

/// Takes a request, or a piece of one. True: there was something.
Result<bool> Store::serve_request(DomId domain, Connection& c, Session& session) {
    Message message;
    const std::uint32_t before = c.ring.request_at();
    TRY_ASSIGN(whole, take_message(domain, c, message));
    if (c.ring.request_at() == before) return false;
    if (whole) {
        service_.handle(session, message);
        records_.handled(domain, c.ring.request_at());
    }
    // The ring's index follows what is kept: a request is neither lost nor handled twice.
    commit();
    c.ring.publish();
    return true;
}

/// True: `message` is whole. A piece is taken as well, since a domain rings only when it finds all taken.
Result<bool> Store::take_message(DomId domain, Connection& c, Message& message) {
    std::string& input = c.saved.input;
    const std::size_t before = input.size();
    xsd_sockmsg header{};
    TRY(c.ring.take(input, sizeof header));
    bool whole = input.size() >= sizeof header;
    if (whole) {
        std::memcpy(&header, input.data(), sizeof header);
        if (header.len > XENSTORE_PAYLOAD_MAX) return fail(Errno::E2BIG);
        TRY(c.ring.take(input, sizeof header + header.len));
        whole = input.size() == sizeof header + header.len;
    }
    if (whole) {
        message = {header.type, header.req_id, header.tx_id, input.substr(sizeof header)};
        input.clear();
    } else if (input.size() != before) {
        records_.took(domain, c.ring.request_at(), std::string_view(input).substr(before));
    }
    return whole;
}

/// A domain that breaks the protocol isn't served any more, until it begins anew.
void Store::stop(DomId domain, Connection& c, std::uint32_t error) {
    Session& session = *service_.session(domain.raw());
    log_(LogLevel::warning,
         name(domain) + " is not served any more: " +
             (error == XENSTORE_ERROR_PROTO ? "its request is too long" : "an index of its ring is impossible"));
    service_.reset(session);
    session.output.delivered(session.output.bytes());
    c.saved.stopped = true;
    c.saved.input.clear();
    records_.stopped(domain);
    commit();
    Ring::report(c.link->page(), error);
    c.link->notify();
}

void Store::reset(DomId domain, Connection& c) {
    Session& session = *service_.session(domain.raw());
    service_.reset(session);
    session.output.delivered(session.output.bytes());
    c.saved.stopped = false;
    c.saved.input.clear();
    records_.restarted(domain);
    c.ring = Ring(c.link->page(), 0, 0);
    commit();
    c.ring = Ring::reset(c.link->page());
    c.link->notify();
}

} // namespace streak::store
