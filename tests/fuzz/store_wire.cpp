// SPDX-License-Identifier: GPL-2.0-only

// What a guest and a tool send, in any pieces: requests are answered once each, and what is kept of them is what is so.
//
// Input: pieces of a byte that names the sender, one that says how many bytes follow, and these.

#include <map>
#include <string>

#include "input.hpp"
#include "store/service.hpp"

using namespace streak;
using namespace streak::store;
using namespace std::string_literals;
using fuzz::require;

namespace {

fuzz::Fault lost_record("lost-record");

struct NoDomains : Domains {
    Result<> introduce(DomId domain, std::uint64_t, EvtchnPort) override { return only_two(domain); }
    Result<> release(DomId domain) override { return only_two(domain); }
    bool introduced(DomId domain) const override { return domain.raw() <= 2; }
    Result<> resume(DomId domain) override { return only_two(domain); }
    Result<> set_target(DomId domain, DomId) override { return only_two(domain); }
    static Result<> only_two(DomId domain) { return domain.raw() <= 2 ? Result<>{} : fail(Errno::ENOENT); }
};

/// All nodes with their rights.
std::string text_of(const Tree& tree) {
    std::string text;
    std::size_t nodes = 0;
    tree.for_each([&](const std::string& path, const Node& node) {
        text += path + '\0' + node.value + '\0' + node.permissions.to_wire();
        ++nodes;
    });
    require(nodes == tree.size());
    return text;
}

/// The replies among what a session sends.
std::size_t replies(Session& session) {
    MessageReader reader;
    for (std::size_t i = 0; i < session.output.messages(); ++i) reader.feed(session.output.message(i));
    session.output.delivered(session.output.bytes());
    std::size_t count = 0;
    for (;;) {
        const auto message = reader.next();
        require(message.has_value());
        if (!*message) break;
        count += (*message)->type != XS_WATCH_EVENT;
    }
    require(reader.rest().empty() && session.output.empty());
    return count;
}

void make_homes(Service& service, Session& control) {
    for (const std::string id : {"1", "2"})
        service.handle(
            control,
            {XS_CONTROL, 0, 0, "apply\0w/local/domain/"s + id + "\0\0p/local/domain/"s + id + '\0' + "n" + id + '\0'});
    (void)replies(control);
}

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t bytes) {
    NoDomains domains;
    Service service(domains, {});
    Records records;
    SavedState saved;
    Session* sessions[] = {&service.open({.id = dom0_id, .privileged = true}), &service.open_domain({.id = DomId(1)}),
                           &service.open_domain({.id = DomId(2)})};
    make_homes(service, *sessions[0]);
    service.set_recorder(&records);
    saved.tree = service.tree();
    for (const std::uint16_t id : {1, 2}) saved.domains[id] = {};
    std::string log;
    std::map<Session*, MessageReader> readers;
    for (std::string_view rest(reinterpret_cast<const char*>(data), bytes); rest.size() >= 2;) {
        Session& session = *sessions[static_cast<unsigned char>(rest[0]) % 3];
        const auto piece = rest.substr(2, static_cast<unsigned char>(rest[1]));
        rest.remove_prefix(2 + piece.size());
        MessageReader& reader = readers[&session];
        reader.feed(piece);
        for (;;) {
            const auto message = reader.next();
            if (!message) return 0; // the connection would be closed
            if (!*message) break;
            service.handle(session, **message);
            require(replies(session) == 1);
            if (!records.empty() && !lost_record) log += frame(records.bytes());
            records.clear();
        }
    }
    const Replayed replayed = replay(log, saved);
    require(!replayed.corrupt && replayed.bytes == log.size());
    require(text_of(saved.tree) == text_of(service.tree()));
    return 0;
}
