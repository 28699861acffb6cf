// SPDX-License-Identifier: GPL-2.0-only
#include "manager/reports.hpp"

#include "manager/json.hpp"

#include <algorithm>
#include <set>

#include <fmt/format.h>

namespace streak::manager {

namespace {

/// What no domain of ours owns.
class Search {
public:
    Search(Manager& manager, std::vector<hv::DomainInfo> living)
        : manager_(manager), living_(std::move(living)), backends_(manager.environment().host.backends()) {
        for (const hv::DomainInfo& info : living_) ids_.insert(std::to_string(info.id.raw()));
    }

    std::string run() {
        for (const hv::DomainInfo& info : living_) look_at(info);
        for (const char* path : {"/local/domain", "/local/domain/0/backend/vbd", "/local/domain/0/backend/vif"})
            for (const std::string& id : names(path))
                if (!ids_.contains(id))
                    add(fmt::format("store node {}/{}", path, id), "nobody: there is no such domain");
        for (const std::string& uuid : names("/vm"))
            if (!lives(uuid)) add("store node /vm/" + uuid, "nobody: there is no such domain");
        for (const device::Backend& backend : backends_)
            if (!ids_.contains(std::to_string(backend.domain.raw())))
                add("device " + backend.name, "dom0's kernel: its domain is gone");
        for (const device::Host::Loop& loop : manager_.environment().host.loops())
            if (!lives(loop.owner))
                add("loop device /dev/" + loop.device, "the domain " + loop.owner + ", which does not run");
        return array_of(found_);
    }

private:
    void look_at(const hv::DomainInfo& info) {
        if (info.id == dom0_id) return;
        const std::string what = fmt::format("domain {}, {}", info.id.raw(), info.handle.text());
        if (info.dying) return add(what + ", which is dying", holders(info.id));
        if (manager_.registry().find(info.handle)) return;
        // Debian's tools note their domains there.
        const auto other = manager_.environment().store.list(fmt::format("/libxl/{}", info.id.raw()));
        if (!other || other->empty()) add(what, "nobody: streakd did not make it");
    }

    std::string holders(DomId id) const {
        std::string text;
        for (const device::Backend& backend : backends_)
            if (backend.domain == id) text += (text.empty() ? "" : ", ") + backend.name;
        return text.empty() ? "a program in dom0 that maps its memory" : "dom0's kernel, for " + text;
    }

    /// A domain with this UUID exists, or streakd is at work on one.
    bool lives(const std::string& uuid) const {
        const auto parsed = base::Uuid::parse(uuid);
        return parsed && std::ranges::find(living_, *parsed, &hv::DomainInfo::handle) != living_.end();
    }

    std::vector<std::string> names(const std::string& path) const {
        return manager_.environment().store.list(path).value_or(std::vector<std::string>{});
    }

    void add(const std::string& what, const std::string& holder) {
        found_.push_back(std::move(Object().add("what", what).add("holder", holder)).text());
    }

    Manager& manager_;
    std::vector<hv::DomainInfo> living_;
    std::vector<device::Backend> backends_;
    std::set<std::string> ids_;
    std::vector<std::string> found_;
};

} // namespace

base::Outcome<std::string> leftovers_report(Manager& manager) {
    TRY_ASSIGN(living, checked(manager.environment().hypervisor.list(), "can't list the domains"));
    return std::move(answer("streak.leftovers/1").raw("leftovers", Search(manager, std::move(living)).run())).text();
}

} // namespace streak::manager
