// SPDX-License-Identifier: GPL-2.0-only
#include "loader/decoders.hpp"

#include "loader/copy.hpp"

namespace streak::loader {

namespace {

class Lz4Decoder {
public:
    Lz4Decoder(Bytes in, std::span<std::byte> out) : in_(in), out_(out) {}

    std::optional<std::size_t> run() {
        while (in_at_ < in_.size()) {
            const auto token = next();
            const auto literals = length(token >> 4);
            if (!literals || !copy_literals(*literals)) return std::nullopt;
            if (in_at_ == in_.size()) // the last sequence is literals only
                return out_at_;
            if (!copy_match(token & 15)) return std::nullopt;
        }
        return std::nullopt; // empty, or ended by a match
    }

private:
    static constexpr std::size_t least_match = 4;

    unsigned next() { return std::to_integer<unsigned>(in_[in_at_++]); }

    /// A nibble, continued in bytes when it is 15. A run of 255s is as long as the input at most.
    std::optional<std::size_t> length(unsigned nibble) {
        std::size_t sum = nibble;
        for (unsigned more = nibble == 15 ? 255 : 0; more == 255; sum += more) {
            if (in_at_ == in_.size()) return std::nullopt;
            more = next();
        }
        return sum;
    }

    bool copy_literals(std::size_t bytes) {
        const std::size_t left = in_.size() - in_at_, room = out_.size() - out_at_;
        if (bytes > left || bytes > room) return false;
        if (std::min(left, room) - bytes >= copy_slack) copy_eights(out_.data() + out_at_, in_.data() + in_at_, bytes);
        else __builtin_memcpy(out_.data() + out_at_, in_.data() + in_at_, bytes);
        in_at_ += bytes;
        out_at_ += bytes;
        return true;
    }

    bool copy_match(unsigned nibble) {
        const auto distance = read_at<std::uint16_t>(in_, in_at_);
        if (!distance || *distance == 0 || *distance > out_at_) return false;
        in_at_ += sizeof *distance;
        const auto more = length(nibble);
        const std::size_t room = out_.size() - out_at_;
        if (!more || *more + least_match > room) return false;
        const std::size_t bytes = *more + least_match;
        streak::loader::copy_match(out_.data() + out_at_, *distance, bytes, room - bytes >= copy_slack);
        out_at_ += bytes;
        return true;
    }

    Bytes in_;
    std::span<std::byte> out_;
    std::size_t in_at_ = 0;
    std::size_t out_at_ = 0;
};

} // namespace

std::optional<std::size_t> decode_lz4_block(Bytes in, std::span<std::byte> out) { return Lz4Decoder(in, out).run(); }

} // namespace streak::loader
