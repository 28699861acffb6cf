// SPDX-License-Identifier: GPL-2.0-only
#include <catch2/catch_test_macros.hpp>

#include <map>
#include <random>
#include <string>
#include <vector>

#include "store/transaction.hpp"
#include "store/wire.hpp"

using namespace streak;
using namespace streak::store;
using namespace std::string_literals;

TEST_CASE("a persistent map is a map, and its copies are snapshots", "[store]") {
    std::mt19937 random(4711);
    PersistentMap<std::string, int> map;
    std::map<std::string, int> model;
    std::vector<std::pair<PersistentMap<std::string, int>, std::map<std::string, int>>> snapshots;
    for (int i = 0; i < 4000; ++i) {
        const std::string key = std::to_string(random() % 300);
        if (random() % 3 == 0) {
            map.erase(key);
            model.erase(key);
        } else {
            map.set(key, i);
            model[key] = i;
        }
        if (i % 400 == 0) snapshots.emplace_back(map, model);
    }
    snapshots.emplace_back(map, model);
    for (const auto& [copy, expected] : snapshots) {
        std::map<std::string, int> seen;
        std::string last;
        copy.for_each([&](const std::string& key, int value) {
            CHECK((last.empty() || last < key));
            last = key;
            seen[key] = value;
        });
        CHECK(seen == expected);
        CHECK(copy.size() == expected.size());
    }
    CHECK(map.find("no such key") == nullptr);
}

namespace {

/// Paths and values as a plain map, and who owns what.
using Model = std::map<std::string, std::string>;

Model contents(const Tree& tree) {
    Model m;
    std::map<std::uint16_t, std::size_t> owned;
    tree.for_each([&](const std::string& path, const Node& node) {
        m[path] = node.value;
        ++owned[node.permissions.owner().raw()];
    });
    CHECK(tree.size() == m.size());
    for (const auto& [owner, count] : owned) CHECK(tree.owned_by(DomId(owner)) == count);
    return m;
}

void apply_to(Model& m, const Operation& op) {
    if (op.kind == Operation::Kind::remove) {
        std::erase_if(m, [&](const auto& entry) { return (entry.first + "/").starts_with(op.path + "/"); });
        return;
    }
    for (std::string_view above = parent_of(op.path); above != "/"; above = parent_of(above))
        m.try_emplace(std::string(above), "");
    if (op.kind == Operation::Kind::write) m[op.path] = op.value;
    else m.try_emplace(op.path, "");
}

} // namespace

TEST_CASE("random operations: the tree is what a plain map says, transactions included", "[store]") {
    std::mt19937 random(815);
    const Caller control{.id = DomId(0), .privileged = true}, guest{.id = DomId(5)};
    const Environment environment;
    Tree tree;
    Model model = contents(tree);
    std::vector<Change> changes;
    REQUIRE(store::apply(tree, control, environment, {Operation::Kind::write, "/g", ""}, changes));
    REQUIRE(store::apply(tree, control, environment,
                         {Operation::Kind::set_permissions, "/g", "", Permissions(DomId(5))}, changes));
    model["/g"] = "";

    struct Open {
        Transaction transaction;
        Model before, after;
        std::vector<Operation> log;
        std::map<std::string, std::string> reads; ///< path: what was found, "-" when absent
    };
    std::vector<Open> open;
    unsigned commits = 0, conflicts = 0;
    const auto some_path = [&] {
        std::string path = "/g";
        for (unsigned depth = random() % 3; depth-- != 0;) path += "/" + std::to_string(random() % 3);
        return path;
    };
    const auto value_in = [](const Model& m, const std::string& path) {
        const auto found = m.find(path);
        return found == m.end() ? "-"s : "v" + found->second;
    };
    for (int i = 0; i < 6000; ++i) {
        const auto kinds = {Operation::Kind::write, Operation::Kind::write, Operation::Kind::make,
                            Operation::Kind::remove};
        Operation op{*(kinds.begin() + random() % 4), some_path() + "/x", ""};
        if (op.kind == Operation::Kind::write) op.value = std::to_string(i);
        const Caller& who = random() % 2 ? control : guest;
        switch (random() % 5) {
        case 0:
            if (open.size() < 4) open.push_back({Transaction(tree), model, model, {}, {}});
            break;
        case 1:
            if (!open.empty()) {
                Open& t = open[random() % open.size()];
                if (t.transaction.apply(who, environment, op)) {
                    apply_to(t.after, op);
                    t.log.push_back(op);
                }
                const std::string path = some_path() + (random() % 2 ? "/x" : "");
                (void)read_node(t.transaction.tree(), who, path, &t.transaction.reads());
                t.reads.try_emplace(path, value_in(t.before, path));
                CHECK(contents(t.transaction.tree()) == t.after);
            }
            break;
        case 2:
            if (!open.empty()) {
                const std::size_t which = random() % open.size();
                Open t = std::move(open[which]);
                open.erase(open.begin() + static_cast<std::ptrdiff_t>(which));
                const auto done = t.transaction.commit(tree, control, environment, changes);
                bool same = true;
                for (const auto& [path, value] : t.reads) same = same && value_in(model, path) == value;
                if (done) {
                    CHECK(same); // nothing that was read has changed
                    for (const Operation& logged : t.log) apply_to(model, logged);
                    ++commits;
                } else {
                    CHECK(done.error() == Errno::EAGAIN);
                    ++conflicts;
                }
            }
            break;
        default:
            if (store::apply(tree, who, environment, op, changes)) apply_to(model, op);
        }
        if (i % 50 == 0) CHECK(contents(tree) == model);
    }
    CHECK(contents(tree) == model);
    CHECK(commits > 100);
    CHECK(conflicts > 100);
}

TEST_CASE("messages are found in whatever pieces they come", "[store]") {
    const Message a{XS_READ, 1, 2, "/path\0"s}, b{XS_DIRECTORY, 3, 0, ""}, c{XS_WRITE, 4, 0, std::string(4096, 'x')};
    const std::string stream = a.encode() + b.encode() + c.encode();
    for (const std::size_t piece : {1uz, 2uz, 3uz, 7uz, 16uz, 17uz, 100uz, stream.size()}) {
        MessageReader reader;
        std::vector<Message> found;
        for (std::size_t at = 0; at < stream.size(); at += piece) {
            reader.feed(std::string_view(stream).substr(at, piece));
            while (auto message = *reader.next()) found.push_back(*message);
        }
        REQUIRE(found.size() == 3);
        CHECK(found[0].payload == a.payload);
        CHECK(found[0].transaction == 2);
        CHECK(found[1].type == XS_DIRECTORY);
        CHECK(found[2].payload == c.payload);
        CHECK(reader.rest().empty());
    }
    MessageReader reader;
    Message long_one = c;
    long_one.payload += 'x';
    reader.feed(long_one.encode());
    CHECK(reader.next().error() == Errno::EINVAL);
}
