// SPDX-License-Identifier: GPL-2.0-only
#pragma once

#include <memory>
#include <optional>
#include <vector>

#include "base/error.hpp"
#include "hv/event_channels.hpp"
#include "hv/grants.hpp"
#include "hv/hypervisor.hpp"
#include "hv/privcmd.hpp"
#include "store/store.hpp"

namespace streak::store {

/// The domains of this machine, through Linux: /dev/xen/{evtchn,gntdev,privcmd}, /proc/xen/xsd_{kva,port}.
class XenMachine final : public Machine {
public:
    /// The error says what is missing, and what to load or mount.
    [[nodiscard]] static base::Outcome<std::unique_ptr<XenMachine>> open();

    [[nodiscard]] Result<std::unique_ptr<Link>> connect(DomId domain, EvtchnPort remote) override;

    /// The port of the control domain's kernel.
    [[nodiscard]] EvtchnPort kernel_port() const { return kernel_port_; }
    /// For poll(2).
    [[nodiscard]] int fd() const { return channels_.fd(); }
    /// The next port that rang; nothing when none did. It may ring again.
    [[nodiscard]] std::optional<EvtchnPort> next_port();
    /// Rings when a domain ended or was shut down (VIRQ_DOM_EXC).
    [[nodiscard]] EvtchnPort deaths_port() const { return deaths_port_; }
    [[nodiscard]] Result<std::vector<DomainState>> domains();

private:
    XenMachine(std::unique_ptr<hv::Privcmd> privcmd, hv::EventChannels channels, hv::GrantDevice grants)
        : privcmd_(std::move(privcmd)), hypervisor_(*privcmd_), channels_(std::move(channels)),
          grants_(std::move(grants)) {}
    [[nodiscard]] base::Outcome<> open_kernel_ring();

    std::unique_ptr<hv::Privcmd> privcmd_;
    hv::Hypervisor hypervisor_;
    hv::EventChannels channels_;
    hv::GrantDevice grants_;
    EvtchnPort kernel_port_{}, deaths_port_{};
    xenstore_domain_interface* kernel_page_ = nullptr; ///< mapped for good
};

} // namespace streak::store
