// SPDX-License-Identifier: GPL-2.0-only
#pragma once

#include <map>
#include <memory>
#include <string>
#include <unordered_map>
#include <vector>

#include "base/event.hpp"
#include "console/allowance.hpp"
#include "console/domain_console.hpp"
#include "hv/event_channels.hpp"
#include "hv/grants.hpp"

namespace streak::console {

struct Options {
    std::string folder;
    LogLimits limits;
};

/// The consoles of all guests: whose event it is, whose turn, who waits.
class Consoles {
public:
    [[nodiscard]] static base::Outcome<std::unique_ptr<Consoles>> open(sd_event* event, Options options);

    /// Takes a guest's console on: its ring by the grant that is reserved for it, its end `port` of the event channel.
    /// `resumed`: an earlier daemon had it. Returns the terminal's path; empty when there is none.
    [[nodiscard]] base::Outcome<std::string> attach(const Domain& domain, EvtchnPort port, bool resumed);
    /// The guest is no more: what is left in its ring is logged, then its page and port are given back.
    void detach(DomId id, const std::string& why);

    [[nodiscard]] bool has(DomId id) const { return guests_.contains(id); }
    [[nodiscard]] std::vector<Domain> domains() const;
    [[nodiscard]] std::string terminal_path(DomId id);

private:
    struct Guest {
        hv::GrantedPage page;
        EvtchnPort port;
        DomainConsole console;
        Allowance allowance{};
        int watch = -1;             ///< of the terminal's openings
        base::EventSource source{}; ///< the terminal, while somebody has it open
    };

    Consoles(sd_event* event, Options options, hv::EventChannels channels, hv::GrantDevice grants, base::Fd openings)
        : event_(event), options_(std::move(options)), channels_(std::move(channels)), grants_(std::move(grants)),
          openings_(std::move(openings)) {}

    void on_channels();
    void on_openings();
    void on_terminal(Guest& guest, std::uint32_t events);
    void serve(Guest& guest);
    void wait_for_period(DomId id);
    void watch_openings(Guest& guest);
    void look_at_terminal(Guest& guest);
    void choose_events(Guest& guest);
    void remove_old_logs();

    sd_event* event_;
    Options options_;
    hv::EventChannels channels_;
    hv::GrantDevice grants_;
    base::Fd openings_; ///< inotify(7): a terminal was opened
    base::EventSource channels_source_, openings_source_, period_source_;
    std::map<DomId, Guest> guests_;
    std::unordered_map<std::uint32_t, DomId> by_port_;
    std::unordered_map<int, DomId> by_watch_;
    std::vector<DomId> waiting_; ///< used their allowance up
    unsigned detached_ = 0;
};

} // namespace streak::console
