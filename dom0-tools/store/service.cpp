// SPDX-License-Identifier: GPL-2.0-only
#include "store/service.hpp"

#include <algorithm>

namespace streak::store {

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

void Service::close(SessionId id) {
    if (Session* s = session(id)) reset(*s);
    sessions_.erase(id);
}

Session* Service::session(SessionId id) {
    const auto found = sessions_.find(id);
    return found == sessions_.end() ? nullptr : found->second.get();
}

/// What a session's open transactions keep: all that they looked at and changed, and all that the session changes beside
/// them, since each of them has the tree as it was.
bool Service::has_room(const Session& session) const {
    std::size_t kept = session.kept_beside;
    for (const auto& [id, transaction] : session.transactions) kept += transaction.bytes();
    return environment_.within(session.caller, "transaction-size", kept, environment_.quota.transaction_bytes);
}

void Service::reset(Session& session) {
    if (Records* const records = recorder_of(session)) {
        watches_.for_each([&](const std::string& path, const Watch& watch) {
            if (watch.session == session.id) records->watching(path, watch, false);
        });
        for (const auto& [id, transaction] : session.transactions) records->transaction(session.id, id, false);
    }
    watches_.remove_all(session.id);
    session.transactions.clear();
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
    if (Records* const records = recorder_of(session)) records->sends(session.id, message);
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
    if (Records* const records = recorder_of(s)) records->sends(s.id, event);
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
