// SPDX-License-Identifier: GPL-2.0-only
#include "store/journal.hpp"

#include "store/wire.hpp"

#include <algorithm>
#include <cstring>

namespace streak::store {

namespace {

/// Gives zeros and empty strings once the bytes are used up, and says so.
class Reader {
public:
    explicit Reader(std::string_view bytes) : rest_(bytes) {}
    [[nodiscard]] bool done() const { return rest_.empty(); }
    [[nodiscard]] bool good() const { return good_; }

    template <class Number> [[nodiscard]] Number number() {
        Number n{};
        if (const auto bytes = take(sizeof n); !bytes.empty()) std::memcpy(&n, bytes.data(), sizeof n);
        return n;
    }
    [[nodiscard]] std::string_view string() { return take(number<std::uint32_t>()); }
    [[nodiscard]] std::uint16_t domain() { return number<std::uint16_t>(); }

private:
    [[nodiscard]] std::string_view take(std::size_t n) {
        good_ = good_ && n <= rest_.size();
        if (!good_) return {};
        const auto bytes = rest_.substr(0, n);
        rest_.remove_prefix(n);
        return bytes;
    }

    std::string_view rest_;
    bool good_ = true;
};

/// Puts a node and, as its maker did, those above it that are missing.
void put(Tree& tree, std::string_view path, std::string_view value, const Permissions& permissions) {
    for (auto end = path.find('/', 1); end != path.npos; end = path.find('/', end + 1))
        if (!tree.find(path.substr(0, end))) tree.put(path.substr(0, end), "", permissions);
    tree.put(path, std::string(value), permissions);
}

[[nodiscard]] bool replay_node(Kind kind, Reader& in, SavedState& state) {
    const std::string path(in.string());
    const bool good = kind == Kind::special ? is_special(path) : absolute_path(path, DomId(0)) == path;
    if (!good) return false;
    if (kind == Kind::removal) {
        state.tree.remove(path);
        return true;
    }
    const auto value = in.string();
    const auto words = split_strings(in.string());
    const auto permissions = words ? Permissions::parse(*words) : fail(Errno::EINVAL);
    if (!permissions) return false;
    if (kind == Kind::special) state.special[path] = std::make_shared<Node>(Node{"", *permissions, {}, 0, 0});
    else put(state.tree, path, value, *permissions);
    return true;
}

[[nodiscard]] bool replay_watch(Kind kind, Reader& in, SavedState& state) {
    const SessionId session = in.domain();
    const std::string path(in.string()), token(in.string());
    const bool relative = in.number<std::uint8_t>() != 0;
    if (kind == Kind::watch) return state.watches.add(path, {session, token, relative}).has_value();
    return state.watches.remove(path, session, token).has_value();
}

[[nodiscard]] bool replay_introduced(Reader& in, SavedState& state) {
    const auto [place, fresh] = state.domains.try_emplace(in.domain());
    SavedDomain& d = place->second;
    d.frame = in.number<std::uint64_t>();
    d.port = EvtchnPort(in.number<std::uint32_t>());
    const auto request_at = in.number<std::uint32_t>(), response_at = in.number<std::uint32_t>();
    if (fresh) d.request_at = request_at, d.response_at = response_at;
    return true;
}

/// What concerns the connection of a domain that is known.
[[nodiscard]] bool replay_domain(Kind kind, Reader& in, SavedState& state) {
    const auto found = state.domains.find(in.domain());
    if (found == state.domains.end()) return false;
    SavedDomain& d = found->second;
    switch (kind) {
    case Kind::released:
        state.watches.remove_all(found->first);
        state.domains.erase(found);
        return true;
    case Kind::transaction_start: return d.transactions.insert(in.number<std::uint32_t>()).second;
    case Kind::transaction_end: return d.transactions.erase(in.number<std::uint32_t>()) == 1;
    case Kind::output: d.output.emplace_back(in.string()); return true;
    case Kind::target: d.target = DomId(in.domain()); return true;
    case Kind::shut_down: d.shut_down = in.number<std::uint8_t>() != 0; return true;
    case Kind::taken:
        d.request_at = in.number<std::uint32_t>();
        d.input += in.string();
        return true;
    case Kind::handled:
        d.request_at = in.number<std::uint32_t>();
        d.input.clear();
        return true;
    case Kind::stopped: d.stopped = true; return true;
    case Kind::restarted:
        d.request_at = d.response_at = 0;
        d.input.clear();
        d.output.clear();
        d.stopped = false;
        return true;
    default: return false;
    }
}

[[nodiscard]] bool replay_record(Reader& in, SavedState& state) {
    const auto kind = in.number<Kind>();
    switch (kind) {
    case Kind::node:
    case Kind::removal:
    case Kind::special: return replay_node(kind, in, state);
    case Kind::watch:
    case Kind::unwatch: return replay_watch(kind, in, state);
    case Kind::introduced: return replay_introduced(in, state);
    case Kind::grave: state.graves.insert(in.domain()); return true;
    case Kind::swept: state.graves.clear(); return true;
    default: return replay_domain(kind, in, state);
    }
}

} // namespace

void Records::changed(const Change& change) {
    if (change.removed) return add(Kind::removal, change.path);
    const Kind kind = is_special(change.path) ? Kind::special : Kind::node;
    add(kind, change.path, change.node->value, change.node->permissions.to_wire());
}

void Records::all_of(const SavedState& state) {
    state.tree.for_each([&](const std::string& path, const Node& node) {
        changed({path, std::shared_ptr<const Node>(std::shared_ptr<void>(), &node), false});
    });
    for (const auto& [name, node] : state.special) changed({name, node, false});
    for (const auto& [id, d] : state.domains) {
        const DomId domain(id);
        introduced(domain, d);
        if (d.target != invalid_domid) targets(domain, d.target);
        if (d.shut_down) shut_down(domain, true);
        if (d.stopped) stopped(domain);
        if (!d.input.empty()) took(domain, d.request_at, d.input);
        for (const std::string& message : d.output) sends(id, message);
        for (const std::uint32_t t : d.transactions) transaction(id, t, true);
    }
    state.watches.for_each([&](const std::string& path, const Watch& watch) {
        if (watch.session < first_socket_session) watching(path, watch, true);
    });
    for (const std::uint16_t id : state.graves) died(DomId(id));
}

std::uint32_t check_sum(std::string_view records) {
    std::uint32_t sum = 0x811c9dc5; // FNV-1a
    for (const char c : records) sum = (sum ^ static_cast<unsigned char>(c)) * 0x01000193;
    return sum;
}

std::string frame(std::string_view records) {
    const std::uint32_t header[2] = {static_cast<std::uint32_t>(records.size()), check_sum(records)};
    std::string bytes(reinterpret_cast<const char*>(header), sizeof header);
    bytes.append(records).resize(frame_bytes(records.size()));
    return bytes;
}

Replayed replay(std::string_view log, SavedState& state) {
    Replayed r;
    while (log.size() - r.bytes >= frame_header_bytes) {
        std::uint32_t header[2];
        std::memcpy(header, log.data() + r.bytes, sizeof header);
        if (header[0] == 0) return r;
        if (header[0] > log.size() - r.bytes - sizeof header) break;
        const auto records = log.substr(r.bytes + sizeof header, header[0]);
        if (check_sum(records) != header[1]) break;
        Reader in(records);
        while (!in.done())
            if (!replay_record(in, state) || !in.good()) return {.bytes = r.bytes, .corrupt = true};
        r.bytes = std::min(log.size(), r.bytes + frame_bytes(records.size()));
    }
    r.corrupt = log.substr(r.bytes).find_first_not_of('\0') != log.npos;
    return r;
}

} // namespace streak::store
