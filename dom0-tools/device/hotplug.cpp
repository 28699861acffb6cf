// SPDX-License-Identifier: GPL-2.0-only
#include <thread> // before lib/errno.hpp, which takes E... names away

#include "device/hotplug.hpp"

#include "base/text.hpp"

#include <algorithm>

namespace streak::device {

namespace {

using Clock = std::chrono::steady_clock;

base::Outcome<> store_failed(Errno code) { return base::hypercall_error("the store failed", code); }

/// Shows the machine both states at each change. True: it is done; false: it failed or the time is over.
template <class Machine>
base::Outcome<bool> follow(Store& store, const Address& at, Machine& machine, Milliseconds limit) {
    const auto end = Clock::now() + limit;
    auto watch = store.watch({at.frontend() + "/state", at.backend() + "/state"});
    if (!watch) return std::unexpected(store_failed(watch.error()).error());
    while (true) {
        const auto left = std::chrono::duration_cast<Milliseconds>(end - Clock::now());
        const auto changed = (*watch)->wait(std::max(left, Milliseconds(0)));
        if (!changed) return std::unexpected(store_failed(changed.error()).error());
        const auto ends = read_ends(store, at);
        if (!ends) return std::unexpected(store_failed(ends.error()).error());
        if (const Progress progress = machine.saw(*ends); progress != Progress::waiting)
            return progress == Progress::done;
        if (!*changed && left <= Milliseconds(0)) return false;
    }
}

/// The driver in dom0 has made up its mind about the device.
struct Probe {
    static Progress saw(Ends ends) { return ends.backend == State::initialising ? Progress::waiting : Progress::done; }
};

/// A domain's devices, after dom0's drivers have looked at all of them.
std::vector<Address> probed_devices(Store& store, DomId domain, Milliseconds limit) {
    std::vector<Address> devices;
    for (const Kind kind : {Kind::disk, Kind::interface}) {
        const auto names = store.list(Address{domain, kind}.backends());
        for (const std::string& name : names.value_or(std::vector<std::string>{})) {
            const Address at{domain, kind, base::parse_number<std::uint32_t>(name).value_or(0)};
            devices.push_back(at);
            const auto state = store.find(at.backend() + "/state");
            if (!state || parse_state(*state) != State::initialising) continue;
            Probe probe;
            (void)follow(store, at, probe, limit);
        }
    }
    return devices;
}

/// Does a driver still have one of them after `limit`?
bool still_held(Host& host, const std::vector<Address>& devices, Milliseconds limit) {
    const auto end = Clock::now() + limit;
    while (std::ranges::any_of(devices, [&](const Address& at) { return host.has_backend(at); })) {
        if (Clock::now() >= end) return true;
        std::this_thread::sleep_for(Milliseconds(1));
    }
    return false;
}

} // namespace

Result<Ends> read_ends(Store& store, const Address& at) {
    TRY_ASSIGN(frontend, store.find(at.frontend() + "/state"));
    TRY_ASSIGN(backend, store.find(at.backend() + "/state"));
    return Ends{parse_state(frontend), parse_state(backend)};
}

base::Outcome<> wait_connected(Store& store, const Address& at, Milliseconds limit) {
    Attach machine(at.kind);
    TRY_ASSIGN(connected, follow(store, at, machine, limit));
    if (connected) return {};
    const auto reason = store.find(at.error_node());
    return std::unexpected(machine.failure(reason && *reason ? **reason : std::string()));
}

base::Outcome<> close_politely(Store& store, const Address& at, Milliseconds limit) {
    Changes changes;
    add_close_request(changes, at);
    if (const auto asked = store.apply(changes); !asked) return store_failed(asked.error());
    Detach machine(at.kind);
    TRY_ASSIGN(closed, follow(store, at, machine, limit));
    if (!closed) return std::unexpected(machine.failure());
    return {};
}

Result<> withdraw(Store& store, Host& host, DomId domain, const Changes& removal, Milliseconds limit) {
    const auto end = Clock::now() + limit;
    const std::vector<Address> devices = probed_devices(store, domain, limit);
    TRY(store.apply(removal));
    Changes again;
    remove_backends(again, domain);
    for (bool held = !devices.empty(); held;) {
        held = still_held(host, devices, std::min(limit, Milliseconds(100))) && Clock::now() < end;
        TRY(store.apply(again));
    }
    return {};
}

} // namespace streak::device
