// SPDX-License-Identifier: GPL-2.0-only
#pragma once

#include <catch2/catch_test_macros.hpp>

#include <map>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "store/service.hpp"

// A store without rings and sockets, for tests.

namespace streak::store {

using namespace std::string_literals;

struct FakeDomains : Domains {
    Result<> introduce(DomId domain, std::uint64_t, EvtchnPort) override {
        if (domain.raw() > 100) return fail(Errno::ENOENT);
        known.insert(domain.raw());
        return {};
    }
    Result<> release(DomId domain) override { return known.erase(domain.raw()) ? Result<>{} : fail(Errno::ENOENT); }
    bool introduced(DomId domain) const override { return known.contains(domain.raw()); }
    Result<> resume(DomId domain) override { return introduced(domain) ? Result<>{} : fail(Errno::ENOENT); }
    Result<> set_target(DomId domain, DomId) override { return introduced(domain) ? Result<>{} : fail(Errno::ENOENT); }
    std::set<std::uint16_t> known;
};

/// A store with the control domain, and guests 1 and 2 that have homes.
struct World {
    struct Refusal {
        std::uint16_t domain;
        std::string quota;
        std::size_t value;
    };

    World() {
        for (const auto* guest : {&one, &two}) {
            const auto id = std::to_string((*guest)->caller.id.raw());
            REQUIRE(ask(*control, XS_WRITE, "/local/domain/" + id + "/name\0guest"s) == "OK\0"s);
            REQUIRE(ask(*control, XS_SET_PERMS, "/local/domain/" + id + "\0n"s + id + "\0"s) == "OK\0"s);
            REQUIRE(ask(*control, XS_MKDIR, "/local/domain/" + id + "/data\0"s) == "OK\0"s);
            REQUIRE(ask(*control, XS_SET_PERMS, "/local/domain/" + id + "/data\0n"s + id + "\0"s) == "OK\0"s);
        }
    }

    std::string ask(Session& s, std::uint32_t type, const std::string& payload, std::uint32_t transaction = 0) {
        service.handle(s, {type, 7, transaction, payload});
        std::optional<std::string> reply;
        for (const Message& m : fetch(s)) {
            if (m.type == XS_WATCH_EVENT) {
                const auto strings = *split_strings(m.payload);
                waiting[s.id].push_back(std::string(strings.at(0)) + " " + std::string(strings.at(1)));
                continue;
            }
            REQUIRE(!reply);
            CHECK(m.request == 7);
            CHECK(m.transaction == transaction);
            CHECK((m.type == type || m.type == XS_ERROR));
            reply = m.payload;
        }
        REQUIRE(reply);
        return *reply;
    }
    static std::vector<Message> fetch(Session& s) {
        MessageReader reader;
        std::vector<Message> messages;
        for (std::size_t i = 0; i < s.output.messages(); ++i) reader.feed(s.output.message(i));
        s.output.delivered(s.output.bytes());
        while (auto m = *reader.next()) messages.push_back(*m);
        CHECK(reader.rest().empty());
        return messages;
    }
    /// `path token`, in order; they are gone then.
    std::vector<std::string> events(Session& s) {
        for (const Message& m : fetch(s)) {
            REQUIRE(m.type == XS_WATCH_EVENT);
            const auto strings = *split_strings(m.payload);
            waiting[s.id].push_back(std::string(strings.at(0)) + " " + std::string(strings.at(1)));
        }
        return std::exchange(waiting[s.id], {});
    }
    std::uint32_t begin(Session& s) {
        return static_cast<std::uint32_t>(std::stoul(ask(s, XS_TRANSACTION_START, "\0"s)));
    }
    std::string end(Session& s, std::uint32_t id, bool commit = true) {
        return ask(s, XS_TRANSACTION_END, commit ? "T\0"s : "F\0"s, id);
    }

    FakeDomains domains;
    std::vector<Refusal> refusals;
    Service service{domains, {.quota = {}, .refused = [this](DomId d, std::string_view quota, std::size_t value) {
                                  refusals.push_back({d.raw(), std::string(quota), value});
                              }}};
    Session* control = &service.open({.id = DomId(0), .privileged = true});
    Session* one = &service.open_domain({.id = DomId(1)});
    Session* two = &service.open_domain({.id = DomId(2)});
    std::map<SessionId, std::vector<std::string>> waiting;
};

inline const std::string yes = "OK\0"s;

} // namespace streak::store
