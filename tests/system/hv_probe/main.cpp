// SPDX-License-Identifier: GPL-2.0-only
#include "probe.hpp"

#include <cstdio>

#include <poll.h>

namespace streak::probe {

namespace {
bool all_good = true;
}

void verdict(const char* name, bool good, const std::string& detail) {
    all_good &= good;
    if (good) std::printf("TEST %s: ok\n", name);
    else std::printf("TEST %s: FAIL %s\n", name, detail.c_str());
    std::fflush(stdout);
}

void machine(hv::Hypervisor& hypervisor) {
    const auto version = hypervisor.version();
    verdict("version", version && version->starts_with("4.17."), version.value_or("none"));
    const auto id = hypervisor.build_id();
    verdict("build-id", id && id->size() == 40, id.value_or("none"));
    const auto host = hypervisor.host_info();
    verdict("host-info", host && host->cpus >= 1 && host->nodes == 1 && host->free_pages < host->total_pages &&
                             host->free_pages != 0 && host->cpu_khz > 1000);
    const auto idle = cpu_idle_ns(hypervisor);
    verdict("idle-times", idle && host && idle->size() == host->cpus);
    const auto before = hypervisor.console_log();
    verdict("console-log", before && before->size() > 1000 && before->find("Command line") != before->npos,
            std::to_string(before ? before->size() : 0) + " bytes");
    check("debug-keys", hypervisor.press_debug_keys("h"));
    const auto after = hypervisor.console_log(true);
    verdict("log-grows", before && after && after->size() > before->size());
    const auto cleared = hypervisor.console_log();
    verdict("log-cleared", cleared && after && cleared->size() < after->size() / 2);
}

void events(hv::Hypervisor& hypervisor) {
    auto ours = hv::EventChannels::open(), theirs = hv::EventChannels::open();
    check("evtchn-open", ours);
    if (!ours || !theirs) return;
    const auto port = unbound_port(*ours, dom0_id);
    check("evtchn-allocate", port);
    if (!port) return;
    const auto peer = theirs->bind_interdomain(dom0_id, *port);
    check("evtchn-bind", peer);
    if (!peer) return;
    // A port may be pending from the start, once.
    while (const auto pending = ours->next().value_or(std::nullopt)) (void)ours->unmask(*pending);
    const auto nothing = ours->next();
    verdict("evtchn-quiet", nothing && !*nothing);
    check("evtchn-notify", theirs->notify(*peer));
    pollfd waiting{.fd = ours->fd(), .events = POLLIN, .revents = 0};
    verdict("evtchn-poll", ::poll(&waiting, 1, 5000) == 1);
    const auto pending = ours->next();
    verdict("evtchn-next", pending && *pending == *port);
    check("evtchn-unmask", ours->unmask(*port));
    check("evtchn-close", ours->close(*port));
    verdict("evtchn-closed", !ours->notify(*port));
    refused("evtchn-nobody", theirs->bind_interdomain(DomId(999), EvtchnPort(1)), Errno::ESRCH);
    refused("evtchn-alloc-nobody", hypervisor.allocate_port(DomId(999), dom0_id), Errno::ESRCH);
}

void grants() {
    auto device = hv::GrantDevice::open();
    check("gntdev-open", device);
    auto page = SharedPage::grant(dom0_id);
    check("gntalloc", page);
    if (!device || !page) return;
    page->data()[5] = std::byte{42};
    {
        auto mapped = device->map(dom0_id, page->ref());
        check("gntdev-map", mapped);
        if (!mapped) return;
        verdict("gntdev-same-page", mapped->data()[5] == std::byte{42});
        mapped->data()[6] = std::byte{43};
        verdict("gntdev-writes", page->data()[6] == std::byte{43});
    }
    check("gntdev-map-again", device->map(dom0_id, page->ref()));
    verdict("gntdev-refuses", !device->map(dom0_id, GrantRef(500)));
}

} // namespace streak::probe

int main() {
    using namespace streak;
    auto port = hv::Privcmd::open();
    probe::verdict("privcmd", port.has_value(), port ? "" : port.error().text());
    if (!port) return 1;
    hv::Hypervisor hypervisor(**port);
    probe::machine(hypervisor);
    probe::events(hypervisor);
    probe::grants();
    probe::domain(hypervisor);
    probe::cycles(hypervisor);
    probe::nobody(hypervisor);
    probe::verdict("probe", probe::all_good, "see above");
    return probe::all_good ? 0 : 1;
}
