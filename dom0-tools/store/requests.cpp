// SPDX-License-Identifier: GPL-2.0-only
#include "store/request.hpp"

#include <algorithm>

// What each request of a client does.

namespace streak::store {

namespace {

const std::string done("OK", 3); // with its NUL

/// The names of a node's children, each ending in NUL.
[[nodiscard]] std::string names_of(const Node& node) {
    std::string names;
    node.children.for_each([&](const std::string& name, const NodeRef&) { (names += name) += '\0'; });
    return names;
}

} // namespace

struct Service::Handlers : Request {
    /// The node that is read, or whose list is.
    [[nodiscard]] Result<NodeRef> look(Reads::Paths Reads::* what = &Reads::contents) {
        const Tree& tree = transaction ? transaction->tree() : service.tree_;
        return read_node(tree, caller(), path, transaction ? &transaction->reads() : nullptr, what);
    }

    Reply directory() {
        TRY(parse_path(1));
        TRY_ASSIGN(node, look(&Reads::listings));
        return names_of(*node);
    }

    /// For lists that are longer than a message: the list's number, and the names from an offset on. An empty name ends
    /// it.
    Reply directory_part() {
        TRY(parse_path(2));
        TRY_ASSIGN(offset, number<std::size_t>(strings[1]));
        TRY_ASSIGN(node, look(&Reads::listings));
        const std::string names = names_of(*node);
        std::string reply = with_nul(std::to_string(node->listing));
        const std::string_view rest = std::string_view(names).substr(std::min<std::size_t>(offset, names.size()));
        const std::size_t room = XENSTORE_PAYLOAD_MAX - reply.size() - 1;
        if (rest.size() <= room) return reply + std::string(rest) + '\0';
        return reply + std::string(rest.substr(0, rest.rfind('\0', room - 1) + 1));
    }

    Reply read() {
        TRY(parse_path(1));
        TRY_ASSIGN(node, look());
        return node->value;
    }

    Reply get_permissions() {
        TRY(parse_strings(1));
        if (const auto found = service.special_.find(strings[0]); found != service.special_.end()) {
            const Permissions& permissions = found->second->permissions;
            return permissions.may_read(caller()) ? Reply(permissions.to_wire()) : fail(Errno::EACCES);
        }
        TRY(parse_path(1));
        TRY_ASSIGN(node, look());
        return node->permissions.to_wire();
    }

    Reply set_permissions() {
        TRY_ASSIGN(words, split_strings(message.payload));
        if (words.size() < 2) return fail(Errno::EINVAL);
        const std::string name(words.front());
        words.erase(words.begin());
        TRY_ASSIGN(permissions, Permissions::parse(words));
        if (service.special_.contains(name)) return set_special(name, permissions);
        TRY_ASSIGN(target, absolute_path(name, caller().id));
        return apply({{Operation::Kind::set_permissions, target, {}, permissions}});
    }

    Reply set_special(const std::string& name, const Permissions& permissions) const {
        if (!caller().privileged) return fail(Errno::EACCES);
        const NodeRef& node = service.special_[name] = std::make_shared<Node>(Node{"", permissions, {}, 0, 0});
        if (service.recorder_) service.recorder_->changed({name, node, false});
        return done;
    }

    Reply write() {
        const auto end = message.payload.find('\0');
        if (end == std::string::npos) return fail(Errno::EINVAL);
        TRY_ASSIGN(target, absolute_path(std::string_view(message.payload).substr(0, end), caller().id));
        return apply({{.kind = Operation::Kind::write, .path = target, .value = message.payload.substr(end + 1)}});
    }

    Reply make() {
        TRY(parse_path(1));
        return apply({{.kind = Operation::Kind::make, .path = path, .value = {}}});
    }

    Reply remove() {
        TRY(parse_path(1));
        return apply({{.kind = Operation::Kind::remove, .path = path, .value = {}}});
    }

    Reply watch() {
        TRY(parse_strings(2));
        TRY_ASSIGN(target, watched_path(strings[0], caller().id));
        const Environment& environment = service.environment_;
        const std::size_t watches = service.watches_.count(session.id) + 1;
        if (!environment.within(caller(), "watches", watches, environment.quota.watches)) return fail(Errno::E2BIG);
        const bool relative = !is_special(target) && !strings[0].starts_with('/');
        const Watch watch{session.id, std::string(strings[1]), relative};
        TRY(service.watches_.add(target, watch));
        if (Records* const records = service.recorder_of(session)) records->watching(target, watch, true);
        return done;
    }

    Reply unwatch() {
        TRY(parse_strings(2));
        TRY_ASSIGN(target, watched_path(strings[0], caller().id));
        TRY(service.watches_.remove(target, session.id, strings[1]));
        if (Records* const records = service.recorder_of(session))
            records->watching(target, {session.id, std::string(strings[1])}, false);
        return done;
    }

    /// A kernel that takes over from another one (kexec, resume) begins anew.
    Reply reset_watches() {
        TRY(parse_strings(1));
        service.reset(session);
        return done;
    }

    Reply start_transaction() {
        if (transaction) return fail(Errno::EBUSY);
        const Environment& environment = service.environment_;
        const std::size_t open = session.transactions.size() + 1;
        if (!environment.within(caller(), "transactions", open, environment.quota.transactions))
            return fail(Errno::ENOSPC);
        if (open == 1) session.kept_beside = 0;
        std::uint32_t& id = service.last_transaction_;
        do ++id;
        while (id == 0 || session.transactions.contains(id));
        session.transactions.emplace(id, Transaction(service.tree_));
        if (Records* const records = service.recorder_of(session)) records->transaction(session.id, id, true);
        return with_nul(std::to_string(id));
    }

