// SPDX-License-Identifier: GPL-2.0-only
#include "store_world.hpp"

using namespace streak;
using namespace streak::store;

TEST_CASE("nodes are written, read, listed and removed", "[store]") {
    World w;
    CHECK(w.ask(*w.control, XS_WRITE, "/a/b/c\0some value"s) == yes);
    CHECK(w.ask(*w.control, XS_READ, "/a/b/c\0"s) == "some value");
    CHECK(w.ask(*w.control, XS_READ, "/a/b\0"s).empty());
    CHECK(w.ask(*w.control, XS_WRITE, "/a/x\0"s) == yes);
    CHECK(w.ask(*w.control, XS_DIRECTORY, "/a\0"s) == "b\0x\0"s);
    CHECK(w.ask(*w.control, XS_MKDIR, "/a/b\0"s) == yes); // it exists
    CHECK(w.ask(*w.control, XS_READ, "/a/b/c\0"s) == "some value");
    CHECK(w.ask(*w.control, XS_RM, "/a/b\0"s) == yes);
    CHECK(w.ask(*w.control, XS_READ, "/a/b/c\0"s) == "ENOENT\0"s);
    CHECK(w.ask(*w.control, XS_RM, "/a/b\0"s) == yes); // as good as removed
    CHECK(w.ask(*w.control, XS_RM, "/a/b/c\0"s) == "ENOENT\0"s);
    CHECK(w.ask(*w.control, XS_RM, "/\0"s) == "EINVAL\0"s);
    CHECK(w.ask(*w.control, XS_GET_DOMAIN_PATH, "7\0"s) == "/local/domain/7\0"s);
}

TEST_CASE("requests that make no sense are refused", "[store]") {
    World w;
    for (const std::string& path : {"/a//b"s, "/a/"s, "a b"s, ""s, "/ä"s, "/" + std::string(3100, 'x'), "//"s, "@x"s})
        CHECK(w.ask(*w.control, XS_READ, path + '\0') == "EINVAL\0"s);
    CHECK(w.ask(*w.control, XS_READ, "/a") == "EINVAL\0"s); // no NUL
    CHECK(w.ask(*w.control, XS_READ, "/a\0/b\0"s) == "EINVAL\0"s);
    CHECK(w.ask(*w.control, XS_WRITE, "/a") == "EINVAL\0"s);
    CHECK(w.ask(*w.control, XS_SET_PERMS, "/local\0"s) == "EINVAL\0"s);
    CHECK(w.ask(*w.control, XS_SET_PERMS, "/local\0q0\0"s) == "EINVAL\0"s);
    CHECK(w.ask(*w.control, XS_SET_PERMS, "/local\0r99999\0"s) == "EINVAL\0"s);
    CHECK(w.ask(*w.control, XS_INTRODUCE, "7\0x\0003\0"s) == "EINVAL\0"s);
    CHECK(w.ask(*w.control, 20, "1\0"s) == "ENOSYS\0"s);
    CHECK(w.ask(*w.control, 4711, "") == "ENOSYS\0"s);
    CHECK(w.ask(*w.control, XS_READ, "/local\0"s, 99) == "ENOENT\0"s); // no such transaction
    CHECK(w.ask(*w.control, XS_TRANSACTION_END, "T\0"s) == "ENOENT\0"s);
    CHECK(w.ask(*w.control, XS_CONTROL, "dance\0"s) == "EINVAL\0"s);
}

