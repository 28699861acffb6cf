// SPDX-License-Identifier: GPL-2.0-only
#include "store/service.hpp"

#include <algorithm>
#include <charconv>

namespace streak::store {

namespace {

constexpr std::string_view ok = "OK";

/// A whole string as a number.
template <class Number> [[nodiscard]] Result<Number> number(std::string_view text) {
    Number n{};
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), n);
    if (error != std::errc{} || end != text.data() + text.size()) return fail(Errno::EINVAL);
    return n;
}

[[nodiscard]] std::string with_nul(std::string_view text) { return std::string(text) + '\0'; }

/// The names of a node's children, each ending in NUL.
[[nodiscard]] std::string names_of(const Node& node) {
    std::string names;
    node.children.for_each([&](const std::string& name, const NodeRef&) { names += with_nul(name); });
    return names;
}

} // namespace

/// A request on its way through a handler.
struct Service::Request {
    Session& session;
    const Message& message;
    Transaction* transaction = nullptr;
    std::vector<std::string_view> strings{}; ///< of the payload, for the types whose payload is strings
    std::vector<Change> changes{};           ///< that were committed
    std::string path{};                      ///< absolute form of the first string

    [[nodiscard]] const Caller& caller() const { return session.caller; }
    [[nodiscard]] Reads* reads() const { return transaction ? &transaction->reads() : nullptr; }
    [[nodiscard]] Result<> parse_strings(std::size_t count) {
        TRY_ASSIGN(parts, split_strings(message.payload));
        strings = parts;
        return strings.size() == count ? Result<>{} : fail(Errno::EINVAL);
    }
    /// The payload is `count` strings, and the first one a path.
    [[nodiscard]] Result<> parse_path(std::size_t count) {
        TRY(parse_strings(count));
        TRY_ASSIGN(absolute, absolute_path(strings.front(), caller().id));
        path = absolute;
        return {};
    }
    /// The payload is `count` strings, and the first one a domain; only the control domain may say so.
    [[nodiscard]] Result<DomId> parse_domain(std::size_t count) {
        TRY(parse_strings(count));
        if (!caller().privileged) return fail(Errno::EACCES);
        return any_domain();
    }
    [[nodiscard]] Result<DomId> any_domain() const {
        TRY_ASSIGN(id, number<std::uint16_t>(strings.front()));
        return DomId(id);
    }
};

Session& Service::open(const Caller& caller, SessionId id) {
    if (id == 0) id = ++last_session_;
    auto& place = sessions_[id];
    place = std::make_unique<Session>();
    place->id = id;
    place->caller = caller;
    return *place;
}

void Service::close(SessionId id) {
    if (Session* s = session(id)) forget_watches(*s);
    sessions_.erase(id);
}

Session* Service::session(SessionId id) {
    const auto found = sessions_.find(id);
    return found == sessions_.end() ? nullptr : found->second.get();
}

Service::Handler Service::handler_of(std::uint32_t type) {
    switch (type) {
    case XS_CONTROL: return &Service::control;
    case XS_DIRECTORY: return &Service::directory;
    case XS_DIRECTORY_PART: return &Service::directory_part;
    case XS_READ: return &Service::read;
    case XS_GET_PERMS: return &Service::get_permissions;
    case XS_SET_PERMS: return &Service::set_permissions;
    case XS_WRITE: return &Service::write;
    case XS_MKDIR: return &Service::make;
    case XS_RM: return &Service::remove;
    case XS_WATCH: return &Service::watch;
    case XS_UNWATCH: return &Service::unwatch;
    case XS_RESET_WATCHES: return &Service::reset_watches;
    case XS_TRANSACTION_START: return &Service::start_transaction;
    case XS_TRANSACTION_END: return &Service::end_transaction;
    case XS_INTRODUCE: return &Service::introduce;
    case XS_RELEASE: return &Service::release;
    case XS_RESUME: return &Service::resume;
    case XS_SET_TARGET: return &Service::set_target;
    case XS_IS_DOMAIN_INTRODUCED: return &Service::is_introduced;
    case XS_GET_DOMAIN_PATH: return &Service::domain_path;
    default: return nullptr;
    }
}

void Service::handle(Session& session, const Message& message) {
    Request r{.session = session, .message = message};
    const Handler handler = handler_of(message.type);
    Reply reply = fail(Errno::ENOSYS);
    if (message.transaction != 0) {
        const auto found = session.transactions.find(message.transaction);
        if (found != session.transactions.end()) r.transaction = &found->second;
    }
    if (message.transaction != 0 && !r.transaction) reply = fail(Errno::ENOENT);
    else if (handler) reply = (this->*handler)(r);
    if (reply && reply->size() > XENSTORE_PAYLOAD_MAX) reply = fail(Errno::E2BIG);
    session.output.push_back(
        reply ? Message{message.type, message.request, message.transaction, *reply}.encode()
              : Message{XS_ERROR, message.request, message.transaction, with_nul(error_name(reply.error()))}.encode());
    for (const Change& change : r.changes) fire(change);
    // A watch tells its setter at once, so that nothing is missed between looking and watching.
    if (message.type == XS_WATCH && reply) {
        const std::string shown(r.strings[0]);
        session.output.push_back(Message{XS_WATCH_EVENT, 0, 0, with_nul(shown) + with_nul(r.strings[1])}.encode());
    }
}

