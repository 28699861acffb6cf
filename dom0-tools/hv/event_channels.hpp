// SPDX-License-Identifier: GPL-2.0-only
#pragma once

#include <cstdint>
#include <optional>

#include "base/fd.hpp"
#include "lib/errno.hpp"
#include "lib/ids.hpp"

namespace streak::hv {

/// Linux's /dev/xen/evtchn: event channels of this process. All of them are closed with it.
class EventChannels {
public:
    /// ENOENT: the module xen-evtchn is not loaded.
    [[nodiscard]] static Result<EventChannels> open();

    /// For poll(2): readable while a port is pending.
    [[nodiscard]] int fd() const { return fd_.get(); }
    /// The next pending port, which is masked from now on; nothing when none is. Does not wait.
    [[nodiscard]] Result<std::optional<EvtchnPort>> next();
    [[nodiscard]] Result<> unmask(EvtchnPort port);
    [[nodiscard]] Result<> notify(EvtchnPort port);
    [[nodiscard]] Result<EvtchnPort> bind_interdomain(DomId domain, EvtchnPort remote);
    [[nodiscard]] Result<EvtchnPort> bind_virq(std::uint32_t virq);
    /// A port of ours that `remote` may bind.
    [[nodiscard]] Result<EvtchnPort> allocate(DomId remote);
    [[nodiscard]] Result<> close(EvtchnPort port);

private:
    base::Fd fd_;
};

} // namespace streak::hv