TEST_CASE("a guest has its home and nothing else", "[store]") {
    World w;
    CHECK(w.ask(*w.one, XS_WRITE, "data/x\0001"s) == yes);
    CHECK(w.ask(*w.one, XS_READ, "/local/domain/1/data/x\0"s) == "1");
    CHECK(w.ask(*w.one, XS_GET_PERMS, "data/x\0"s) == "n1\0"s);
    CHECK(w.ask(*w.two, XS_READ, "/local/domain/1/data/x\0"s) == "EACCES\0"s);
    CHECK(w.ask(*w.two, XS_READ, "/local/domain/1/data/absent\0"s) == "EACCES\0"s); // nor whether it is there
    CHECK(w.ask(*w.two, XS_WRITE, "/local/domain/1/data/x\0002"s) == "EACCES\0"s);
    CHECK(w.ask(*w.two, XS_RM, "/local/domain/1/data\0"s) == "EACCES\0"s);
    CHECK(w.ask(*w.one, XS_WRITE, "/mine\0"s) == "EACCES\0"s);
    CHECK(w.ask(*w.one, XS_READ, "data/absent\0"s) == "ENOENT\0"s);
    CHECK(w.ask(*w.one, XS_SET_PERMS, "data/x\0n1\0r2\0"s) == yes);
    CHECK(w.ask(*w.two, XS_READ, "/local/domain/1/data/x\0"s) == "1");
    CHECK(w.ask(*w.two, XS_WRITE, "/local/domain/1/data/x\0002"s) == "EACCES\0"s);
    CHECK(w.ask(*w.one, XS_SET_PERMS, "data/x\0n2\0"s) == "EPERM\0"s); // it can't be given away
    CHECK(w.ask(*w.two, XS_SET_PERMS, "/local/domain/1/data/x\0n1\0b2\0"s) == "EACCES\0"s);
    for (const std::uint32_t type : {XS_INTRODUCE, XS_RELEASE, XS_RESUME, XS_SET_TARGET, XS_CONTROL})
        CHECK(w.ask(*w.one, type,
                    type == XS_INTRODUCE    ? "5\0001\0002\0"s
                    : type == XS_SET_TARGET ? "5\0006\0"s
                                            : "5\0"s) == "EACCES\0"s);
}

TEST_CASE("events tell what changed to those who may know", "[store]") {
    World w;
    CHECK(w.ask(*w.one, XS_WATCH, "data\0tok\0"s) == yes);
    CHECK(w.events(*w.one) == std::vector{"data tok"s}); // at once
    CHECK(w.ask(*w.one, XS_WATCH, "data\0tok\0"s) == "EEXIST\0"s);
    CHECK(w.ask(*w.control, XS_WATCH, "/local/domain/1\0c\0"s) == yes);
    CHECK(w.ask(*w.two, XS_WATCH, "/local/domain/1/data\0spy\0"s) == yes);
    w.events(*w.two);
    w.events(*w.control);
    CHECK(w.ask(*w.one, XS_WRITE, "data/x/y\0001"s) == yes);
    CHECK(w.events(*w.one) == std::vector{"data/x/y tok"s});
    CHECK(w.events(*w.control) == std::vector{"/local/domain/1/data/x/y c"s});
    CHECK(w.events(*w.two).empty());
    CHECK(w.ask(*w.one, XS_READ, "data/x\0"s).empty());
    CHECK(w.ask(*w.control, XS_WRITE, "/local/domain/1/data/x/y\0001"s) == yes);
    CHECK(w.ask(*w.control, XS_WRITE, "/local/domain/1/data/x/y\0002"s) == yes);
    CHECK(w.events(*w.one) == std::vector{"data/x/y tok"s}); // one that waits says it all
    CHECK(w.ask(*w.one, XS_UNWATCH, "data\0other\0"s) == "ENOENT\0"s);
    CHECK(w.ask(*w.one, XS_UNWATCH, "data\0tok\0"s) == yes);
    CHECK(w.ask(*w.one, XS_WRITE, "data/x/y\0003"s) == yes);
    CHECK(w.events(*w.one).empty());
}

TEST_CASE("a removal reaches those who watch what is below", "[store]") {
    World w;
    CHECK(w.ask(*w.control, XS_WRITE, "/d/x/y\0001"s) == yes);
    for (const char* path : {"/d", "/d/x", "/d/x/y", "/d/x/other", "/dx"})
        CHECK(w.ask(*w.control, XS_WATCH, path + "\0t\0"s) == yes);
    w.events(*w.control);
    CHECK(w.ask(*w.control, XS_RM, "/d/x\0"s) == yes);
    CHECK(w.events(*w.control) == std::vector{"/d/x t"s, "/d/x/y t"s});
}

TEST_CASE("transactions are all or nothing", "[store]") {
    World w;
    CHECK(w.ask(*w.control, XS_WATCH, "/t\0t\0"s) == yes);
    w.events(*w.control);
    auto id = w.begin(*w.control);
    CHECK(w.ask(*w.control, XS_WRITE, "/t/a\0001"s, id) == yes);
    CHECK(w.ask(*w.control, XS_READ, "/t/a\0"s, id) == "1");
    CHECK(w.ask(*w.control, XS_READ, "/t/a\0"s) == "ENOENT\0"s);
    CHECK(w.events(*w.control).empty());
    CHECK(w.end(*w.control, id, false) == yes);
    CHECK(w.ask(*w.control, XS_READ, "/t/a\0"s) == "ENOENT\0"s);
    CHECK(w.end(*w.control, id) == "ENOENT\0"s);
    id = w.begin(*w.control);
    CHECK(w.ask(*w.control, XS_WRITE, "/t/a\0001"s, id) == yes);
    CHECK(w.ask(*w.control, XS_TRANSACTION_START, "\0"s, id) == "EBUSY\0"s);
    CHECK(w.end(*w.control, id) == yes);
    CHECK(w.events(*w.control) == std::vector{"/t/a t"s});
    CHECK(w.ask(*w.control, XS_READ, "/t/a\0"s) == "1");
}

