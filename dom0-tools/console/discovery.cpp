// SPDX-License-Identifier: GPL-2.0-only
#include "console/discovery.hpp"

#include <unordered_map>

#include <systemd/sd-daemon.h>

#include <xen/sched.h>

#include "base/log.hpp"
#include "base/text.hpp"

namespace streak::console {

namespace {

constexpr std::chrono::milliseconds retry_after{500};
constexpr std::string_view introduced = "introduced", released = "released", port_token = "port/";

std::string console_node(DomId id, std::string_view name) {
    return "/local/domain/" + std::to_string(id.raw()) + "/console/" + std::string(name);
}

std::string port_token_of(DomId id) { return std::string(port_token) + std::to_string(id.raw()); }

std::string end_of(std::optional<unsigned> reason) {
    if (!reason) return "ended: destroyed";
    switch (*reason) {
    case SHUTDOWN_poweroff: return "ended: powered off";
    case SHUTDOWN_reboot: return "ended: rebooted";
    case SHUTDOWN_suspend: return "ended: suspended";
    case SHUTDOWN_crash: return "ended: crashed";
    case SHUTDOWN_watchdog: return "ended: stopped by its watchdog";
    default: return "ended: shutdown reason " + std::to_string(*reason);
    }
}

/// Only a lost connection matters; what the store refuses concerns one guest.
Result<> tolerate(Result<> outcome, std::string_view what) {
    if (outcome || outcome.error() == Errno::EIO) return outcome;
    base::log(base::LogLevel::warning, std::string(what) + ": " + base::describe(outcome.error()));
    return {};
}

} // namespace

void Discovery::connect() {
    const auto started = start();
    if (!started) return lost(started.error());
    complained_ = false;
    if (!std::exchange(ready_, true)) sd_notify(0, "READY=1");
}

Result<> Discovery::start() {
    TRY_ASSIGN(client, store::Client::connect());
    store_ = std::move(client);
    // The watches first: whoever appears while the list is read is told by an event.
    TRY(store_->watch("@introduceDomain", introduced));
    TRY(store_->watch("@releaseDomain", released));
    for (const Domain& domain : consoles_.domains()) TRY(tell_terminal(domain.id));
    awaited_.clear();
    TRY_ASSIGN(all, hypervisor_.list());
    for (const hv::DomainInfo& info : all) TRY(consider(info, true));
    store_source_ = base::on_ready(event_, store_->fd(), EPOLLIN, [this](auto) {
        if (const auto handled = handle_events(); !handled) lost(handled.error());
    });
    return handle_events();
}

void Discovery::lost(Errno error) {
    if (!std::exchange(complained_, true))
        base::log(base::LogLevel::warning, "the store does not tell of guests (" + base::describe(error) +
                                               "); consoles go on, new guests are found once it does");
    store_source_.reset();
    store_.reset();
    retry_source_ = base::after(event_, retry_after, [this] { connect(); });
}

Result<> Discovery::handle_events() {
    while (true) {
        TRY_ASSIGN(event, store_->next_event(std::chrono::milliseconds(0)));
        if (!event) return {};
        TRY(handle(*event));
    }
}

Result<> Discovery::handle(const store::Client::Event& event) {
    if (event.token == introduced) return find_new();
    if (event.token == released) return find_gone();
    if (!event.token.starts_with(port_token)) return {};
    const auto id = base::parse_number<std::uint16_t>(std::string_view(event.token).substr(port_token.size()));
    if (!id || !awaited_.contains(DomId(*id))) return {};
    const auto info = hypervisor_.info(DomId(*id));
    return info ? consider(*info, false) : Result<>{};
}

/// New guests without a look at the old ones, as a rule.
Result<> Discovery::find_new() {
    bool found = false;
    for (auto info = hypervisor_.info(newest_ + 1); info; info = hypervisor_.info(newest_ + 1), found = true)
        TRY(consider(*info, false));
    if (found) return {};
    TRY_ASSIGN(all, hypervisor_.list());
    for (const hv::DomainInfo& info : all) TRY(consider(info, false));
    return {};
}

Result<> Discovery::consider(const hv::DomainInfo& info, bool resumed) {
    if (info.id == dom0_id) return {};
    newest_ = info.id;
    if (info.dying || consoles_.has(info.id)) return {};
    TRY_ASSIGN(text, store_->find(console_node(info.id, "port")));
    const auto port = text ? base::parse_number<std::uint32_t>(*text) : std::nullopt;
    return port ? attach(info, EvtchnPort(*port), resumed) : await(info.id);
}

Result<> Discovery::attach(const hv::DomainInfo& info, EvtchnPort port, bool resumed) {
    TRY_ASSIGN(name, store_->find("/local/domain/" + std::to_string(info.id.raw()) + "/name"));
    if (resumed) { // a terminal's name is left of the earlier daemon
        TRY_ASSIGN(terminal, store_->find(console_node(info.id, "tty")));
        resumed = terminal && !terminal->empty();
    }
    const auto attached = consoles_.attach({info.id, info.handle, name.value_or("")}, port, resumed);
    if (!attached) {
        base::log(base::LogLevel::error, attached.error().text());
        return await(info.id);
    }
    TRY(forget(info.id));
    return tell_terminal(info.id);
}

/// Some tools introduce a guest before they say where its console is.
Result<> Discovery::await(DomId id) {
    if (!awaited_.insert(id).second) return {};
    return tolerate(store_->watch(console_node(id, "port"), port_token_of(id)), "watching for a console");
}

Result<> Discovery::forget(DomId id) {
    if (awaited_.erase(id) == 0) return {};
    return tolerate(store_->unwatch(console_node(id, "port"), port_token_of(id)), "a watch for a console");
}

Result<> Discovery::find_gone() {
    TRY_ASSIGN(all, hypervisor_.list());
    std::unordered_map<std::uint16_t, const hv::DomainInfo*> by_id;
    for (const hv::DomainInfo& info : all)
        if (!info.dying) by_id[info.id.raw()] = &info;
    for (const Domain& domain : consoles_.domains()) {
        const auto place = by_id.find(domain.id.raw());
        if (place == by_id.end() || place->second->handle != domain.uuid) {
            const auto reason = shutdown_reason_.extract(domain.id);
            consoles_.detach(domain.id, end_of(reason ? std::optional(reason.mapped()) : std::nullopt));
        } else if (place->second->shut_down) {
            shutdown_reason_[domain.id] = place->second->shutdown_reason;
        }
    }
    for (const DomId id : std::set(awaited_))
        if (!by_id.contains(id.raw())) TRY(forget(id));
    return {};
}

Result<> Discovery::tell_terminal(DomId id) {
    using Change = store::Client::Change;
    // Rights can only be set on what exists: a guest that is gone gets no node.
    const std::string owner = "n0 r" + std::to_string(id.raw());
    return tolerate(store_->apply({{Change::Kind::permissions, console_node(id, "port"), owner},
                                   {Change::Kind::write, console_node(id, "tty"), consoles_.terminal_path(id)}}),
                    "writing a terminal's name");
}

} // namespace streak::console
