// SPDX-License-Identifier: GPL-2.0-only
#include "store_world.hpp"

using namespace streak;
using namespace streak::store;

namespace {

std::string apply_all(World& w, const std::string& changes, std::uint32_t transaction = 0) {
    return w.ask(*w.control, XS_CONTROL, "apply\0"s + changes, transaction);
}

} // namespace

TEST_CASE("apply makes many changes at once", "[store]") {
    World w;
    CHECK(w.ask(*w.control, XS_WATCH, "/n\0t\0"s) == yes);
    w.events(*w.control);
    CHECK(apply_all(w, "w/n/a\0"
                       "1\0"
                       "p/n\0n0 r1\0"
                       "w/n/b\0"
                       "2\0"
                       "r/n/a\0"
                       "w/n/empty\0\0"s) == yes);
    CHECK(w.ask(*w.control, XS_DIRECTORY, "/n\0"s) == "b\0empty\0"s);
    CHECK(w.ask(*w.control, XS_READ, "/n/empty\0"s).empty());
    CHECK(w.ask(*w.control, XS_GET_PERMS, "/n/b\0"s) == "n0\0r1\0"s); // inherited from what stood before it
    CHECK(w.events(*w.control) == std::vector{"/n/a t"s, "/n t"s, "/n/b t"s, "/n/empty t"s});
    CHECK(apply_all(w, "") == yes);
}

TEST_CASE("apply makes all changes or none", "[store]") {
    World w;
    CHECK(w.ask(*w.control, XS_WATCH, "/n\0t\0"s) == yes);
    w.events(*w.control);
    const std::pair<std::string, std::string> cases[] = {
        {"r/"s + '\0', "EINVAL\0"s},     {"p/absent/x\0n0\0"s, "ENOENT\0"s}, {"p/n\0q0\0"s, "EINVAL\0"s},
        {"p/n\0n0  r1\0"s, "EINVAL\0"s}, {"p/n\0\0"s, "EINVAL\0"s},          {"w//\0x\0"s, "EINVAL\0"s},
        {"w/n/b\0"s, "EINVAL\0"s},       {"x/n/b\0"s + "1\0"s, "EINVAL\0"s}, {"\0"s, "EINVAL\0"s},
        {"w@x\0y\0"s, "EINVAL\0"s},      {"w/n/b\0unfinished"s, "EINVAL\0"s}};
    for (const auto& [change, error] : cases) {
        CHECK(apply_all(w, "w/n/a\0"
                           "1\0"s +
                               change) == error);
        CHECK(w.ask(*w.control, XS_READ, "/n\0"s) == "ENOENT\0"s);
    }
    CHECK(w.events(*w.control).empty());
    CHECK(w.ask(*w.one, XS_CONTROL, "apply\0wdata/x\0001\0"s) == "EACCES\0"s);
}

TEST_CASE("apply is part of a transaction", "[store]") {
    World w;
    const auto id = w.begin(*w.control);
    CHECK(apply_all(w, "w/n/a\0001\0"s, id) == yes);
    CHECK(apply_all(w, "w/n/b\0001\0r/\0"s, id) == "EINVAL\0"s); // leaves the transaction as it was
    CHECK(w.ask(*w.control, XS_DIRECTORY, "/n\0"s, id) == "a\0"s);
    CHECK(w.ask(*w.control, XS_READ, "/n/a\0"s) == "ENOENT\0"s);
    CHECK(w.end(*w.control, id) == yes);
    CHECK(w.ask(*w.control, XS_DIRECTORY, "/n\0"s) == "a\0"s);
}

TEST_CASE("tools see quotas and counts", "[store]") {
    World w;
    CHECK(w.ask(*w.one, XS_WATCH, "data\0a\0"s) == yes);
    CHECK(w.ask(*w.one, XS_WRITE, "data/x\0"s + std::string(3000, 'v')) == "ENOSPC\0"s);
    w.begin(*w.one);
    const std::string stats = w.ask(*w.control, XS_CONTROL, "stats\0"s);
    for (const char* line :
         {"watches 1\n", "transactions 1\n", "sessions 3\n", "requests watch 1\n", "requests write 3\n",
          "refusals node-size 1\n", "domain 1 nodes 2 watches 1 transactions 1 output 0\n",
          "domain 2 nodes 2 watches 0 transactions 0 output 0\n"}) {
        INFO(line);
        CHECK(stats.contains(line));
    }
    CHECK(w.ask(*w.control, XS_CONTROL,
                "stats\0"
                "2\0"s) == "domain 2 nodes 2 watches 0 transactions 0 output 0\n\0"s);
    CHECK(w.ask(*w.control, XS_CONTROL, "quota\0"s).contains("nodes 1000\n"));
    CHECK(w.ask(*w.control, XS_CONTROL, "help\0"s).contains("apply"));
    CHECK(w.ask(*w.control, XS_CONTROL, "") == "EINVAL\0"s);
    CHECK(w.ask(*w.control, XS_CONTROL, "stats\0x\0"s) == "EINVAL\0"s);
    CHECK(w.ask(*w.two, XS_CONTROL, "stats\0"s) == "EACCES\0"s);
}

