// SPDX-License-Identifier: GPL-2.0-only
#pragma once

#include "manager/threads.hpp"

#include <map>
#include <memory>

#include "manager/domain.hpp"

namespace streak::manager {

using DomainPointer = std::shared_ptr<Domain>;

/// A domain during a change.
struct Locked {
    DomainPointer domain;
    std::unique_lock<std::mutex> operation;
    Domain* operator->() const { return domain.get(); }
    Domain& operator*() const { return *domain; }
};

/// All domains, by UUID, name and number.
class Registry {
public:
    /// Guards every domain's members and the maps below.
    mutable std::mutex mutex;
    /// A domain began or ceased to run, or went away.
    std::condition_variable changed;

    /// By UUID, else by name, else by number. `refused`: it is domain 0. `not_found`.
    [[nodiscard]] base::Outcome<DomainPointer> find(const std::string& ref) const;
    [[nodiscard]] DomainPointer find(const base::Uuid& uuid) const;
    /// find(), and waits for the change that is going on.
    [[nodiscard]] base::Outcome<Locked> lock(const std::string& ref) const;

    /// Makes a domain known under its name. `conflict`: name or UUID are taken.
    [[nodiscard]] base::Outcome<> add(const DomainPointer& domain);
    void remove(const Domain& domain);
    /// `conflict`: the name is taken.
    [[nodiscard]] base::Outcome<> rename(Domain& domain, const std::string& name);

    /// The domain runs from now on, or does not.
    void set_running(Domain& domain, std::optional<Running> running);
    /// Changes members of a domain.
    template <class F> void update(F&& change) {
        const std::lock_guard guard(mutex);
        change();
    }

    /// Calls `f(domain)` for each, by UUID, with the lock held.
    template <class F> void each(F&& f) const {
        const std::lock_guard guard(mutex);
        for (const auto& [uuid, domain] : by_uuid_) f(*domain);
    }
    [[nodiscard]] std::vector<DomainPointer> all() const;

private:
    [[nodiscard]] DomainPointer look_up(const std::string& ref) const;

    std::map<base::Uuid, DomainPointer> by_uuid_;
    std::map<std::string, DomainPointer, std::less<>> by_name_;
    std::map<DomId, DomainPointer> by_id_;
};

} // namespace streak::manager
