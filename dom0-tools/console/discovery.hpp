// SPDX-License-Identifier: GPL-2.0-only
#pragma once

#include <map>
#include <optional>
#include <set>

#include "console/consoles.hpp"
#include "hv/hypervisor.hpp"
#include "store/client.hpp"

namespace streak::console {

/// Learns from the store and the hypervisor which guests there are, and tells the store where their terminals are.
/// While the store is away, the consoles go on as they are.
class Discovery {
public:
    Discovery(sd_event* event, hv::Hypervisor& hypervisor, Consoles& consoles)
        : event_(event), hypervisor_(hypervisor), consoles_(consoles) {}

    /// Connects to the store, now or as soon as it is there, and takes on all running guests.
    void connect();

private:
    [[nodiscard]] Result<> start();
    [[nodiscard]] Result<> handle_events();
    [[nodiscard]] Result<> handle(const store::Client::Event& event);
    void lost(Errno error);

    [[nodiscard]] Result<> find_new();
    [[nodiscard]] Result<> consider(const hv::DomainInfo& info, bool resumed);
    [[nodiscard]] Result<> attach(const hv::DomainInfo& info, EvtchnPort port, bool resumed);
    [[nodiscard]] Result<> await(DomId id);
    [[nodiscard]] Result<> forget(DomId id);
    [[nodiscard]] Result<> find_gone();
    [[nodiscard]] Result<> tell_terminal(DomId id);

    sd_event* event_;
    hv::Hypervisor& hypervisor_;
    Consoles& consoles_;
    std::optional<store::Client> store_;
    base::EventSource store_source_, retry_source_;
    bool ready_ = false;                        ///< told systemd
    bool complained_ = false;                   ///< that the store is away
    DomId newest_{0};                           ///< numbers are given out in order: the next one is tried first
    std::set<DomId> awaited_;                   ///< they have no console yet
    std::map<DomId, unsigned> shutdown_reason_; ///< of guests that are shut down but not gone
};

} // namespace streak::console
