// SPDX-License-Identifier: GPL-2.0-only

// The story: does a kernel boot from what the builder makes? Runs in dom0 with no daemon: makes a guest, prints its
// console, answers each of its questions to the store with "no such node", and says what loading and building cost.
//
// usage: builder-probe KERNEL INITRD|- MEMORY_MIB WAIT_FOR SECONDS COMMAND_LINE

#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <iterator>
#include <string>

#include "builder/builder.hpp"
#include "builder/sandbox.hpp"
#include "hv/event_channels.hpp"
#include "hv/grants.hpp"
#include "hv/privcmd.hpp"

#include <poll.h>
#include <x86intrin.h>
#include <xen/io/console.h>
#include <xen/io/xs_wire.h>

using namespace streak;

namespace {

/// Ends the probe: the kernel takes back what is left, but a domain has to be destroyed.
struct Domain {
    hv::Hypervisor& hypervisor;
    DomId id;
    ~Domain() {
        if (!hypervisor.destroy_domain(id)) std::puts("TEST destroy: FAIL");
    }
};

template <class T> T need(const char* what, std::expected<T, base::Error> result) {
    if (!result) {
        std::printf("TEST %s: FAIL %s\n", what, result.error().text().c_str());
        std::exit(1);
    }
    return std::move(*result);
}

template <class T> T need(const char* what, Result<T> result) {
    if (result) return std::move(*result);
    std::printf("TEST %s: FAIL %s\n", what, base::describe(result.error()).c_str());
    std::exit(1);
}

void need(const char* what, Result<> result) {
    if (!result) need<int>(what, fail(result.error()));
}

/// Everything that came in since the last call.
std::string drain(const char* ring, std::size_t bytes, std::uint32_t& cons, const std::uint32_t& prod) {
    std::string text;
    std::uint32_t at = cons;
    const std::uint32_t end = __atomic_load_n(&prod, __ATOMIC_SEQ_CST);
    while (at != end && text.size() < bytes) text += ring[at++ & (bytes - 1)];
    __atomic_store_n(&cons, at, __ATOMIC_SEQ_CST);
    return text;
}

/// A store with nothing in it.
class EmptyStore {
public:
    explicit EmptyStore(std::byte* page) : ring_(*reinterpret_cast<xenstore_domain_interface*>(page)) {}

    /// True when something was answered.
    bool serve() {
        pending_ += drain(ring_.req, XENSTORE_RING_SIZE, ring_.req_cons, ring_.req_prod);
        bool answered = false;
        xsd_sockmsg request;
        while (pending_.size() >= sizeof request) {
            std::memcpy(&request, pending_.data(), sizeof request);
            if (pending_.size() < sizeof request + request.len) break;
            pending_.erase(0, sizeof request + request.len);
            answer(request);
            answered = true;
        }
        return answered;
    }

private:
    void answer(xsd_sockmsg request) {
        const bool good = request.type == XS_WATCH || request.type == XS_UNWATCH;
        const std::string body(good ? "OK" : "ENOENT", good ? 3 : 7);
        if (!good) request.type = XS_ERROR;
        request.len = static_cast<std::uint32_t>(body.size());
        put({reinterpret_cast<const char*>(&request), sizeof request});
        put(body);
    }
    void put(const std::string& bytes) {
        std::uint32_t prod = ring_.rsp_prod;
        for (const char byte : bytes) ring_.rsp[prod++ & (XENSTORE_RING_SIZE - 1)] = byte;
        __atomic_store_n(&ring_.rsp_prod, prod, __ATOMIC_SEQ_CST);
    }

    xenstore_domain_interface& ring_;
    std::string pending_;
};

/// Prints the guest's console until `wanted` was seen; false after `seconds`.
bool listen(const builder::Request& request, const std::string& wanted, int seconds) {
    auto device = need("gntdev", hv::GrantDevice::open());
    const auto console = need("console-grant", device.map(request.domain, GrantRef(GNTTAB_RESERVED_CONSOLE)));
    const auto store_page = need("store-grant", device.map(request.domain, GrantRef(GNTTAB_RESERVED_XENSTORE)));
    auto events = need("evtchn", hv::EventChannels::open());
    const auto console_port = need("console-port", events.bind_interdomain(request.domain, request.console_port));
    const auto store_port = need("store-port", events.bind_interdomain(request.domain, request.store_port));
    auto& ring = *reinterpret_cast<xencons_interface*>(console.data());
    EmptyStore store(store_page.data());
    std::string seen;
    for (int left = seconds * 10; left > 0; --left) {
        const std::string text = drain(ring.out, sizeof ring.out, ring.out_cons, ring.out_prod);
        std::fwrite(text.data(), 1, text.size(), stdout);
        std::fflush(stdout);
        seen += text;
        if (!text.empty()) (void)events.notify(console_port);
        if (store.serve()) (void)events.notify(store_port);
        if (seen.find(wanted) != seen.npos) return true;
        pollfd waiting{.fd = events.fd(), .events = POLLIN, .revents = 0};
        ::poll(&waiting, 1, 100);
        while (const auto pending = events.next().value_or(std::nullopt)) (void)events.unmask(*pending);
    }
    return false;
}

/// A decoder that was taken over finds nothing of what its parent knows.
void confined_work_sees_no_heap() {
    const std::string secret(4096, 's');
    volatile char seen = 0;
    const auto ending = builder::run_confined([&] { seen = *static_cast<const volatile char*>(secret.data()); }, 5);
    std::printf("TEST sees-no-heap: %s\n", ending == builder::Ending::killed ? "ok" : "FAIL it could be read");
}

} // namespace

int main(int count, char** arguments) {
    if (count != 7) return 2;
    const auto port = need("privcmd", hv::Privcmd::open());
    hv::Hypervisor hypervisor(*port);
    confined_work_sees_no_heap();
    std::string initrd;
    if (std::string_view(arguments[2]) != "-") {
        std::ifstream file(arguments[2], std::ios::binary);
        initrd.assign(std::istreambuf_iterator<char>(file), {});
    }
    auto before = __rdtsc();
    const auto cost = [&](const char* what) {
        const auto now = __rdtsc();
        std::printf("COST %s %llu\n", what, now - std::exchange(before, now));
        before = __rdtsc();
    };
    for (const char* round : {"load-cold", "load-warm"}) {
        need("load", builder::load_kernel(arguments[1]));
        cost(round);
    }
    builder::Request request;
    request.kernel = need("load", builder::load_kernel(arguments[1]));
    request.initrd = std::as_bytes(std::span(initrd));
    request.memory_kib = std::strtoull(arguments[3], nullptr, 10) << 10;
    request.command_line = arguments[6];
    for (const char* round : {"first", "second"}) {
        before = __rdtsc();
        const auto id = need("create", hypervisor.create_domain({.handle = base::Uuid::random()}));
        const Domain domain{hypervisor, id};
        request.domain = id;
        need("max-vcpus", hypervisor.set_max_vcpus(id, 1));
        need("max-memory", hypervisor.set_max_memory(id, request.memory_kib));
        request.store_port = need("store-port", hypervisor.allocate_port(id, dom0_id));
        request.console_port = need("console-port", hypervisor.allocate_port(id, dom0_id));
        cost("create");
        need("build", builder::build(hypervisor, request));
        cost(("build-" + std::string(round)).c_str());
        if (std::string_view(round) == "first") continue;
        need("unpause", hypervisor.unpause(id));
        const bool good = listen(request, arguments[4], std::atoi(arguments[5]));
        std::printf("\nTEST guest: %s\n", good ? "ok" : "FAIL it did not say what was expected");
        return good ? 0 : 1;
    }
}
