// SPDX-License-Identifier: GPL-2.0-only
#include "store/service.hpp"

#include <algorithm>

#include "store/request.hpp"

namespace streak::store {

namespace {

const std::string done(ok, sizeof ok);

/// The names of a node's children, each ending in NUL.
[[nodiscard]] std::string names_of(const Node& node) {
    std::string names;
    node.children.for_each([&](const std::string& name, const NodeRef&) { (names += name) += '\0'; });
    return names;
}

} // namespace

Service::Service(Domains& domains, Environment environment) : domains_(domains), environment_(environment) {
    environment_.refused = [this, tell = std::move(environment.refused)](DomId domain, std::string_view quota,
                                                                         std::size_t value) {
        ++refusals_.try_emplace(std::string(quota)).first->second;
        if (tell) tell(domain, quota, value);
    };
    for (const char* event : {"@introduceDomain", "@releaseDomain"})
        special_[event] = std::make_shared<Node>(Node{"", Permissions(DomId(0)), {}, 0, 0});
}

Session& Service::add(SessionId id, const Caller& caller) {
    auto& place = sessions_[id];
    place = std::make_unique<Session>();
    place->id = id;
    place->caller = caller;
    return *place;
}

Session& Service::open(const Caller& caller) { return add(++last_session_, caller); }
Session& Service::open_domain(const Caller& caller) { return add(caller.id.raw(), caller); }

void Service::close(SessionId id) {
    if (Session* s = session(id)) reset(*s);
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

/// What a session's open transactions keep: all that they looked at and changed, and all that the session changes beside
/// them, since each of them has the tree as it was.
bool Service::has_room(const Session& session) const {
    std::size_t kept = session.kept_beside;
    for (const auto& [id, transaction] : session.transactions) kept += transaction.bytes();
    return environment_.within(session.caller, "transaction-size", kept, environment_.quota.transaction_bytes);
}

Service::Reply Service::answer(Request& r) {
    if (r.message.type < requests_.size()) ++requests_[r.message.type];
    if (r.message.transaction != 0) {
        const auto found = r.session.transactions.find(r.message.transaction);
        if (found == r.session.transactions.end()) return fail(Errno::ENOENT);
        r.transaction = &found->second;
        if (r.message.type != XS_TRANSACTION_END && !has_room(r.session)) return fail(Errno::ENOSPC);
    }
    const Handler handler = handler_of(r.message.type);
    if (!handler) return fail(Errno::ENOSYS);
    Reply reply = (this->*handler)(r);
    if (reply && reply->size() > XENSTORE_PAYLOAD_MAX) return fail(Errno::E2BIG);
    return reply;
}

void Service::handle(Session& session, const Message& message) {
    Request r{.session = session, .message = message};
    const Reply reply = answer(r);
    send(session, reply ? encode(message.type, message.request, message.transaction, *reply)
                        : encode(XS_ERROR, message.request, message.transaction, with_nul(error_name(reply.error()))));
    for (const Change& change : r.changes) fire(change);
    // A watch tells its setter at once, so that nothing is missed between looking and watching.
    if (message.type == XS_WATCH && reply) send(session, encode(XS_WATCH_EVENT, 0, 0, message.payload));
}

std::vector<SessionId> Service::take_woken() { return std::exchange(woken_, {}); }

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
    const Tree& tree = r.transaction ? r.transaction->tree() : tree_;
    TRY_ASSIGN(node, list_node(tree, r.caller(), r.path, r.reads()));
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
    TRY(r.parse_strings(1));
    if (const auto found = special_.find(r.strings[0]); found != special_.end()) {
        const Permissions& permissions = found->second->permissions;
        return permissions.may_read(r.caller()) ? Reply(permissions.to_wire()) : fail(Errno::EACCES);
    }
    TRY(r.parse_path(1));
    const Tree& tree = r.transaction ? r.transaction->tree() : tree_;
    TRY_ASSIGN(node, read_node(tree, r.caller(), r.path, r.reads()));
    return node->permissions.to_wire();
}

Service::Reply Service::set_permissions(Request& r) {
    TRY_ASSIGN(strings, split_strings(r.message.payload));
    if (strings.size() < 2) return fail(Errno::EINVAL);
    const std::string name(strings.front());
    strings.erase(strings.begin());
    TRY_ASSIGN(permissions, Permissions::parse(strings));
    if (special_.contains(name)) return set_special(r, name, permissions);
    TRY_ASSIGN(path, absolute_path(name, r.caller().id));
    return apply(r, {{Operation::Kind::set_permissions, path, {}, permissions}});
}

Service::Reply Service::set_special(Request& r, const std::string& name, const Permissions& permissions) {
    if (!r.caller().privileged) return fail(Errno::EACCES);
    special_[name] = std::make_shared<Node>(Node{"", permissions, {}, 0, 0});
    if (recorder_) recorder_->changed({name, special_[name], false});
    return done;
}

Service::Reply Service::write(Request& r) {
    const auto end = r.message.payload.find('\0');
    if (end == std::string::npos) return fail(Errno::EINVAL);
    TRY_ASSIGN(path, absolute_path(std::string_view(r.message.payload).substr(0, end), r.caller().id));
    return apply(r, {{.kind = Operation::Kind::write, .path = path, .value = r.message.payload.substr(end + 1)}});
}

Service::Reply Service::make(Request& r) {
    TRY(r.parse_path(1));
    return apply(r, {{.kind = Operation::Kind::make, .path = r.path, .value = {}}});
}

Service::Reply Service::remove(Request& r) {
    TRY(r.parse_path(1));
    return apply(r, {{.kind = Operation::Kind::remove, .path = r.path, .value = {}}});
}

/// All of them or none.
Service::Reply Service::apply(Request& r, const std::vector<Operation>& operations) {
    if (r.transaction) {
        Transaction trial = *r.transaction;
        for (const Operation& operation : operations) TRY(trial.apply(r.caller(), environment_, operation));
        *r.transaction = std::move(trial);
        return done;
    }
    if (!r.session.transactions.empty() && !has_room(r.session)) return fail(Errno::ENOSPC);
    Tree trial = tree_;
    std::vector<Change> changes;
    for (const Operation& operation : operations) {
        const std::size_t before = trial.size();
        TRY(store::apply(trial, r.caller(), environment_, operation, changes));
        r.session.kept_beside += kept_by(operation, before, trial.size());
    }
    tree_ = std::move(trial);
    r.changes = std::move(changes);
    return done;
}

Service::Reply Service::watch(Request& r) {
    TRY(r.parse_strings(2));
    TRY_ASSIGN(path, watched_path(r.strings[0], r.caller().id));
    if (!environment_.within(r.caller(), "watches", watches_.count(r.session.id) + 1, environment_.quota.watches))
        return fail(Errno::E2BIG);
    const Watch watch{r.session.id, std::string(r.strings[1]), !is_special(path) && !r.strings[0].starts_with('/')};
    TRY(watches_.add(path, watch));
    if (recorder_ && r.session.of_domain()) recorder_->watching(path, watch, true);
    return done;
}

Service::Reply Service::unwatch(Request& r) {
    TRY(r.parse_strings(2));
    TRY_ASSIGN(path, watched_path(r.strings[0], r.caller().id));
    TRY(watches_.remove(path, r.session.id, r.strings[1]));
    if (recorder_ && r.session.of_domain()) recorder_->watching(path, {r.session.id, std::string(r.strings[1])}, false);
    return done;
}

/// A kernel that takes over from another one (kexec, resume) begins anew.
Service::Reply Service::reset_watches(Request& r) {
    TRY(r.parse_strings(1));
    reset(r.session);
    return done;
}

void Service::reset(Session& session) {
    const auto recorder = session.of_domain() ? recorder_ : nullptr;
    if (recorder) {
        watches_.for_each([&](const std::string& path, const Watch& watch) {
            if (watch.session == session.id) recorder->watching(path, watch, false);
        });
        for (const auto& [id, transaction] : session.transactions) recorder->transaction(session.id, id, false);
    }
    watches_.remove_all(session.id);
    session.transactions.clear();
}

Service::Reply Service::start_transaction(Request& r) {
    if (r.transaction) return fail(Errno::EBUSY);
    const std::size_t open = r.session.transactions.size() + 1;
    if (!environment_.within(r.caller(), "transactions", open, environment_.quota.transactions))
        return fail(Errno::ENOSPC);
    if (open == 1) r.session.kept_beside = 0;
    do ++last_transaction_;
    while (last_transaction_ == 0 || r.session.transactions.contains(last_transaction_));
    r.session.transactions.emplace(last_transaction_, Transaction(tree_));
    if (recorder_ && r.session.of_domain()) recorder_->transaction(r.session.id, last_transaction_, true);
    return with_nul(std::to_string(last_transaction_));
}

Service::Reply Service::end_transaction(Request& r) {
    TRY(r.parse_strings(1));
    if (!r.transaction) return fail(Errno::ENOENT);
    const bool commits = r.strings[0] == "T";
    if (!commits && r.strings[0] != "F") return fail(Errno::EINVAL);
    const auto ended = r.session.transactions.extract(r.message.transaction);
    r.transaction = nullptr;
    r.session.kept_beside += ended.mapped().bytes();
    if (recorder_ && r.session.of_domain()) recorder_->transaction(r.session.id, r.message.transaction, false);
    if (commits) TRY(ended.mapped().commit(tree_, r.caller(), environment_, r.changes));
    return done;
}

Service::Reply Service::introduce(Request& r) {
    TRY_ASSIGN(domain, r.parse_domain(3));
    TRY_ASSIGN(frame, number<std::uint64_t>(r.strings[1]));
    TRY_ASSIGN(port, number<std::uint32_t>(r.strings[2]));
    const bool known = domains_.introduced(domain);
    TRY(domains_.introduce(domain, frame, EvtchnPort(port)));
    if (!known) announce("@introduceDomain");
    return done;
}

Service::Reply Service::release(Request& r) {
    TRY_ASSIGN(domain, r.parse_domain(1));
    TRY(domains_.release(domain));
    announce("@releaseDomain");
    return done;
}

Service::Reply Service::resume(Request& r) {
    TRY_ASSIGN(domain, r.parse_domain(1));
    TRY(domains_.resume(domain));
    return done;
}

Service::Reply Service::set_target(Request& r) {
    TRY_ASSIGN(domain, r.parse_domain(2));
    TRY_ASSIGN(target, number<std::uint16_t>(r.strings[1]));
    TRY(domains_.set_target(domain, DomId(target)));
    return done;
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

void Service::announce(const std::string& event) {
    if (const auto found = special_.find(event); found != special_.end()) fire({event, found->second, false});
}

/// Who may read a node, or may see in the list of its parent that it is there.
bool Service::may_know(const Caller& who, const Change& change) const {
    if (change.node->permissions.may_read(who)) return true;
    if (is_special(change.path)) return false;
    const NodeRef parent = tree_.find(parent_of(change.path));
    return parent && parent->permissions.may_read(who);
}

void Service::fire(const Change& change) {
    if (recorder_ && !is_special(change.path)) recorder_->changed(change);
    watches_.for_change(change, [&](const Watch& watch, const std::string& path) {
        if (const Session* s = session(watch.session); s && may_know(s->caller, change)) send_event(watch, path);
    });
}

void Service::send(Session& session, std::string message) {
    if (recorder_ && session.of_domain()) recorder_->sends(session.id, message);
    if (session.output.empty()) woken_.push_back(session.id);
    session.output.add(std::move(message));
}

void Service::send_event(const Watch& watch, const std::string& path) {
    Session& s = *session(watch.session);
    const std::string home = watch.relative ? home_of(s.caller.id) + "/" : "";
    const std::string_view shown = std::string_view(path).substr(path.starts_with(home) ? home.size() : 0);
    std::string payload;
    payload.reserve(shown.size() + watch.token.size() + 2);
    payload.append(shown).append(1, '\0').append(watch.token).append(1, '\0');
    const std::string event = encode(XS_WATCH_EVENT, 0, 0, payload);
    const std::size_t waiting = s.output.bytes() + event.size();
    if (!environment_.within(s.caller, "output", waiting, environment_.quota.output_bytes)) return;
    if (!s.of_domain() && waiting > environment_.quota.output_bytes) {
        if (!std::exchange(s.overrun, true)) woken_.push_back(s.id);
        return;
    }
    const bool woken = s.output.empty();
    if (!s.output.add_event(event)) return;
    if (woken) woken_.push_back(s.id);
    if (recorder_ && s.of_domain()) recorder_->sends(s.id, event);
}

void Service::bury(DomId domain) {
    if (std::ranges::any_of(graves_, [&](const Grave& g) { return g.domain == domain; })) return;
    graves_.push_back({domain, Tree::latest_change()});
    if (recorder_) recorder_->died(domain);
}

std::set<std::uint16_t> Service::buried() const {
    std::set<std::uint16_t> ids;
    for (const Grave& grave : graves_) ids.insert(grave.domain.raw());
    return ids;
}

void Service::sweep() {
    const auto left = [&](const Grave& g) { return tree_.owned_by(g.domain) != 0 || tree_.naming(g.domain) != 0; };
    if (graves_.empty()) return;
    if (recorder_) recorder_->swept();
    const std::vector<Grave> graves = std::exchange(graves_, {});
    if (std::ranges::none_of(graves, left)) return;
    std::vector<std::string> orphans;
    std::vector<std::pair<std::string, Permissions>> freed;
    tree_.for_each([&](const std::string& path, const Node& node) {
        Permissions permissions = node.permissions;
        for (const Grave& grave : graves) {
            if (node.content > grave.since) continue;
            if (permissions.owner() == grave.domain && path != "/") orphans.push_back(path);
            permissions.forget(grave.domain);
        }
        if (permissions != node.permissions) freed.emplace_back(path, permissions);
    });
    for (const std::string& path : orphans) {
        const NodeRef node = tree_.find(path);
        if (!node) continue; // it went with the one above it
        tree_.remove(path);
        fire({path, node, true});
    }
    for (const auto& [path, permissions] : freed) {
        const NodeRef node = tree_.find(path);
        if (!node) continue;
        tree_.put(path, node->value, permissions);
        if (recorder_) recorder_->changed({path, tree_.find(path), false});
    }
}

} // namespace streak::store
