// SPDX-License-Identifier: GPL-2.0-only
#include "console/consoles.hpp"

#include <cerrno>

#include <sys/inotify.h>

#include <xen/grant_table.h>

#include "base/log.hpp"

namespace streak::console {

namespace {

/// Ports served before other sources get their turn.
constexpr unsigned ports_per_turn = 64;
/// Old logs are looked through each time so many guests have ended.
constexpr unsigned ends_per_search = 64;

} // namespace

base::Outcome<std::unique_ptr<Consoles>> Consoles::open(sd_event* event, Options options) {
    TRY_ASSIGN(channels, hv::EventChannels::open());
    TRY_ASSIGN(grants, hv::GrantDevice::open());
    base::Fd openings(::inotify_init1(IN_NONBLOCK | IN_CLOEXEC));
    if (!openings) return base::errno_error("inotify_init1", errno);
    std::unique_ptr<Consoles> all(
        new Consoles(event, std::move(options), std::move(channels), std::move(grants), std::move(openings)));
    Consoles* const self = all.get();
    self->channels_source_ = base::on_ready(event, self->channels_.fd(), EPOLLIN, [=](auto) { self->on_channels(); });
    self->openings_source_ = base::on_ready(event, self->openings_.get(), EPOLLIN, [=](auto) { self->on_openings(); });
    if (!all->channels_source_ || !all->openings_source_)
        return base::error(base::ErrorKind::internal, "no event sources");
    all->remove_old_logs();
    return all;
}

base::Outcome<std::string> Consoles::attach(const Domain& domain, EvtchnPort port, bool resumed) {
    const std::string what = "the console of " + describe(domain);
    auto page = grants_.map(domain.id, GrantRef(GNTTAB_RESERVED_CONSOLE));
    if (!page) return base::hypercall_error("mapping the ring of " + what, page.error());
    auto local = channels_.bind_interdomain(domain.id, port);
    if (!local) return base::hypercall_error("binding the event channel of " + what, local.error());
    auto terminal = Terminal::open();
    if (!terminal) base::log(base::LogLevel::error, what + " is only logged: " + terminal.error().text());

    Ring ring(*reinterpret_cast<xencons_interface*>(page->data()));
    LogFile log(options_.folder + "/" + log_name(domain.uuid), options_.limits);
    DomainConsole console(domain, ring, std::move(log),
                          terminal ? std::optional(std::move(*terminal)) : std::optional<Terminal>());
    auto [place, made] = guests_.try_emplace(domain.id, Guest{std::move(*page), *local, std::move(console)});
    Guest& guest = place->second;
    by_port_[local->raw()] = domain.id;
    guest.console.note(resumed ? "goes on: streak-consoled was started anew" : "started");
    watch_openings(guest);
    serve(guest); // what it wrote before there was anybody to tell
    return terminal_path(domain.id);
}

void Consoles::detach(DomId id, const std::string& why) {
    const auto place = guests_.find(id);
    if (place == guests_.end()) return;
    Guest& guest = place->second;
    guest.console.move_output();
    guest.console.report_missed(true);
    guest.console.note(why);
    if (guest.watch >= 0) ::inotify_rm_watch(openings_.get(), guest.watch);
    by_watch_.erase(guest.watch);
    by_port_.erase(guest.port.raw());
    std::erase(waiting_, id);
    static_cast<void>(channels_.close(guest.port));
    guests_.erase(place);
    if (++detached_ % ends_per_search == 0) remove_old_logs();
}

std::vector<Domain> Consoles::domains() const {
    std::vector<Domain> all;
    for (const auto& [id, guest] : guests_) all.push_back(guest.console.domain());
    return all;
}

std::string Consoles::terminal_path(DomId id) {
    const auto& terminal = guests_.at(id).console.terminal();
    return terminal ? terminal->path() : std::string();
}

/// One turn of a guest whose port is masked. The port stays masked while the guest has to wait.
void Consoles::serve(Guest& guest) {
    std::uint64_t now_us = 0;
    sd_event_now(event_, CLOCK_MONOTONIC, &now_us);
    if (!guest.allowance.use(now_us)) return wait_for_period(guest.console.domain().id);
    const bool output = guest.console.move_output(), input = guest.source && guest.console.move_input();
    if (guest.source) choose_events(guest);
    if (output || input) static_cast<void>(channels_.notify(guest.port));
    static_cast<void>(channels_.unmask(guest.port));
}

void Consoles::on_channels() {
    for (unsigned count = 0; count < ports_per_turn; ++count) {
        const auto port = channels_.next();
        if (!port || !*port) break;
        if (const auto id = by_port_.find((*port)->raw()); id != by_port_.end()) serve(guests_.at(id->second));
    }
}

void Consoles::wait_for_period(DomId id) {
    waiting_.push_back(id);
    if (period_source_) return;
    period_source_ = base::after(event_, std::chrono::microseconds(Allowance::period_us), [this] {
        period_source_.reset();
        for (const DomId waiting : std::exchange(waiting_, {})) serve(guests_.at(waiting));
    });
}

// ---- Terminals -----------------------------------------------------------------------------------------

void Consoles::watch_openings(Guest& guest) {
    const auto& terminal = guest.console.terminal();
    if (!terminal) return;
    guest.watch = ::inotify_add_watch(openings_.get(), terminal->path().c_str(), IN_OPEN);
    if (guest.watch < 0)
        base::log(base::LogLevel::error, base::errno_error("watching " + terminal->path(), errno).error().text());
    else by_watch_[guest.watch] = guest.console.domain().id;
}

void Consoles::on_openings() {
    alignas(inotify_event) char buffer[4096];
    const ssize_t size = ::read(openings_.get(), buffer, sizeof buffer);
    for (ssize_t at = 0; at < size;) {
        const auto& event = *reinterpret_cast<const inotify_event*>(buffer + at);
        at += static_cast<ssize_t>(sizeof event + event.len);
        if ((event.mask & IN_Q_OVERFLOW) != 0) {
            for (auto& [id, guest] : guests_) look_at_terminal(guest);
        } else if (const auto id = by_watch_.find(event.wd); id != by_watch_.end()) {
            look_at_terminal(guests_.at(id->second));
        }
    }
}

void Consoles::look_at_terminal(Guest& guest) {
    auto& terminal = guest.console.terminal();
    if (!terminal || !terminal->look()) return;
    guest.source.reset();
    if (!terminal->attached()) return guest.console.report_missed(true);
    guest.source = base::on_ready(event_, terminal->fd(), EPOLLIN, [&](auto events) { on_terminal(guest, events); });
    choose_events(guest);
}

/// Neither a full ring nor a reader that has no room, or is gone, may wake the daemon again and again.
void Consoles::choose_events(Guest& guest) {
    const std::uint32_t input = guest.console.wants_input() ? +EPOLLIN : 0;
    const std::uint32_t output = guest.console.terminal()->pending() ? +EPOLLOUT : 0;
    std::uint32_t now = 0;
    sd_event_source_get_io_events(guest.source.get(), &now);
    if (now != (input | output)) sd_event_source_set_io_events(guest.source.get(), input | output);
    sd_event_source_set_enabled(guest.source.get(), (input | output) != 0 ? SD_EVENT_ON : SD_EVENT_OFF);
}

void Consoles::on_terminal(Guest& guest, std::uint32_t events) {
    if ((events & EPOLLIN) != 0 && guest.console.move_input()) static_cast<void>(channels_.notify(guest.port));
    if ((events & EPOLLOUT) != 0) {
        guest.console.terminal()->flush();
        guest.console.report_missed();
    }
    if ((events & EPOLLHUP) != 0) look_at_terminal(guest);
    if (guest.source) choose_events(guest);
}

void Consoles::remove_old_logs() {
    remove_surplus_logs(options_.folder, options_.limits, [this](const base::Uuid& uuid) {
        for (const auto& [id, guest] : guests_)
            if (guest.console.domain().uuid == uuid) return true;
        return false;
    });
}

} // namespace streak::console
