// SPDX-License-Identifier: GPL-2.0-only
#include "store_world.hpp"

#include <random>

#include "store/journal.hpp"

using namespace streak;
using namespace streak::store;

namespace {

std::string text_of(const Tree& tree) {
    std::string text;
    tree.for_each([&](const std::string& path, const Node& node) {
        text += path + " = " + node.value + " " + node.permissions.to_wire() + "\n";
    });
    return text;
}

std::string text_of(const Watches& watches) {
    std::string text;
    watches.for_each([&](const std::string& path, const Watch& watch) {
        if (watch.session < first_socket_session)
            text += "watch " + path + " " + std::to_string(watch.session) + " " + watch.token +
                    (watch.relative ? " relative\n" : "\n");
    });
    return text;
}

std::string text_of(const SavedState& s) {
    std::string text = text_of(s.tree) + text_of(s.watches);
    for (const auto& [name, node] : s.special) text += name + " " + node->permissions.to_wire() + "\n";
    for (const auto& [id, d] : s.domains) {
        text += "domain " + std::to_string(id) + " " + std::to_string(d.frame) + " " + std::to_string(d.port.raw()) +
                " " + std::to_string(d.target.raw()) + " " + std::to_string(d.shut_down) + std::to_string(d.stopped) +
                " " + std::to_string(d.request_at) + " " + std::to_string(d.response_at) + " input " + d.input + "\n";
        for (const std::string& message : d.output) text += "output " + message + "\n";
        for (const std::uint32_t t : d.transactions) text += "transaction " + std::to_string(t) + "\n";
    }
    for (const std::uint16_t id : s.graves) text += "grave " + std::to_string(id) + "\n";
    return text;
}

/// A store whose commits are recorded, and the state behind each.
struct Recorded : World {
    Recorded() {
        state.domains[1] = {.frame = 7, .port = EvtchnPort(3), .request_at = 100, .response_at = 200};
        state.domains[2] = {.frame = 8, .port = EvtchnPort(4)};
        one->output.delivered(one->output.bytes());
        service.set_recorder(&records);
        refresh();
        records.all_of(state);
        commit();
    }
    void commit() {
        if (records.empty()) return;
        log += frame(records.bytes());
        records.clear();
        ends.push_back(log.size());
        refresh();
        texts.push_back(text_of(state));
    }
    void refresh() {
        state.tree = service.tree();
        state.watches = service.watches();
        state.special = service.special();
        state.graves = service.buried();
        for (auto& [id, d] : state.domains) {
            d.transactions.clear();
            for (const auto& [t, _] : service.session(id)->transactions) d.transactions.insert(t);
        }
    }
    void request(Session& s, std::uint32_t type, const std::string& payload, std::uint32_t transaction = 0) {
        service.handle(s, {type, 1, transaction, payload});
        if (s.of_domain()) {
            SavedDomain& d = state.domains.at(static_cast<std::uint16_t>(s.id));
            d.request_at += static_cast<std::uint32_t>(sizeof(xsd_sockmsg) + payload.size());
            records.handled(s.caller.id, d.request_at);
        }
        for (auto& [id, d] : state.domains) {
            d.output.clear();
            Output& output = service.session(id)->output;
            for (std::size_t i = 0; i < output.messages(); ++i) d.output.emplace_back(output.message(i));
        }
        commit();
    }

    Records records;
    SavedState state;
    std::string log;
    std::vector<std::size_t> ends;
    std::vector<std::string> texts; ///< the state behind each commit
};

void random_requests(Recorded& r, unsigned seed, unsigned count) {
    std::mt19937 random(seed);
    const auto path = [&] {
        return "/local/domain/" + std::to_string(random() % 3) + "/data/" + std::to_string(random() % 3) + '\0';
    };
    while (count-- != 0) {
        Session& s = random() % 3 == 0 ? *r.control : random() % 2 ? *r.one : *r.two;
        std::uint32_t t = 0;
        if (!s.transactions.empty() && random() % 2) t = s.transactions.begin()->first;
        switch (random() % 9) {
        case 0: r.request(s, XS_MKDIR, path(), t); break;
        case 1: r.request(s, XS_RM, path(), t); break;
        case 2: r.request(s, XS_WATCH, path() + "token" + std::to_string(random() % 2) + '\0'); break;
        case 3: r.request(s, XS_UNWATCH, path() + "token" + std::to_string(random() % 2) + '\0'); break;
        case 4: r.request(s, XS_TRANSACTION_START, "\0"s); break;
        case 5: r.request(s, XS_TRANSACTION_END, random() % 2 ? "T\0"s : "F\0"s, t); break;
        case 6: r.request(s, XS_SET_PERMS, path() + "n" + std::to_string(s.caller.id.raw()) + "\0r2\0"s, t); break;
        case 7: r.request(s, XS_READ, path(), t); break;
        default: r.request(s, XS_WRITE, path() + std::to_string(random() % 1000), t);
        }
    }
}

} // namespace

