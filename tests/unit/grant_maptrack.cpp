// SPDX-License-Identifier: GPL-2.0-only
#include <catch2/catch_test_macros.hpp>

#include <set>
#include <vector>

#include "grant/maptrack.hpp"
#include "lib/abi.hpp"
#include "test_memory.hpp"

using namespace streak;
using namespace streak::grant;

namespace {

constexpr u16 host = GNTMAP_host_map, device = GNTMAP_device_map;

Mapping mapping(u16 flags) {
    return {.granter = DomId(3), .flags = flags, .ref = GrantRef(9), .frame = 77, .generation = 1};
}

GrantHandle add(Maptrack& m, u16 flags) {
    const auto claim = m.take(mapping(flags));
    REQUIRE(claim);
    Maptrack::give_back(*claim);
    return claim->handle;
}

/// Ends claimed kinds as a caller does. True when the handle was freed.
bool end(Maptrack& m, const Maptrack::Claim& claim) {
    const bool last = Maptrack::finish(claim);
    if (last) m.put(claim);
    return last;
}

} // namespace

TEST_CASE("handles are distinct up to the limit, and come back", "[grant]") {
    const i64 before = test::live_bytes;
    {
        Maptrack m(test::memory, 2);
        std::set<u32> handles;
        Maptrack::Claim some;
        while (auto claim = m.take(mapping(host))) {
            handles.insert(claim->handle.raw());
            if (claim->handle.raw() == 5) some = *claim;
        }
        CHECK(handles.size() == 2 * Maptrack::per_frame);
        CHECK(m.take(mapping(host)).error() == Errno::ENOSPC);
        CHECK(end(m, some));
        CHECK(m.take(mapping(host))->handle.raw() == 5);
    }
    CHECK(test::live_bytes == before);
}

TEST_CASE("a mapping that is being made can't be claimed", "[grant]") {
    Maptrack m(test::memory, 2);
    const auto made = m.take(mapping(host | device | GNTMAP_readonly));
    REQUIRE(made);
    CHECK(made->kinds == (host | device));
    CHECK(m.claim(made->handle, host | device).mapping == nullptr);
    Maptrack::give_back(*made);
    const auto claim = m.claim(made->handle, host | device);
    REQUIRE(claim.mapping);
    CHECK(claim.kinds == (host | device));
    CHECK(claim.mapping->frame == 77);
}

TEST_CASE("a mapping is claimed once for each kind", "[grant]") {
    Maptrack m(test::memory, 2);
    const GrantHandle h = add(m, host | device | GNTMAP_readonly);
    const auto first = m.claim(h, host);
    REQUIRE(first.mapping);
    CHECK(first.kinds == host);
    CHECK(first.mapping->ref == GrantRef(9));
    CHECK((first.mapping->flags & GNTMAP_readonly) != 0);
    CHECK(m.claim(h, host).mapping != nullptr);
    CHECK(m.claim(h, host).kinds == 0);
    CHECK_FALSE(end(m, first));
    const auto second = m.claim(h, host | device); // the device mapping is still there
    REQUIRE(second.mapping);
    CHECK(second.kinds == device);
    CHECK(m.claim(h, host).mapping == nullptr); // nobody else can have it meanwhile
    CHECK(end(m, second));
    CHECK(m.claim(h, device).mapping == nullptr);
}

TEST_CASE("what can't be unmapped keeps its handle", "[grant]") {
    Maptrack m(test::memory, 2);
    const GrantHandle h = add(m, host);
    Maptrack::give_back(m.claim(h, host));
    const auto claim = m.claim(h, host);
    CHECK(claim.kinds == host);
    CHECK(end(m, claim));
    CHECK(m.take(mapping(host))->handle == h);
}

TEST_CASE("two vCPUs that undo one kind each free the handle once", "[grant]") {
    Maptrack m(test::memory, 2);
    const GrantHandle h = add(m, host | device);
    const auto one = m.claim(h, host), two = m.claim(h, device);
    REQUIRE((one.kinds == host && two.kinds == device));
    CHECK_FALSE(end(m, two));
    CHECK(end(m, one));
    CHECK(m.take(mapping(host))->handle == h);
    CHECK(m.take(mapping(host))->handle != h);
}

TEST_CASE("a kind that could not be undone keeps the handle of the other", "[grant]") {
    Maptrack m(test::memory, 2);
    const GrantHandle h = add(m, host | device);
    const auto one = m.claim(h, host), two = m.claim(h, device);
    Maptrack::give_back(one);
    CHECK_FALSE(end(m, two));
    CHECK(m.claim(h, host | device).kinds == host);
}

TEST_CASE("handles nobody gave out are refused", "[grant]") {
    Maptrack m(test::memory, 2);
    CHECK(m.claim(GrantHandle(0), host).mapping == nullptr);
    const GrantHandle h = add(m, host);
    CHECK(m.claim(h, 0).kinds == 0);
    CHECK(m.claim(GrantHandle(h.raw() + 1), host).mapping == nullptr);
    CHECK(m.claim(GrantHandle(~0u), host).mapping == nullptr);
}

TEST_CASE("maptrack: memory running out is an error", "[grant]") {
    Maptrack m(test::memory, 2);
    test::OutOfMemoryAfter one(1);
    CHECK(m.take(mapping(host)).error() == Errno::ENOSPC);
}
