// SPDX-License-Identifier: GPL-2.0-only
#pragma once

#include <map>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "store/watches.hpp"

// What a daemon needs to go on where the last one was killed, as bytes (docs/store.md). Pure.
//
// The log is a sequence of frames: length, check sum, records. A frame is one commit: the length is written last, and
// is zero before. Whatever is missing at the end, what is replayed is a state between two commits.

namespace streak::store {

/// A domain's connection.
struct SavedDomain {
    std::uint64_t frame = 0;
    EvtchnPort port{};
    DomId target = invalid_domid;
    bool shut_down = false;
    bool stopped = false;          ///< it broke the protocol and is not served any more
    std::uint32_t request_at = 0;  ///< requests' bytes up to here were taken
    std::uint32_t response_at = 0; ///< the ring's index where `output` begins
    std::string input{};           ///< the beginning of a request that was taken from the ring
    std::vector<std::string> output{};
    std::set<std::uint32_t> transactions{};
};

struct SavedState {
    Tree tree{};
    std::map<std::string, NodeRef, std::less<>> special{};
    Watches watches{}; ///< of domains
    std::map<std::uint16_t, SavedDomain> domains{};
    std::set<std::uint16_t> graves{};
};

/// What a record tells of; its fields follow.
enum class Kind : std::uint8_t {
    node = 1,
    removal,
    special,
    watch,
    unwatch,
    transaction_start,
    transaction_end,
    output,
    grave,
    swept,
    introduced,
    released,
    target,
    shut_down,
    taken,
    handled,
    stopped,
    restarted
};

/// Collects the records of a commit. Of sessions it is told about those of domains only: the others end with the daemon.
class Records {
public:
    void changed(const Change& change);
    void watching(std::string_view path, const Watch& watch, bool added) {
        add(added ? Kind::watch : Kind::unwatch, domain_of(watch.session), path, watch.token, watch.relative);
    }
    void transaction(SessionId session, std::uint32_t id, bool open) {
        add(open ? Kind::transaction_start : Kind::transaction_end, domain_of(session), id);
    }
    void sends(SessionId session, std::string_view message) { add(Kind::output, domain_of(session), message); }
    /// A domain is gone, what it had in the store not yet.
    void died(DomId domain) { add(Kind::grave, domain); }
    void swept() { add(Kind::swept); }

    /// A new one, or a new ring of one that is known, at the same positions.
    void introduced(DomId domain, const SavedDomain& as) {
        add(Kind::introduced, domain, as.frame, as.port.raw(), as.request_at, as.response_at);
    }
    void released(DomId domain) { add(Kind::released, domain); }
    void targets(DomId domain, DomId target) { add(Kind::target, domain, target); }
    void shut_down(DomId domain, bool is) { add(Kind::shut_down, domain, is); }
    /// More bytes of a request, up to `request_at`.
    void took(DomId domain, std::uint32_t request_at, std::string_view bytes) {
        add(Kind::taken, domain, request_at, bytes);
    }
    /// The request that ends at `request_at` was handled.
    void handled(DomId domain, std::uint32_t request_at) { add(Kind::handled, domain, request_at); }
    void stopped(DomId domain) { add(Kind::stopped, domain); }
    /// The ring is empty and its indexes are zero.
    void restarted(DomId domain) { add(Kind::restarted, domain); }
    /// All of a state.
    void all_of(const SavedState& state);

    [[nodiscard]] bool empty() const { return bytes_.empty(); }
    [[nodiscard]] std::string_view bytes() const { return bytes_; }
    void clear() { bytes_.clear(); }

private:
    [[nodiscard]] static DomId domain_of(SessionId session) { return DomId(static_cast<std::uint16_t>(session)); }
    void add(Kind kind, const auto&... fields) {
        put(kind);
        (put(fields), ...);
    }
    void put(const auto& number) { bytes_.append(reinterpret_cast<const char*>(&number), sizeof number); }
    void put(DomId id) { put(id.raw()); }
    void put(std::string_view bytes) {
        put(static_cast<std::uint32_t>(bytes.size()));
        bytes_ += bytes;
    }
    void put(const std::string& bytes) { put(std::string_view(bytes)); }

    std::string bytes_;
};

inline constexpr std::size_t frame_header_bytes = 8;
/// Of a frame with so many bytes of records; frames are aligned, so that their lengths are written at once.
[[nodiscard]] constexpr std::size_t frame_bytes(std::size_t records) {
    return frame_header_bytes + (records + 3) / 4 * 4;
}

/// The second word of a frame.
[[nodiscard]] std::uint32_t check_sum(std::string_view records);
/// A frame with its header.
[[nodiscard]] std::string frame(std::string_view records);

struct Replayed {
    std::size_t bytes = 0; ///< of whole frames
    bool corrupt = false;  ///< what follows is neither a frame nor the end of the log
};
/// Adds what a log says to a state.
[[nodiscard]] Replayed replay(std::string_view log, SavedState& state);

} // namespace streak::store