Service::Reply Service::directory(Request& r) {
    TRY(r.parse_path(1));
    const Tree& tree = r.transaction ? r.transaction->tree() : tree_;
    TRY_ASSIGN(node, list_node(tree, r.caller(), r.path, r.reads()));
    return names_of(*node);
}

/// For lists that are longer than a message: the list's number, and the names from an offset on. An empty name ends it.
Service::Reply Service::directory_part(Request& r) {
    TRY(r.parse_path(2));
    TRY_ASSIGN(offset, number<std::size_t>(r.strings[1]));
    if (r.transaction) return fail(Errno::EBUSY);
    TRY_ASSIGN(node, list_node(tree_, r.caller(), r.path, nullptr));
    const std::string names = names_of(*node);
    std::string reply = with_nul(std::to_string(node->listing));
    const std::string_view rest = std::string_view(names).substr(std::min<std::size_t>(offset, names.size()));
    const std::size_t room = XENSTORE_PAYLOAD_MAX - reply.size() - 1;
    if (rest.size() <= room) return reply + std::string(rest) + '\0';
    return reply + std::string(rest.substr(0, rest.rfind('\0', room - 1) + 1));
}

Service::Reply Service::read(Request& r) {
    TRY(r.parse_path(1));
    const Tree& tree = r.transaction ? r.transaction->tree() : tree_;
    TRY_ASSIGN(node, read_node(tree, r.caller(), r.path, r.reads()));
    return node->value;
}

Service::Reply Service::get_permissions(Request& r) {
    TRY(r.parse_path(1));
    const Tree& tree = r.transaction ? r.transaction->tree() : tree_;
    TRY_ASSIGN(node, read_node(tree, r.caller(), r.path, r.reads()));
    return node->permissions.to_wire();
}

Service::Reply Service::set_permissions(Request& r) {
    TRY_ASSIGN(strings, split_strings(r.message.payload));
    if (strings.size() < 2) return fail(Errno::EINVAL);
    TRY_ASSIGN(path, absolute_path(strings.front(), r.caller().id));
    strings.erase(strings.begin());
    TRY_ASSIGN(permissions, Permissions::parse(strings));
    return apply(r, {Operation::Kind::set_permissions, path, {}, permissions});
}

Service::Reply Service::write(Request& r) {
    const auto end = r.message.payload.find('\0');
    if (end == std::string::npos) return fail(Errno::EINVAL);
    TRY_ASSIGN(path, absolute_path(std::string_view(r.message.payload).substr(0, end), r.caller().id));
    return apply(r, {.kind = Operation::Kind::write, .path = path, .value = r.message.payload.substr(end + 1)});
}

Service::Reply Service::make(Request& r) { return change(r, Operation::Kind::make); }
Service::Reply Service::remove(Request& r) { return change(r, Operation::Kind::remove); }

Service::Reply Service::change(Request& r, Operation::Kind kind, std::string value) {
    TRY(r.parse_path(1));
    return apply(r, {.kind = kind, .path = r.path, .value = std::move(value)});
}

Service::Reply Service::apply(Request& r, Operation operation) {
    if (r.transaction) TRY(r.transaction->apply(r.caller(), environment_, std::move(operation)));
    else TRY(store::apply(tree_, r.caller(), environment_, operation, r.changes));
    return with_nul(ok);
}

Service::Reply Service::watch(Request& r) {
    TRY(r.parse_strings(2));
    TRY_ASSIGN(path, watched_path(r.strings[0], r.caller().id));
    if (!environment_.within(r.caller(), "watches", watches_.count(r.session.id) + 1, environment_.quota.watches))
        return fail(Errno::E2BIG);
    const Watch watch{r.session.id, std::string(r.strings[1]), !is_special(path) && !r.strings[0].starts_with('/')};
    TRY(watches_.add(path, watch));
    if (recorder_) recorder_->watching(r.session.id, path, watch, true);
    return with_nul(ok);
}

Service::Reply Service::unwatch(Request& r) {
    TRY(r.parse_strings(2));
    TRY_ASSIGN(path, watched_path(r.strings[0], r.caller().id));
    TRY(watches_.remove(path, r.session.id, r.strings[1]));
    if (recorder_) recorder_->watching(r.session.id, path, {r.session.id, std::string(r.strings[1])}, false);
    return with_nul(ok);
}

/// A kernel that takes over from another one (kexec, resume) begins anew.
Service::Reply Service::reset_watches(Request& r) {
    TRY(r.parse_strings(1));
    forget_watches(r.session);
    if (r.transaction == nullptr) r.session.transactions.clear();
    return with_nul(ok);
}

