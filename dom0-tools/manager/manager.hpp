// SPDX-License-Identifier: GPL-2.0-only
#pragma once

#include "manager/threads.hpp"

#include <chrono>

#include "lib/function_ref.hpp"
#include "manager/environment.hpp"
#include "manager/events.hpp"
#include "manager/journal.hpp"
#include "manager/registry.hpp"

// The life of domains. Every change locks the one domain it is about (domain.hpp says in which order), and either
// happens as a whole or not at all, a killed streakd included (journal.hpp).

namespace streak::manager {

struct Plan;

/// What a guest is asked by control/shutdown.
enum class Ask : std::uint8_t { poweroff, reboot };

class Manager {
public:
    /// Reads the files below `environment.paths`, making the directories.
    [[nodiscard]] static base::Outcome<std::unique_ptr<Manager>> open(Environment environment);

    /// Ends or undoes what an earlier streakd left undone; adopts domains that run. Before all else, once.
    [[nodiscard]] base::Outcome<> recover();
    /// Starts what is to be started with the machine; once per boot of the machine.
    void autostart();

    // Definitions; `xml` is what `definition` was parsed from
    [[nodiscard]] base::Outcome<DomainPointer> create(const std::string& xml, config::Definition definition,
                                                      bool paused);
    [[nodiscard]] base::Outcome<DomainPointer> define(const std::string& xml, config::Definition definition);
    [[nodiscard]] base::Outcome<> undefine(const std::string& ref);
    [[nodiscard]] base::Outcome<> rename(const std::string& ref, const std::string& name);
    [[nodiscard]] base::Outcome<> set_autostart(const std::string& ref, bool on);

    // Life
    [[nodiscard]] base::Outcome<> start(const std::string& ref, bool paused);
    [[nodiscard]] base::Outcome<> pause(const std::string& ref) { return set_paused(ref, true); }
    [[nodiscard]] base::Outcome<> unpause(const std::string& ref) { return set_paused(ref, false); }
    /// Without `wait`, returns as soon as the guest was asked.
    [[nodiscard]] base::Outcome<> ask(const std::string& ref, Ask what, std::optional<std::chrono::seconds> wait);
    [[nodiscard]] base::Outcome<> destroy(const std::string& ref);

    // Properties of a running domain
    [[nodiscard]] base::Outcome<> set_memory(const std::string& ref, std::uint64_t kib);
    [[nodiscard]] base::Outcome<> set_vcpus(const std::string& ref, std::uint32_t count);
    /// `vcpu` absent: all.
    [[nodiscard]] base::Outcome<> pin(const std::string& ref, std::optional<std::uint32_t> vcpu,
                                      const config::CpuList& cpus);
    [[nodiscard]] base::Outcome<> set_share(const std::string& ref, std::optional<std::uint16_t> weight,
                                            std::optional<std::uint16_t> cap);

    // Devices of a running domain
    [[nodiscard]] base::Outcome<> attach(const std::string& ref, const config::Definition& device);
    [[nodiscard]] base::Outcome<> detach_disk(const std::string& ref, const std::string& target, bool force);
    [[nodiscard]] base::Outcome<> detach_interface(const std::string& ref, const std::string& mac, bool force);

    // Ends (the store's @releaseDomain says only that there may be some)
    struct End {
        DomainPointer domain;
        DomId id{};
    };
    /// Domains that ended by themselves and that nobody has dealt with.
    [[nodiscard]] std::vector<End> find_ends();
    /// on_poweroff, on_reboot, on_crash: for one domain, exactly once, whoever calls.
    void handle_end(const End& end);

    /// Lets all who wait for domains or events go.
    void stop();

    [[nodiscard]] Registry& registry() { return registry_; }
    [[nodiscard]] Events& events() { return *events_; }
    [[nodiscard]] const Environment& environment() const { return environment_; }

private:
    Manager(Environment environment, std::unique_ptr<Journal> journal, std::unique_ptr<Events> events)
        : environment_(std::move(environment)), journal_(std::move(journal)), events_(std::move(events)) {}

