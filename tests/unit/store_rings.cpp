// SPDX-License-Identifier: GPL-2.0-only
#include "store_rings.hpp"

using namespace streak;
using namespace streak::store;

namespace {

const std::string yes = "OK\0"s;

} // namespace

TEST_CASE("requests and replies pass a ring, longer ones than the ring too", "[store]") {
    Rings r;
    CHECK(r.ask(1, XS_WRITE, "data/x\0001"s) == yes);
    CHECK(r.ask(1, XS_READ, "/local/domain/1/data/x\0"s) == "1");
    CHECK(r.machine.guests.at(1).page->server_features == 3);
    for (unsigned i = 2; i < 300; ++i) // around the ring, at any offset
        CHECK(r.ask(1, XS_READ, "data/" + std::string(i, 'x') + '\0') == "ENOENT\0"s);
    const std::string value(XENSTORE_PAYLOAD_MAX - 7, 'v');
    CHECK(r.ask(0, XS_WRITE, "/value\0"s + value) == yes);
    CHECK(r.ask(0, XS_READ, "/value\0"s) == value);
    CHECK(r.ask(2, XS_READ, "/value\0"s) == "EACCES\0"s);
}

TEST_CASE("a ring's bytes may come one at a time", "[store]") {
    Rings r;
    const std::string bytes = encode(XS_WRITE, 1, 0, "data/x\0value"s) + encode(XS_READ, 2, 0, "data/x\0"s);
    for (const char c : bytes) {
        r.guests.at(1).push({&c, 1});
        r.run();
        CHECK(r.machine.guests.at(1).page->req_cons == r.machine.guests.at(1).page->req_prod);
    }
    CHECK(r.payloads(1) == std::vector{yes, "value"s});
}

TEST_CASE("a guest that doesn't fetch replies isn't served until it does", "[store]") {
    Rings r;
    CHECK(r.tool(XS_WRITE, "/v\0"s + std::string(500, 'v')) == yes);
    const std::string request = encode(XS_READ, 1, 0, "/v\0"s);
    std::size_t pushed = 0;
    while (r.guests.at(1).push(request) == request.size()) {
        ++pushed;
        r.run();
        REQUIRE(pushed < 1000);
    }
    CHECK(r.store->service().session(1)->output.bytes() < 1000);
    CHECK(r.ask(2, XS_WRITE, "data/x\0002"s) == yes);
    r.guests.at(1).push("");
    CHECK(r.payloads(1).size() == pushed);
}

TEST_CASE("a guest that has much to ask for lets others have their turn", "[store]") {
    Rings r;
    r.run();
    std::string many;
    while (many.size() + 24 <= XENSTORE_RING_SIZE) many += encode(XS_READ, 1, 0, "data\0"s);
    r.guests.at(1).push(many);
    r.guests.at(2).push(encode(XS_READ, 1, 0, "data\0"s));
    r.store->ring(EvtchnPort(101));
    r.store->ring(EvtchnPort(102));
    CHECK(r.store->run(2));
    CHECK(r.guests.at(2).fetch().size() == 1);
    CHECK(r.guests.at(1).fetch().size() < many.size() / 24);
}

TEST_CASE("a guest that lies about its ring is stopped, others go on", "[store]") {
    Rings r;
    auto& page = *r.machine.guests.at(1).page;
    std::uint32_t error = XENSTORE_ERROR_RINGIDX;
    SECTION("requests that can't be") { page.req_prod = page.req_cons + XENSTORE_RING_SIZE + 1; }
    SECTION("more fetched than there was") {
        r.guests.at(1).push(encode(XS_READ, 1, 0, "data\0"s));
        page.rsp_cons = page.rsp_prod + 1;
    }
    SECTION("a payload too long") {
        error = XENSTORE_ERROR_PROTO;
        const xsd_sockmsg header{XS_READ, 1, 0, XENSTORE_PAYLOAD_MAX + 1};
        r.guests.at(1).push({reinterpret_cast<const char*>(&header), sizeof header});
    }
    const std::size_t lines = r.log.size();
    r.run();
    r.run();
    REQUIRE(r.log.size() == lines + 1);
    CHECK(r.log.back().starts_with("domain 1 is not served any more: "));
    CHECK(page.error == error);
    CHECK(r.ask(2, XS_WRITE, "data/x\0002"s) == yes);
    r.guests.at(1).push(encode(XS_READ, 1, 0, "data\0"s));
    r.start(); // nor by the next daemon
    r.run();
    CHECK(r.guests.at(1).fetch().empty());
    CHECK(r.ask(2, XS_READ, "data/x\0"s) == "2");
    // It may begin anew.
    page.connection = XENSTORE_RECONNECT;
    r.run();
    r.guests.at(1).begin_anew();
    CHECK(page.connection == XENSTORE_CONNECTED);
    CHECK(page.error == XENSTORE_ERROR_NONE);
    CHECK(r.ask(1, XS_READ, "data\0"s).empty());
    r.start();
    CHECK(r.ask(1, XS_READ, "data\0"s).empty());
}

