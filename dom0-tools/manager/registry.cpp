// SPDX-License-Identifier: GPL-2.0-only
#include "manager/registry.hpp"

#include "base/text.hpp"

namespace streak::manager {

namespace {

std::unexpected<base::Error> taken(const std::string& what, const std::string& by) {
    return base::error(base::ErrorKind::conflict, what + " is taken", {}, by,
                       "Choose another, or destroy and undefine that domain first");
}

} // namespace

DomainPointer Registry::look_up(const std::string& ref) const {
    if (const auto uuid = base::Uuid::parse(ref))
        if (const auto found = by_uuid_.find(*uuid); found != by_uuid_.end()) return found->second;
    if (const auto found = by_name_.find(ref); found != by_name_.end()) return found->second;
    if (const auto id = base::parse_number(ref); id && *id < first_reserved_id.raw())
        if (const auto found = by_id_.find(DomId(static_cast<std::uint16_t>(*id))); found != by_id_.end())
            return found->second;
    return nullptr;
}

base::Outcome<DomainPointer> Registry::find(const std::string& ref) const {
    if (base::parse_number(ref) == 0u || ref == "Domain-0")
        return base::error(base::ErrorKind::refused, "domain 0 is the control domain; it is not a guest");
    const std::lock_guard guard(mutex);
    if (DomainPointer found = look_up(ref)) return found;
    return base::error(base::ErrorKind::not_found, "there is no domain '" + ref + "'", "a UUID, a name or a number", {},
                       "See `streak list`");
}

DomainPointer Registry::find(const base::Uuid& uuid) const {
    const std::lock_guard guard(mutex);
    const auto found = by_uuid_.find(uuid);
    return found == by_uuid_.end() ? nullptr : found->second;
}

base::Outcome<Locked> Registry::lock(const std::string& ref) const {
    TRY_ASSIGN(domain, find(ref));
    std::unique_lock operation(domain->operation);
    if (domain->listed) return Locked{domain, std::move(operation)};
    return base::error(base::ErrorKind::not_found, "the domain '" + ref + "' has just gone");
}

base::Outcome<> Registry::add(const DomainPointer& domain) {
    const std::lock_guard guard(mutex);
    if (by_uuid_.contains(domain->uuid)) return taken("the UUID " + domain->uuid.text(), by_uuid_[domain->uuid]->name);
    if (by_name_.contains(domain->name))
        return taken("the name '" + domain->name + "'", by_name_[domain->name]->uuid.text());
    by_uuid_[domain->uuid] = by_name_[domain->name] = domain;
    if (domain->running) by_id_[domain->running->id] = domain;
    domain->listed = true;
    return {};
}

void Registry::remove(const Domain& domain) {
    const std::lock_guard guard(mutex);
    const auto found = by_uuid_.find(domain.uuid);
    if (found == by_uuid_.end() || found->second.get() != &domain) return;
    const DomainPointer keep = found->second;
    keep->listed = false;
    by_name_.erase(keep->name);
    if (keep->running) by_id_.erase(keep->running->id);
    by_uuid_.erase(found);
    changed.notify_all();
}

base::Outcome<> Registry::rename(Domain& domain, const std::string& name) {
    const std::lock_guard guard(mutex);
    if (name == domain.name) return {};
    if (by_name_.contains(name)) return taken("the name '" + name + "'", by_name_[name]->uuid.text());
    auto node = by_name_.extract(domain.name);
    node.key() = domain.name = name;
    by_name_.insert(std::move(node));
    return {};
}

void Registry::set_running(Domain& domain, std::optional<Running> running) {
    const std::lock_guard guard(mutex);
    if (domain.running) by_id_.erase(domain.running->id);
    // What it held is closed by the caller, without the lock: a loop device may take its time to end.
    std::swap(domain.running, running);
    if (domain.running && domain.listed) by_id_[domain.running->id] = by_uuid_[domain.uuid];
    changed.notify_all();
}

std::vector<DomainPointer> Registry::all() const {
    const std::lock_guard guard(mutex);
    std::vector<DomainPointer> domains;
    domains.reserve(by_uuid_.size());
    for (const auto& [uuid, domain] : by_uuid_) domains.push_back(domain);
    return domains;
}

} // namespace streak::manager