    // preflight.cpp
    [[nodiscard]] base::Outcome<Plan> preflight(const config::Definition& definition, const base::Uuid& uuid);
    [[nodiscard]] base::Outcome<> check_host(const config::Definition& definition);
    [[nodiscard]] base::Outcome<> claim_devices(Plan& plan);
    [[nodiscard]] base::Outcome<> check_network(const std::vector<config::Interface>& interfaces);
    // life.cpp
    /// `conflict`: it does not run.
    [[nodiscard]] base::Outcome<Locked> lock_running(const std::string& ref);
    [[nodiscard]] base::Outcome<> set_paused(const std::string& ref, bool paused);
    /// `domain` is locked and does not run.
    [[nodiscard]] base::Outcome<> start_locked(Domain& domain, const config::Definition& definition, bool paused);
    [[nodiscard]] base::Outcome<> destroy_locked(Domain& domain, const std::string& reason);
    [[nodiscard]] base::Outcome<> tear_down(Domain& domain);
    [[nodiscard]] base::Outcome<> tear_down(const base::Uuid& uuid, DomId id, bool has_devices);
    void stopped(Domain& domain, const std::string& reason);
    [[nodiscard]] base::Outcome<> wait_for_end(const DomainPointer& domain, DomId id, Ask what,
                                               std::chrono::seconds limit);
    // ends.cpp
    [[nodiscard]] base::Outcome<> act(Domain& domain, config::Action action, const std::string& reason);
    [[nodiscard]] base::Outcome<> restart(Domain& domain, const std::string& reason);
    [[nodiscard]] base::Outcome<> set_aside(Domain& domain, const std::string& reason);
    [[nodiscard]] base::Outcome<> preserve(Domain& domain, const std::string& reason);
    // definitions.cpp
    [[nodiscard]] base::Outcome<> rename_locked(Domain& domain, const std::string& name);
    // changes.cpp
    [[nodiscard]] base::Outcome<> changed(Domain& domain, std::string_view event, const std::string& detail);
    // devices.cpp
    [[nodiscard]] base::Outcome<> attach_disk(Domain& domain, const config::Disk& disk);
    [[nodiscard]] base::Outcome<> attach_interface(Domain& domain, const config::Interface& interface);
    // (What these return lasts until the record is written.)
    /// `set_up` opens the device and writes its keys, which are removed when it does not come to life.
    [[nodiscard]] base::Outcome<Journal::Entry> connect_device(Domain& domain, const device::Address& at,
                                                               FunctionRef<base::Outcome<>()> set_up);
    [[nodiscard]] base::Outcome<Journal::Entry> let_go(Domain& domain, const device::Address& at, bool force);
    template <class Devices, class F>
    [[nodiscard]] base::Outcome<> detach(const std::string& ref, Devices Running::* list, F&& is_it,
                                         std::string_view kind, const std::string& name, bool force);
    // recovery.cpp
    void load();
    void recover_task(const Task& task);
    [[nodiscard]] bool is_alive(const Domain& domain);
    void clear_away(const base::Uuid& uuid, std::uint16_t id);
    void recover_start(const DomainPointer& domain, const Task& task);
    void recover_restart(const DomainPointer& domain);
    void recover_device(Domain& domain, const Task& task);
    void adopt(const DomainPointer& domain);

    Environment environment_;
    DiskClaims claims_; // outlives the domains
    Registry registry_;
    std::unique_ptr<Journal> journal_;
    std::unique_ptr<Events> events_;
    std::atomic<bool> stopping_ = false;
};

/// Wires one interface of dom0 up: waits for xen-netback, sets its bridge.
[[nodiscard]] base::Outcome<> connect_interface(const Environment& environment, const device::Address& at,
                                                const config::Interface& interface);

} // namespace streak::manager