    Reply end_transaction() {
        TRY(parse_strings(1));
        if (!transaction) return fail(Errno::ENOENT);
        const bool commits = strings[0] == "T";
        if (!commits && strings[0] != "F") return fail(Errno::EINVAL);
        const std::uint32_t id = message.transaction;
        const auto ended = session.transactions.extract(id);
        transaction = nullptr;
        session.kept_beside += ended.mapped().bytes();
        if (Records* const records = service.recorder_of(session)) records->transaction(session.id, id, false);
        if (commits) TRY(ended.mapped().commit(service.tree_, caller(), service.environment_, changes));
        return done;
    }

    Reply introduce() {
        TRY_ASSIGN(domain, parse_domain(3));
        TRY_ASSIGN(frame, number<std::uint64_t>(strings[1]));
        TRY_ASSIGN(port, number<std::uint32_t>(strings[2]));
        const bool known = service.domains_.introduced(domain);
        TRY(service.domains_.introduce(domain, frame, EvtchnPort(port)));
        if (!known) service.announce("@introduceDomain");
        return done;
    }

    Reply release() {
        TRY_ASSIGN(domain, parse_domain(1));
        TRY(service.domains_.release(domain));
        service.announce("@releaseDomain");
        return done;
    }

    Reply resume() {
        TRY_ASSIGN(domain, parse_domain(1));
        TRY(service.domains_.resume(domain));
        return done;
    }

    Reply set_target() {
        TRY_ASSIGN(domain, parse_domain(2));
        TRY_ASSIGN(target, number<std::uint16_t>(strings[1]));
        TRY(service.domains_.set_target(domain, DomId(target)));
        return done;
    }

    Reply is_introduced() {
        TRY(parse_strings(1));
        TRY_ASSIGN(domain, any_domain());
        return with_nul(service.domains_.introduced(domain) ? "T" : "F");
    }

    Reply domain_path() {
        TRY(parse_strings(1));
        TRY_ASSIGN(domain, any_domain());
        return with_nul(home_of(domain));
    }

    Reply answer() {
        if (message.transaction != 0) {
            const auto found = session.transactions.find(message.transaction);
            if (found == session.transactions.end()) return fail(Errno::ENOENT);
            transaction = &found->second;
            if (message.type != XS_TRANSACTION_END && !service.has_room(session)) return fail(Errno::ENOSPC);
        }
        const auto handle = message.type < types.size() ? types[message.type].handle : nullptr;
        if (!handle) return fail(Errno::ENOSYS);
        Reply reply = (this->*handle)();
        if (reply && reply->size() > XENSTORE_PAYLOAD_MAX) return fail(Errno::E2BIG);
        return reply;
    }
};

/// In the order of xsd_sockmsg_type.
const std::array<Service::Request::Type, XS_TYPE_COUNT> Service::Request::types{{
    {"control", &Handlers::control},
    {"directory", &Handlers::directory},
    {"read", &Handlers::read},
    {"get-permissions", &Handlers::get_permissions},
    {"watch", &Handlers::watch},
    {"unwatch", &Handlers::unwatch},
    {"start", &Handlers::start_transaction},
    {"end", &Handlers::end_transaction},
    {"introduce", &Handlers::introduce},
    {"release", &Handlers::release},
    {"domain-path", &Handlers::domain_path},
    {"write", &Handlers::write},
    {"make", &Handlers::make},
    {"remove", &Handlers::remove},
    {"set-permissions", &Handlers::set_permissions},
    {}, // WATCH_EVENT
    {}, // ERROR
    {"is-introduced", &Handlers::is_introduced},
    {"resume", &Handlers::resume},
    {"set-target", &Handlers::set_target},
    {}, // once RESTRICT
    {"reset-watches", &Handlers::reset_watches},
    {"directory-part", &Handlers::directory_part},
}};

Service::Reply Service::Request::apply(const std::vector<Operation>& operations) {
    const Environment& environment = service.environment_;
    if (transaction) {
        Transaction trial = *transaction;
        for (const Operation& operation : operations) TRY(trial.apply(caller(), environment, operation));
        *transaction = std::move(trial);
        return done;
    }
    if (!session.transactions.empty() && !service.has_room(session)) return fail(Errno::ENOSPC);
    Tree trial = service.tree_;
    std::vector<Change> made;
    for (const Operation& operation : operations) {
        const std::size_t before = trial.size();
        TRY(store::apply(trial, caller(), environment, operation, made));
        session.kept_beside += kept_by(operation, before, trial.size());
    }
    service.tree_ = std::move(trial);
    changes = std::move(made);
    return done;
}

void Service::handle(Session& session, const Message& message) {
    if (message.type < requests_.size()) ++requests_[message.type];
    Handlers r{Request{.service = *this, .session = session, .message = message}};
    const Reply reply = r.answer();
    send(session, reply ? encode(message.type, message.request, message.transaction, *reply)
                        : encode(XS_ERROR, message.request, message.transaction, with_nul(error_name(reply.error()))));
    for (const Change& change : r.changes) fire(change);
    // A watch tells its setter at once, so that nothing is missed between looking and watching.
    if (message.type == XS_WATCH && reply) send(session, encode(XS_WATCH_EVENT, 0, 0, message.payload));
}

} // namespace streak::store
