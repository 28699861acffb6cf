// SPDX-License-Identifier: GPL-2.0-only
#pragma once

#include <functional>
#include <map>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "store/service.hpp"

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

/// Collects the records of a commit.
class Records : public Recorder {
public:
    void changed(const Change& change) override;
    void watching(SessionId session, std::string_view path, const Watch& watch, bool added) override;
    void transaction(SessionId session, std::uint32_t id, bool open) override;
    void sends(SessionId session, std::string_view message) override;
    void died(DomId domain) override;
    void swept() override;

    /// A new one, or a new ring of one that is known, at the same positions.
    void introduced(DomId domain, const SavedDomain& as);
    void released(DomId domain);
    void targets(DomId domain, DomId target);
    void shut_down(DomId domain, bool is);
    /// More bytes of a request, up to `request_at`.
    void took(DomId domain, std::uint32_t request_at, std::string_view bytes);
    /// The request that ends at `request_at` was handled.
    void handled(DomId domain, std::uint32_t request_at);
    void stopped(DomId domain);
    /// The ring is empty and its indexes are zero.
    void restarted(DomId domain);
    /// All of a state.
    void all_of(const SavedState& state);

    [[nodiscard]] bool empty() const { return bytes_.empty(); }
    [[nodiscard]] std::string_view bytes() const { return bytes_; }
    void clear() { bytes_.clear(); }

private:
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