TEST_CASE("a transaction conflicts with what it read, and only with that", "[store]") {
    World w;
    CHECK(w.ask(*w.control, XS_WRITE, "/t/seen\0001"s) == yes);
    SECTION("a value") {
        const auto id = w.begin(*w.control);
        CHECK(w.ask(*w.control, XS_READ, "/t/seen\0"s, id) == "1");
        CHECK(w.ask(*w.control, XS_WRITE, "/t/new\0001"s, id) == yes);
        CHECK(w.ask(*w.control, XS_WRITE, "/t/seen\0002"s) == yes);
        CHECK(w.end(*w.control, id) == "EAGAIN\0"s);
        CHECK(w.ask(*w.control, XS_READ, "/t/new\0"s) == "ENOENT\0"s);
    }
    SECTION("that something is absent") {
        const auto id = w.begin(*w.control);
        CHECK(w.ask(*w.control, XS_READ, "/t/absent\0"s, id) == "ENOENT\0"s);
        CHECK(w.ask(*w.control, XS_WRITE, "/t/absent\0002"s) == yes);
        CHECK(w.end(*w.control, id) == "EAGAIN\0"s);
    }
    SECTION("a list") {
        const auto id = w.begin(*w.control);
        CHECK(w.ask(*w.control, XS_DIRECTORY, "/t\0"s, id) == "seen\0"s);
        CHECK(w.ask(*w.control, XS_WRITE, "/t/other\0002"s) == yes);
        CHECK(w.end(*w.control, id) == "EAGAIN\0"s);
    }
    SECTION("not with a neighbour of what it wrote") {
        const auto id = w.begin(*w.control);
        CHECK(w.ask(*w.control, XS_WRITE, "/t/mine\0001"s, id) == yes);
        CHECK(w.ask(*w.control, XS_READ, "/t/seen\0"s, id) == "1");
        CHECK(w.ask(*w.control, XS_WRITE, "/t/theirs\0002"s) == yes);
        CHECK(w.end(*w.control, id) == yes);
        CHECK(w.ask(*w.control, XS_DIRECTORY, "/t\0"s) == "mine\0seen\0theirs\0"s);
    }
    SECTION("when its place is gone") {
        const auto id = w.begin(*w.control);
        CHECK(w.ask(*w.one, XS_WRITE, "data/a\0"s) == yes);
        const auto guest = w.begin(*w.one);
        CHECK(w.ask(*w.one, XS_WRITE, "data/a/b\0001"s, guest) == yes);
        CHECK(w.ask(*w.control, XS_RM, "/local/domain/1\0"s) == yes);
        CHECK(w.end(*w.one, guest) == "EAGAIN\0"s);
        CHECK(w.end(*w.control, id, false) == yes);
    }
}

TEST_CASE("quotas hold guests, and each refusal is told", "[store]") {
    World w;
    SECTION("nodes") {
        std::size_t made = 0;
        while (made < 5000 && w.ask(*w.one, XS_WRITE, "data/" + std::to_string(made) + "\0"s) == yes) ++made;
        CHECK(made == Quota{}.nodes - 2); // its home and data are its own
        REQUIRE(w.refusals.size() == 1);
        CHECK(w.refusals[0].domain == 1);
        CHECK(w.refusals[0].quota == "nodes");
        CHECK(w.refusals[0].value == Quota{}.nodes + 1);
        CHECK(w.ask(*w.one, XS_RM, "data/0\0"s) == yes);
        CHECK(w.ask(*w.one, XS_WRITE, "data/again\0"s) == yes);
        CHECK(w.ask(*w.two, XS_WRITE, "data/x\0"s) == yes); // not another one's affair
    }
    SECTION("a node's size") {
        CHECK(w.ask(*w.one, XS_WRITE, "data/x\0"s + std::string(3000, 'v')) == "ENOSPC\0"s);
        CHECK(w.ask(*w.control, XS_WRITE, "/x\0"s + std::string(3000, 'v')) == yes);
    }
    SECTION("watches") {
        std::size_t made = 0;
        while (made < 5000 && w.ask(*w.one, XS_WATCH, "data\0"s + std::to_string(made) + "\0"s) == yes) ++made;
        CHECK(made == Quota{}.watches);
        CHECK(w.ask(*w.one, XS_RESET_WATCHES, "\0"s) == yes);
        CHECK(w.ask(*w.one, XS_WATCH, "data\0a\0"s) == yes);
    }
    SECTION("transactions") {
        std::size_t made = 0;
        while (made < 50 && w.ask(*w.one, XS_TRANSACTION_START, "\0"s) != "ENOSPC\0"s) ++made;
        CHECK(made == Quota{}.transactions);
    }
    SECTION("permissions") { CHECK(w.ask(*w.one, XS_SET_PERMS, "data\0n1\0r2\0r3\0r4\0r5\0r6\0"s) == "ENOSPC\0"s); }
}