TEST_CASE("the store's own indexes are not taken from the ring", "[store]") {
    Rings r;
    auto& page = *r.machine.guests.at(1).page;
    CHECK(r.ask(1, XS_READ, "data\0"s).empty());
    const auto requests = page.req_cons, responses = page.rsp_prod;
    page.req_cons = 77;
    page.rsp_prod = 99;
    r.guests.at(1).push("");
    page.req_cons = requests;
    CHECK(r.guests.at(1).push(encode(XS_READ, 1, 0, "data\0"s)) != 0);
    page.req_cons = 78;
    r.run();
    CHECK(page.req_cons == page.req_prod);
    CHECK(page.rsp_prod == responses + 16);
}

TEST_CASE("domains are introduced, released and looked at", "[store]") {
    Rings r;
    CHECK(r.tool(XS_INTRODUCE, "7\0001\0002\0"s) == "ENOENT\0"s);
    r.machine.add(7);
    CHECK(r.tool(XS_INTRODUCE, "7\0001\000666\0"s) == "EINVAL\0"s);
    CHECK(r.tool(XS_INTRODUCE, "7\0001\0002\0"s) == yes);
    CHECK(r.tool(XS_INTRODUCE, "7\0001\0003\0"s) == yes); // another port
    CHECK(r.tool(XS_IS_DOMAIN_INTRODUCED, "7\0"s) == "T\0"s);
    CHECK(r.tool(XS_SET_TARGET, "7\0001\0"s) == yes);
    CHECK(r.tool(XS_SET_TARGET, "7\0008\0"s) == "ENOENT\0"s);
    CHECK(r.store->service().session(7)->caller.target == DomId(1));
    r.start();
    CHECK(r.store->service().session(7)->caller.target == DomId(1));
    CHECK(r.tool(XS_RELEASE, "7\0"s) == yes);
    CHECK(r.tool(XS_RELEASE, "7\0"s) == "ENOENT\0"s);
    CHECK(r.tool(XS_RELEASE, "0\0"s) == "EINVAL\0"s);
    CHECK(r.tool(XS_RESUME, "7\0"s) == "ENOENT\0"s);
}

TEST_CASE("deaths are noticed and told of once", "[store]") {
    Rings r;
    r.send(0, XS_WATCH, "@releaseDomain\0t\0"s);
    CHECK(r.payloads(0).size() == 2);
    const auto look = [&](std::vector<DomainState> all) {
        all.push_back({dom0_id});
        r.store->look_at(all);
        r.run();
        return r.payloads(0).size();
    };
    CHECK(look({{DomId(1)}, {DomId(2)}}) == 0);
    CHECK(look({{DomId(1), false, true}, {DomId(2)}}) == 1);
    CHECK(look({{DomId(1), false, true}, {DomId(2)}}) == 0);
    r.start();
    CHECK(look({{DomId(1), false, true}, {DomId(2)}}) == 0);
    CHECK(r.tool(XS_RESUME, "1\0"s) == yes);
    CHECK(look({{DomId(1), false, true}, {DomId(2)}}) == 1);
    CHECK(look({{DomId(1), true}, {DomId(2)}}) == 1);
    CHECK(look({{DomId(2)}}) == 0);
    CHECK(r.tool(XS_IS_DOMAIN_INTRODUCED, "1\0"s) == "F\0"s);
    CHECK(r.store->service().has_to_sweep());
    r.start();
    CHECK(r.store->service().has_to_sweep());
    r.store->sweep();
    CHECK(r.tool(XS_READ, "/local/domain/1/data\0"s) == "ENOENT\0"s);
    r.start();
    CHECK_FALSE(r.store->service().has_to_sweep());
    CHECK(r.ask(2, XS_READ, "data\0"s).empty());
    // One that was never introduced had rights as well.
    CHECK(r.tool(XS_WRITE, "/x\0"s) == yes);
    CHECK(r.tool(XS_SET_PERMS, "/x\0n0\0r55\0"s) == yes);
    CHECK(look({{DomId(2)}}) == 0);
    r.store->sweep();
    CHECK(r.tool(XS_GET_PERMS, "/x\0"s) == "n0\0"s);
}