TEST_CASE("what a dead domain had goes", "[store]") {
    World w;
    CHECK(w.ask(*w.one, XS_WRITE, "data/x\0001"s) == yes);
    CHECK(w.ask(*w.one, XS_WRITE, "data/y\0001"s) == yes);
    CHECK(w.ask(*w.control, XS_WRITE, "/backend/1\0state"s) == yes);
    CHECK(w.ask(*w.control, XS_SET_PERMS, "/backend/1\0n0\0r1\0r2\0"s) == yes);
    CHECK(w.ask(*w.control, XS_WATCH, "/local/domain/1/data\0t\0"s) == yes);
    w.events(*w.control);
    w.service.close(1);
    w.service.bury(DomId(1));
    CHECK(w.service.has_to_sweep());
    // A new domain of the same name, before the sweep: what it is given stays.
    CHECK(w.ask(*w.control, XS_WRITE, "/new\0x"s) == yes);
    CHECK(w.ask(*w.control, XS_SET_PERMS, "/new\0n0\0r1\0"s) == yes);
    w.service.sweep();
    CHECK_FALSE(w.service.has_to_sweep());
    CHECK(w.ask(*w.control, XS_READ, "/local/domain/1\0"s) == "ENOENT\0"s);
    CHECK(w.ask(*w.control, XS_GET_PERMS, "/backend/1\0"s) == "n0\0r2\0"s);
    CHECK(w.ask(*w.control, XS_GET_PERMS, "/new\0"s) == "n0\0r1\0"s);
    CHECK(w.service.tree().owned_by(DomId(1)) == 0);
    CHECK(w.ask(*w.two, XS_READ, "/local/domain/2/data\0"s).empty());
    CHECK(w.events(*w.control) == std::vector{"/local/domain/1/data t"s});
}

TEST_CASE("who may know of domains that come and go", "[store]") {
    World w;
    CHECK(w.ask(*w.control, XS_GET_PERMS, "@releaseDomain\0"s) == "n0\0"s);
    CHECK(w.ask(*w.one, XS_GET_PERMS, "@releaseDomain\0"s) == "EACCES\0"s);
    CHECK(w.ask(*w.one, XS_SET_PERMS, "@releaseDomain\0n1\0"s) == "EACCES\0"s);
    CHECK(w.ask(*w.one, XS_WATCH, "@releaseDomain\0t\0"s) == yes);
    w.events(*w.one);
    w.service.announce("@releaseDomain");
    CHECK(w.events(*w.one).empty());
    CHECK(w.ask(*w.control, XS_SET_PERMS, "@releaseDomain\0n0\0r1\0"s) == yes);
    w.service.announce("@releaseDomain");
    CHECK(w.events(*w.one) == std::vector{"@releaseDomain t"s});
}

TEST_CASE("a transaction's size and a client's unread output are limited", "[store]") {
    World w;
    SECTION("transaction") {
        const auto id = w.begin(*w.one);
        std::size_t made = 0;
        while (made < 5000 && w.ask(*w.one, XS_WRITE, "data/x\0"s + std::string(1000, 'x'), id) == yes) ++made;
        CHECK(made < 300);
        CHECK(w.refusals.back().quota == "transaction-size");
        CHECK(w.ask(*w.one, XS_READ, "data\0"s, id) == "ENOSPC\0"s);
        CHECK(w.end(*w.one, id) == yes);
    }
    SECTION("what is made and removed again counts") {
        const auto id = w.begin(*w.one);
        std::string deep = "data";
        for (int i = 0; i < 200; ++i) deep += "/d";
        std::size_t turns = 0;
        while (turns < 100 && w.ask(*w.one, XS_WRITE, deep + "\0v"s, id) == yes &&
               w.ask(*w.one, XS_RM, "data/d\0"s, id) == yes)
            ++turns;
        CHECK(turns < 10);
        CHECK(w.refusals.back().quota == "transaction-size");
        CHECK(w.end(*w.one, id, false) == yes);
    }
    SECTION("what snapshots of transactions keep counts, for all of them together") {
        std::vector<std::uint32_t> open;
        std::size_t written = 0, kept = 0;
        const auto write = [&](unsigned node, std::uint32_t in = 0) {
            const std::string content(1900, static_cast<char>('a' + open.size()));
            const bool good = w.ask(*w.one, XS_WRITE, "data/" + std::to_string(node) + '\0' + content, in) == yes;
            written += content.size();
            if (good && !open.empty()) kept += content.size();
            return good;
        };
        for (unsigned node = 0; node < 900; ++node) CHECK(write(node)); // nobody looks at what was before
        while (open.size() < Quota{}.transactions) {
            open.push_back(w.begin(*w.one));
            for (unsigned node = 0; node < 900; ++node) (void)write(node, node % 2 ? open.back() : 0);
        }
        CHECK(written > 16u << 20);
        CHECK(kept <= Quota{}.transaction_bytes);
        CHECK(w.refusals.back().quota == "transaction-size");
        CHECK(w.refusals.back().domain == 1);
        CHECK(w.refusals.back().value > Quota{}.transaction_bytes);
        CHECK(w.ask(*w.one, XS_READ, "data/0\0"s).size() == 1900); // reading keeps nothing
        CHECK(w.ask(*w.two, XS_WRITE, "data/x\0001"s) == yes);
        for (const auto id : open) CHECK(w.end(*w.one, id, false) == yes);
        CHECK(write(0));
        CHECK(w.end(*w.one, w.begin(*w.one)) == yes);
    }
    SECTION("what is looked at counts") {
        const auto id = w.begin(*w.one);
        std::size_t looks = 0;
        while (looks < 50000 && w.ask(*w.one, XS_READ, "data/absent" + std::to_string(looks) + '\0', id) == "ENOENT\0"s)
            ++looks;
        CHECK(looks < 10000);
    }
    SECTION("output") {
        CHECK(w.ask(*w.one, XS_WATCH, "data\0t\0"s) == yes);
        for (unsigned i = 0; i < 2000; ++i)
            CHECK(w.ask(*w.control, XS_WRITE,
                        "/local/domain/1/data/" + std::string(2000, 'x') + std::to_string(i) + '\0') == yes);
        CHECK(w.one->output.bytes() <= Quota{}.output_bytes);
        CHECK(w.refusals.back().quota == "output");
        CHECK(w.refusals.back().domain == 1);
    }
}
