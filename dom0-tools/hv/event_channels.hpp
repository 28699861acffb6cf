// SPDX-License-Identifier: GPL-2.0-only
#pragma once

#include <optional>

#include "base/error.hpp"
#include "base/fd.hpp"
#include "lib/ids.hpp"

namespace streak::hv {

/// Linux's /dev/xen/evtchn: event channels of this process. All of them are closed with it.
class EventChannels {
public:
    /// The error says which module to load.
    [[nodiscard]] static base::Outcome<EventChannels> open();

    /// For poll(2): readable while a port is pending.
    [[nodiscard]] int fd() const { return fd_.get(); }
    /// The next pending port, which is masked from now on; nothing when none is. Does not wait.
    [[nodiscard]] Result<std::optional<EvtchnPort>> next();
    [[nodiscard]] Result<> unmask(EvtchnPort port);
    [[nodiscard]] Result<> notify(EvtchnPort port);
    [[nodiscard]] Result<EvtchnPort> bind_interdomain(DomId domain, EvtchnPort remote);
    [[nodiscard]] Result<EvtchnPort> bind_virq(std::uint32_t virq);
    [[nodiscard]] Result<> close(EvtchnPort port);

private:
    base::Fd fd_;
};

} // namespace streak::hv
