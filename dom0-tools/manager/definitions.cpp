// SPDX-License-Identifier: GPL-2.0-only
#include "manager/manager.hpp"

#include "config/text_edit.hpp"
#include "manager/guest_keys.hpp"
#include "manager/records.hpp"
#include "manager/undo.hpp"

#include <fmt/format.h>

namespace streak::manager {

base::Outcome<DomainPointer> Manager::create(const std::string& xml, config::Definition definition, bool paused) {
    TRY(config::check_name(definition.name));
    config::complete(definition);
    auto domain = std::make_shared<Domain>(*definition.uuid);
    domain->name = definition.name;
    domain->xml = config::with_uuid(xml, domain->uuid);
    domain->definition = std::move(definition);
    // Its name is taken from now on; nobody else gets at it before it runs.
    const std::lock_guard operation(domain->operation);
    TRY(registry_.add(domain));
    if (const auto started = start_locked(*domain, domain->definition, paused); !started) {
        registry_.remove(*domain);
        return std::unexpected(started.error());
    }
    return domain;
}

base::Outcome<DomainPointer> Manager::define(const std::string& xml, config::Definition definition) {
    TRY(config::check_name(definition.name));
    DomainPointer domain;
    if (definition.uuid) domain = registry_.find(*definition.uuid);
    else if (const auto named = registry_.find(definition.name); named && (*named)->name == definition.name)
        domain = *named; // given without a UUID, it keeps the one it has
    if (domain) definition.uuid = domain->uuid;
    config::complete(definition);
    if (!domain) domain = std::make_shared<Domain>(*definition.uuid);
    const std::lock_guard operation(domain->operation);
    Undo undo;
    if (!domain->listed) {
        domain->name = definition.name;
        TRY(registry_.add(domain));
        undo.add([&] { registry_.remove(*domain); });
    } else if (definition.name != domain->name) {
        return base::error(base::ErrorKind::conflict, "the definition has another name than its domain", domain->name,
                           definition.name, "Rename the domain first, or give the definition another UUID");
    }
    undo.add([&, before = std::tuple{domain->xml, domain->definition, domain->persistent}] {
        registry_.update([&] { std::tie(domain->xml, domain->definition, domain->persistent) = before; });
    });
    registry_.update([&] {
        domain->xml = config::with_uuid(xml, domain->uuid);
        domain->definition = std::move(definition);
        domain->persistent = true;
    });
    TRY(save_definition(environment_.paths, *domain));
    undo.commit();
    events_->add(domain->uuid, domain->name, "defined");
    return domain;
}

base::Outcome<> Manager::undefine(const std::string& ref) {
    TRY_ASSIGN(domain, registry_.lock(ref));
    if (!domain->persistent) return {};
    forget_definition(environment_.paths, domain->uuid);
    registry_.update([&] { domain->persistent = domain->autostart = false; });
    if (!domain->running) registry_.remove(*domain);
    events_->add(domain->uuid, domain->name, "undefined");
    return {};
}

base::Outcome<> Manager::set_autostart(const std::string& ref, bool on) {
    TRY_ASSIGN(domain, registry_.lock(ref));
    if (!domain->persistent)
        return base::error(base::ErrorKind::conflict, fmt::format("'{}' has no definition", domain->name), {}, {},
                           "Define it: only defined domains start with the machine");
    registry_.update([&] { domain->autostart = on; });
    return save_properties(environment_.paths, *domain, Durable::yes);
}

base::Outcome<> Manager::rename(const std::string& ref, const std::string& name) {
    TRY(config::check_name(name));
    TRY_ASSIGN(domain, registry_.lock(ref));
    if (domain->name == name) return {};
    const std::string old = domain->name;
    const auto entry = journal_->begin({.kind = Task::Kind::rename, .uuid = domain->uuid, .text = name});
    if (!entry) return std::unexpected(entry.error());
    if (const auto renamed = rename_locked(*domain, name); !renamed) {
        (void)rename_locked(*domain, old);
        return renamed;
    }
    events_->add(domain->uuid, name, "renamed", "was " + old);
    return {};
}

base::Outcome<> Manager::rename_locked(Domain& domain, const std::string& name) {
    const std::string before = domain.name;
    TRY(registry_.rename(domain, name));
    claims_.rename(before, name);
    registry_.update([&] {
        domain.definition.name = name;
        domain.xml = config::with_name(domain.xml, name);
        if (domain.running) domain.running->definition.name = name;
    });
    if (domain.running) {
        device::Changes changes;
        add_name(changes, domain.running->id, domain.uuid, name);
        TRY(checked(environment_.store.apply(changes), "the store does not take the name"));
        TRY(save_running(environment_.paths, domain, *domain.running));
    }
    if (domain.persistent) TRY(save_definition(environment_.paths, domain));
    return {};
}

} // namespace streak::manager