TEST_CASE("a log that is cut at any byte gives a state between two commits", "[store]") {
    for (unsigned seed = 1; seed <= 4; ++seed) {
        Recorded r;
        random_requests(r, seed, 60);
        std::size_t commit = 0;
        for (std::size_t cut = r.ends[0]; cut <= r.log.size(); ++cut) {
            SavedState state;
            const Replayed replayed = replay(std::string_view(r.log).substr(0, cut), state);
            while (commit + 1 < r.ends.size() && cut >= r.ends[commit + 1]) ++commit;
            // A frame counts once its records are whole; up to three bytes that fill it up may be missing.
            const bool filled = replayed.bytes > r.ends[commit] || replayed.bytes == cut;
            if (text_of(state) != r.texts[commit] && !(filled && text_of(state) == r.texts[commit + 1])) FAIL(cut);
        }
        SavedState state;
        CHECK(replay(r.log + std::string(100, '\0'), state).bytes == r.log.size());
        CHECK(text_of(state) == r.texts.back());
        Records again;
        again.all_of(state);
        SavedState copy;
        CHECK_FALSE(replay(frame(again.bytes()), copy).corrupt);
        CHECK(text_of(copy) == r.texts.back());
    }
}

TEST_CASE("a log that is damaged at any byte is used up to there", "[store]") {
    Recorded r;
    random_requests(r, 99, 40);
    for (std::size_t at = 0; at < r.log.size(); ++at) {
        std::string damaged = r.log;
        damaged[at] = static_cast<char>(damaged[at] ^ 0x41);
        SavedState state;
        const Replayed replayed = replay(damaged, state);
        const auto commit = std::upper_bound(r.ends.begin(), r.ends.end(), at) - r.ends.begin();
        const bool filling = replayed.bytes == r.log.size(); // the byte has no meaning
        CHECK((replayed.corrupt || filling));
        if (commit == 0) continue;
        CHECK(text_of(state) == (filling ? r.texts.back() : r.texts[static_cast<std::size_t>(commit) - 1]));
    }
}

TEST_CASE("records about connections are replayed", "[store]") {
    Records records;
    SavedState state;
    records.introduced(DomId(5), {.frame = 1, .port = EvtchnPort(2), .request_at = 10, .response_at = 20});
    records.introduced(DomId(6), {.frame = 3, .port = EvtchnPort(4)});
    records.targets(DomId(5), DomId(6));
    records.shut_down(DomId(5), true);
    records.took(DomId(5), 14, "half");
    records.took(DomId(5), 18, "more");
    records.introduced(DomId(5), {.frame = 9, .port = EvtchnPort(8)});
    records.stopped(DomId(6));
    records.died(DomId(7));
    REQUIRE_FALSE(replay(frame(records.bytes()), state).corrupt);
    SavedDomain& five = state.domains.at(5);
    CHECK((five.frame == 9 && five.port == EvtchnPort(8) && five.request_at == 18 && five.response_at == 20));
    CHECK((five.target == DomId(6) && five.shut_down && five.input == "halfmore"));
    CHECK(state.domains.at(6).stopped);
    CHECK(state.graves.contains(7));
    records.clear();
    records.handled(DomId(5), 30);
    records.restarted(DomId(6));
    records.swept();
    REQUIRE_FALSE(replay(frame(records.bytes()), state).corrupt);
    CHECK((five.input.empty() && five.request_at == 30 && !state.domains.at(6).stopped && state.graves.empty()));
    records.clear();
    records.released(DomId(5));
    REQUIRE_FALSE(replay(frame(records.bytes()), state).corrupt);
    CHECK_FALSE(state.domains.contains(5));
    CHECK(replay(frame(records.bytes()), state).corrupt); // of one that is not known
    CHECK(replay(frame("\xff"), state).corrupt);
}