TEST_CASE("long lists come in parts", "[store]") {
    World w;
    std::string all;
    for (unsigned i = 1000; i < 2000; ++i) {
        const std::string name = "some-long-name-" + std::to_string(i);
        CHECK(w.ask(*w.control, XS_WRITE, "/l/" + name + "\0"s) == yes);
        all += name + '\0';
    }
    CHECK(w.ask(*w.control, XS_DIRECTORY, "/l\0"s) == "E2BIG\0"s);
    std::string got, generation;
    for (unsigned part = 0; part < 100; ++part) {
        const std::string reply = w.ask(*w.control, XS_DIRECTORY_PART, "/l\0"s + std::to_string(got.size()) + "\0"s);
        REQUIRE(reply.size() <= XENSTORE_PAYLOAD_MAX);
        const auto end = reply.find('\0');
        if (part != 0) CHECK(reply.substr(0, end) == generation);
        generation = reply.substr(0, end);
        got += reply.substr(end + 1);
        if (got.ends_with("\0\0"s)) break;
    }
    CHECK(got == all + '\0');
    CHECK(w.ask(*w.control, XS_DIRECTORY_PART, "/l\00099999999\0"s).ends_with("\0\0"s));
}

TEST_CASE("domains come and go", "[store]") {
    World w;
    CHECK(w.ask(*w.control, XS_WATCH, "@introduceDomain\0in\0"s) == yes);
    CHECK(w.ask(*w.control, XS_WATCH, "@releaseDomain\0out\0"s) == yes);
    CHECK(w.ask(*w.one, XS_WATCH, "@introduceDomain\0in\0"s) == yes);
    w.events(*w.control);
    w.events(*w.one);
    CHECK(w.ask(*w.control, XS_IS_DOMAIN_INTRODUCED, "7\0"s) == "F\0"s);
    CHECK(w.ask(*w.control, XS_INTRODUCE, "7\0001\0002\0"s) == yes);
    CHECK(w.ask(*w.control, XS_INTRODUCE, "700\0001\0002\0"s) == "ENOENT\0"s);
    CHECK(w.events(*w.control) == std::vector{"@introduceDomain in"s});
    CHECK(w.events(*w.one).empty());
    CHECK(w.ask(*w.control, XS_IS_DOMAIN_INTRODUCED, "7\0"s) == "T\0"s);
    CHECK(w.ask(*w.control, XS_RELEASE, "7\0"s) == yes);
    CHECK(w.events(*w.control) == std::vector{"@releaseDomain out"s});
    CHECK(w.ask(*w.control, XS_RELEASE, "7\0"s) == "ENOENT\0"s);
}

TEST_CASE("a domain that serves another has that one's rights", "[store]") {
    World w;
    Session& helper = w.service.open_domain({.id = DomId(3), .target = DomId(1)});
    CHECK(w.ask(*w.one, XS_WRITE, "data/x\0001"s) == yes);
    CHECK(w.ask(helper, XS_READ, "/local/domain/1/data/x\0"s) == "1");
    CHECK(w.ask(helper, XS_READ, "/local/domain/2/data\0"s) == "EACCES\0"s);
}

TEST_CASE("a closed session leaves nothing", "[store]") {
    World w;
    CHECK(w.ask(*w.one, XS_WATCH, "data\0a\0"s) == yes);
    w.begin(*w.one);
    w.service.close(1);
    CHECK(w.service.watches().count(1) == 0);
    CHECK(w.ask(*w.control, XS_WRITE, "/local/domain/1/data/x\0"s) == yes);
    CHECK(w.service.session(1) == nullptr);
}
