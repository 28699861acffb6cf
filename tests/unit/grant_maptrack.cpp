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

GrantHandle add(Maptrack& m, u16 flags) {
    const GrantHandle h = *m.take();
    m.set(h, {.granter = DomId(3), .flags = flags, .ref = GrantRef(9), .frame = 77, .generation = 1});
    return h;
}

} // namespace

TEST_CASE("handles are distinct up to the limit, and come back", "[grant]") {
    const i64 before = test::live_bytes;
    {
        Maptrack m(test::memory, 2);
        std::set<u32> handles;
        while (auto h = m.take()) handles.insert(h->raw());
        CHECK(handles.size() == 2 * Maptrack::per_frame);
        CHECK(m.take().error() == Errno::ENOSPC);
        m.put(GrantHandle(5));
        CHECK(m.take()->raw() == 5);
    }
    CHECK(test::live_bytes == before);
}

TEST_CASE("a mapping is claimed once for each kind", "[grant]") {
    Maptrack m(test::memory, 2);
    const GrantHandle h = add(m, host | device | GNTMAP_readonly);
    CHECK(m.look_up(h)->frame == 77);
    const auto first = m.claim(h, host);
    REQUIRE(first);
    CHECK(first->ref == GrantRef(9));
    CHECK((first->flags & GNTMAP_readonly) != 0);
    CHECK(m.claim(h, host).error() == Errno::EINVAL);
    CHECK(m.claim(h, host | device).error() == Errno::EINVAL);
    CHECK_FALSE(m.finish(h, host));
    CHECK(m.look_up(h)); // the device mapping is still there
    REQUIRE(m.claim(h, device));
    CHECK(m.finish(h, device));
    CHECK(m.look_up(h).error() == Errno::ENOENT);
    CHECK(m.claim(h, device).error() == Errno::EINVAL);
}

TEST_CASE("what can't be unmapped keeps its handle", "[grant]") {
    Maptrack m(test::memory, 2);
    const GrantHandle h = add(m, host);
    REQUIRE(m.claim(h, host));
    CHECK(m.look_up(h).error() == Errno::ENOENT); // nobody else can have it meanwhile
    m.give_back(h, host);
    CHECK(m.look_up(h)->flags == host);
    REQUIRE(m.claim(h, host));
    CHECK(m.finish(h, host));
    CHECK(m.take()->raw() == h.raw());
}

TEST_CASE("two vCPUs that undo one kind each free the handle once", "[grant]") {
    Maptrack m(test::memory, 2);
    const GrantHandle h = add(m, host | device);
    REQUIRE(m.claim(h, host));
    REQUIRE(m.claim(h, device));
    CHECK_FALSE(m.finish(h, device));
    CHECK(m.finish(h, host));
    CHECK(m.take()->raw() == h.raw());
    CHECK(m.take()->raw() != h.raw());
}

TEST_CASE("a kind that could not be undone keeps the handle of the other", "[grant]") {
    Maptrack m(test::memory, 2);
    const GrantHandle h = add(m, host | device);
    REQUIRE(m.claim(h, host));
    REQUIRE(m.claim(h, device));
    m.give_back(h, host);
    CHECK_FALSE(m.finish(h, device));
    CHECK(m.look_up(h)->flags == host);
}

TEST_CASE("handles nobody gave out are refused", "[grant]") {
    Maptrack m(test::memory, 2);
    CHECK(m.claim(GrantHandle(0), host).error() == Errno::EINVAL);
    const GrantHandle h = add(m, host);
    CHECK(m.claim(h, 0).error() == Errno::EINVAL);
    CHECK(m.claim(GrantHandle(h.raw() + 1), host).error() == Errno::EINVAL);
    CHECK(m.claim(GrantHandle(~0u), host).error() == Errno::EINVAL);
    CHECK(m.look_up(GrantHandle(~0u)).error() == Errno::ENOENT);
    const GrantHandle empty = *m.take();
    CHECK(m.claim(empty, host).error() == Errno::EINVAL);
}

TEST_CASE("maptrack: memory running out is an error", "[grant]") {
    Maptrack m(test::memory, 2);
    test::OutOfMemoryAfter one(1);
    CHECK(m.take().error() == Errno::ENOSPC);
}