TEST_CASE("the next daemon goes on where the last one stopped", "[store]") {
    Rings r;
    CHECK(r.ask(1, XS_WRITE, "data/x\0001"s) == yes);
    r.send(1, XS_WATCH, "data\0token\0"s);
    CHECK(r.payloads(1).size() == 2);
    const std::string transaction = r.ask(1, XS_TRANSACTION_START, "\0"s);
    const auto id = static_cast<std::uint32_t>(std::stoul(transaction));
    CHECK(r.ask(1, XS_WRITE, "data/t\0001"s, id) == yes);
    // Half of a request, and output that isn't fetched.
    const std::string request = encode(XS_READ, 9, 0, "data/x\0"s);
    CHECK(r.ask(2, XS_WRITE, "data/long\0"s + std::string(2000, 'l')) == yes);
    r.guests.at(2).push(encode(XS_READ, 8, 0, "data/long\0"s));
    r.guests.at(1).push(request.substr(0, 20));
    r.run();
    CHECK(r.tool(XS_WRITE, "/local/domain/1/data/y\0"s) == yes); // not delivered yet

    r.start();
    CHECK(r.log.back() == "goes on with 10 nodes and 3 domains");
    r.guests.at(1).push(request.substr(20));
    r.run();
    CHECK(r.payloads(1) == std::vector{"data/y\0token\0"s, "1"s});
    CHECK(r.payloads(2) == std::vector{std::string(2000, 'l')});
    // The transaction is served and has to be repeated.
    CHECK(r.ask(1, XS_READ, "data/x\0"s, id) == "1");
    CHECK(r.ask(1, XS_TRANSACTION_END, "T\0"s, id) == "EAGAIN\0"s);
    CHECK(r.ask(1, XS_READ, "data/t\0"s) == "ENOENT\0"s);
    CHECK(r.tool(XS_WRITE, "/local/domain/1/data/z\0"s) == yes);
    r.run();
    CHECK(r.payloads(1) == std::vector{"data/z\0token\0"s});
    for (unsigned i = 0; i < 5; ++i) r.start();
    CHECK(r.ask(1, XS_READ, "data/x\0"s) == "1");
}

TEST_CASE("a file that grows is begun anew, with the same state", "[store]") {
    Rings r;
    for (unsigned i = 0; i < 3000; ++i)
        CHECK(r.tool(XS_WRITE, "/n/" + std::to_string(i % 50) + '\0' + std::string(1000, 'x') + std::to_string(i)) ==
              yes);
    const std::string before = r.tool(XS_DIRECTORY, "/n\0"s);
    r.start();
    CHECK(r.tool(XS_DIRECTORY, "/n\0"s) == before);
    CHECK(r.tool(XS_READ, "/n/49\0"s) == std::string(1000, 'x') + "2999");
}

TEST_CASE("a file that is not one is said, and the store begins empty", "[store]") {
    Rings r;
    r.store.reset();
    ::unlink(r.file().c_str());
    FILE* file = ::fopen(r.file().c_str(), "w");
    ::fputs("something else that is not a state file", file);
    ::fclose(file);
    r.start();
    CHECK(r.log.back().starts_with("the state file can't be used"));
    CHECK(r.tool(XS_DIRECTORY, "/\0"s).empty());
    CHECK(r.ask(0, XS_READ, "/\0"s).empty());
}

TEST_CASE("a domain that is gone when the next daemon starts is told of", "[store]") {
    Rings r;
    r.send(0, XS_WATCH, "@releaseDomain\0t\0"s);
    CHECK(r.payloads(0).size() == 2);
    r.store.reset();
    ::munmap(r.machine.guests.at(1).page, 4096);
    r.machine.guests.erase(1);
    r.start();
    r.run();
    CHECK(r.payloads(0) == std::vector{"@releaseDomain\0t\0"s});
    CHECK(r.tool(XS_IS_DOMAIN_INTRODUCED, "1\0"s) == "F\0"s);
    r.store->sweep();
    CHECK(r.tool(XS_READ, "/local/domain/1/data\0"s) == "ENOENT\0"s);
}
