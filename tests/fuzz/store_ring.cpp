// SPDX-License-Identifier: GPL-2.0-only

// A guest that writes to its ring's page whatever it likes, at any time. Its neighbour is served all the same.
//
// Input: pieces of one byte that says what is done, and what belongs to it.

#include <cstring>
#include <string>

#include "input.hpp"
#include "store/store.hpp"

using namespace streak;
using namespace streak::store;
using namespace std::string_literals;
using fuzz::require;

namespace {

fuzz::Fault deaf_neighbour("deaf-neighbour");

struct Pages : Machine {
    struct PageLink : Link {
        PageLink(xenstore_domain_interface& page, DomId id) : page_(page), id_(id) {}
        xenstore_domain_interface& page() override { return page_; }
        EvtchnPort port() const override { return EvtchnPort(id_.raw()); }
        void notify() override {}
        xenstore_domain_interface& page_;
        DomId id_;
    };
    Result<std::unique_ptr<Link>> connect(DomId domain, EvtchnPort) override {
        if (domain.raw() > 2) return fail(Errno::ENOENT);
        return std::make_unique<PageLink>(pages[domain.raw()], domain);
    }
    xenstore_domain_interface pages[3]{};
};

void run(Store& store) {
    for (const std::uint32_t port : {0u, 1u, 2u})
        if (!deaf_neighbour || port != 2) store.ring(EvtchnPort(port));
    while (store.run(100)) {}
}

/// Its neighbour reads a node, byte by byte from a ring that it keeps in order.
void ask_as_neighbour(Store& store, xenstore_domain_interface& page) {
    const std::string request = encode(XS_READ, 5, 0, "/n\0"s);
    for (const char c : request) page.req[MASK_XENSTORE_IDX(page.req_prod++)] = c;
    run(store);
    std::string reply;
    while (page.rsp_cons != page.rsp_prod) reply += page.rsp[MASK_XENSTORE_IDX(page.rsp_cons++)];
    require(reply == encode(XS_READ, 5, 0, "value"));
}

/// Does what the input says; what is left of it.
std::string_view act(std::string_view input, xenstore_domain_interface& page) {
    const auto kind = static_cast<unsigned char>(input[0]);
    input.remove_prefix(1);
    if (kind < 128) { // an honest request, of what follows
        const auto bytes = input.substr(0, kind);
        for (const char c : bytes) page.req[MASK_XENSTORE_IDX(page.req_prod++)] = c;
        return input.substr(bytes.size());
    }
    if (kind < 160) { // fetches
        page.rsp_cons = page.rsp_prod;
        return input;
    }
    std::uint32_t* const indexes[] = {&page.req_cons, &page.req_prod,        &page.rsp_cons,  &page.rsp_prod,
                                      &page.error,    &page.server_features, &page.connection};
    std::uint32_t value = 0;
    const auto bytes = input.substr(0, sizeof value);
    std::memcpy(&value, bytes.data(), bytes.size());
    std::uint32_t& index = *indexes[kind % 7];
    index = kind < 200 ? value : index + value % 2048;
    return input.substr(bytes.size());
}

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t bytes) {
    Pages machine;
    Store store(machine, {}, "/nonexistent/stored.state", [](base::LogLevel, const std::string&) {});
    require(store.start(EvtchnPort(1)).has_value());
    Session& tools = store.service().open({.id = dom0_id, .privileged = true});
    store.handle(tools, {XS_CONTROL, 0, 0, "apply\0w/n\0value\0p/n\0n0 r2\0w/g\0\0p/g\0n1\0"s});
    for (const std::string id : {"1", "2"}) store.handle(tools, {XS_INTRODUCE, 0, 0, id + "\0001\0002\0"s});
    require(!tools.output.empty() && store.service().session(2) != nullptr);
    ask_as_neighbour(store, machine.pages[2]);
    for (std::string_view input(reinterpret_cast<const char*>(data), bytes); !input.empty();) {
        input = act(input, machine.pages[1]);
        run(store);
        require(store.service().session(1)->output.bytes() <= Quota{}.output_bytes);
    }
    ask_as_neighbour(store, machine.pages[2]);
    return 0;
}