Service::Reply Service::start_transaction(Request& r) {
    if (r.transaction) return fail(Errno::EBUSY);
    const std::size_t open = r.session.transactions.size() + 1;
    if (!environment_.within(r.caller(), "transactions", open, environment_.quota.transactions))
        return fail(Errno::ENOSPC);
    do ++last_transaction_;
    while (last_transaction_ == 0 || r.session.transactions.contains(last_transaction_));
    r.session.transactions.emplace(last_transaction_, Transaction(tree_));
    return with_nul(std::to_string(last_transaction_));
}

Service::Reply Service::end_transaction(Request& r) {
    TRY(r.parse_strings(1));
    if (!r.transaction) return fail(Errno::ENOENT);
    const bool commits = r.strings[0] == "T";
    if (!commits && r.strings[0] != "F") return fail(Errno::EINVAL);
    const auto ended = r.session.transactions.extract(r.message.transaction);
    r.transaction = nullptr;
    if (commits) TRY(ended.mapped().commit(tree_, r.caller(), environment_, r.changes));
    return with_nul(ok);
}

Service::Reply Service::introduce(Request& r) {
    TRY_ASSIGN(domain, r.parse_domain(3));
    TRY_ASSIGN(frame, number<std::uint64_t>(r.strings[1]));
    TRY_ASSIGN(port, number<std::uint32_t>(r.strings[2]));
    const bool known = domains_.introduced(domain);
    TRY(domains_.introduce(domain, frame, EvtchnPort(port)));
    if (!known) announce("@introduceDomain");
    return with_nul(ok);
}

Service::Reply Service::release(Request& r) {
    TRY_ASSIGN(domain, r.parse_domain(1));
    TRY(domains_.release(domain));
    announce("@releaseDomain");
    return with_nul(ok);
}

Service::Reply Service::resume(Request& r) {
    TRY_ASSIGN(domain, r.parse_domain(1));
    TRY(domains_.resume(domain));
    return with_nul(ok);
}

Service::Reply Service::set_target(Request& r) {
    TRY_ASSIGN(domain, r.parse_domain(2));
    TRY_ASSIGN(target, number<std::uint16_t>(r.strings[1]));
    TRY(domains_.set_target(domain, DomId(target)));
    return with_nul(ok);
}

Service::Reply Service::is_introduced(Request& r) {
    TRY(r.parse_strings(1));
    TRY_ASSIGN(domain, r.any_domain());
    return with_nul(domains_.introduced(domain) ? "T" : "F");
}

Service::Reply Service::domain_path(Request& r) {
    TRY(r.parse_strings(1));
    TRY_ASSIGN(domain, r.any_domain());
    return with_nul(home_of(domain));
}

/// `quota`, `stats` and `help`; for people with xenstore-control.
Service::Reply Service::control(Request& r) {
    TRY_ASSIGN(words, split_strings(r.message.payload));
    if (!r.caller().privileged) return fail(Errno::EACCES);
    if (words.empty()) return fail(Errno::EINVAL);
    const Quota& q = environment_.quota;
    if (words[0] == "help") return with_nul("help\nquota\nstats\n");
    if (words[0] == "stats")
        return with_nul("nodes " + std::to_string(tree_.size()) + "\nsessions " + std::to_string(sessions_.size()) +
                        "\n");
    if (words[0] == "quota")
        return with_nul("nodes " + std::to_string(q.nodes) + "\nnode-size " + std::to_string(q.node_bytes) +
                        "\npermissions " + std::to_string(q.permissions) + "\nwatches " + std::to_string(q.watches) +
                        "\ntransactions " + std::to_string(q.transactions) + "\n");
    return fail(Errno::EINVAL);
}

void Service::announce(const std::string& event) { fire({event, nullptr, false}); }

void Service::fire(const Change& change) {
    if (recorder_ && !is_special(change.path)) recorder_->changed(change);
    watches_.for_change(change, [&](const Watch& watch, const std::string& path) {
        const Session* s = session(watch.session);
        // Who can't read a node isn't told that it changes, nor of domains that come and go.
        if (!s || !(change.node ? change.node->permissions.may_read(s->caller) : s->caller.privileged)) return;
        send_event(watch, path);
    });
}

void Service::send_event(const Watch& watch, const std::string& path) {
    Session& s = *session(watch.session);
    const std::string home = home_of(s.caller.id) + "/";
    const std::string shown = watch.relative && path.starts_with(home) ? path.substr(home.size()) : path;
    std::string event = Message{XS_WATCH_EVENT, 0, 0, with_nul(shown) + with_nul(watch.token)}.encode();
    // An event that still waits says the same.
    if (std::ranges::find(s.output, event) == s.output.end()) s.output.push_back(std::move(event));
}

void Service::forget_watches(Session& session) {
    if (recorder_)
        watches_.for_each([&](const std::string& path, const Watch& watch) {
            if (watch.session == session.id) recorder_->watching(session.id, path, watch, false);
        });
    watches_.remove_all(session.id);
}

} // namespace streak::store
