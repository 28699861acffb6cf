// SPDX-License-Identifier: GPL-2.0-only
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>

#include "base/error.hpp"
#include "base/fd.hpp"
#include "console/byte_queue.hpp"

namespace streak::console {

/// A pseudo terminal whose other end people and tools open. While nobody has, the last bytes of output are kept for who
/// comes; who reads too slowly misses the oldest ones. Never waits.
class Terminal {
public:
    static constexpr std::size_t kept_bytes = 8192;

    [[nodiscard]] static base::Outcome<Terminal> open();

    [[nodiscard]] const std::string& path() const { return path_; }
    [[nodiscard]] int fd() const { return master_.get(); }
    /// At the last look() somebody had the other end open, or there was still something that he typed.
    [[nodiscard]] bool attached() const { return attached_; }
    /// Output waits for the reader.
    [[nodiscard]] bool pending() const { return open_ && !queue_.empty(); }

    /// Looks at the other end. True: attached() changed.
    bool look();
    /// Shows output, now or later.
    void put(std::string_view bytes);
    /// Passes on what waits, as far as the reader has room.
    void flush();
    /// What was typed: at most `room` bytes.
    [[nodiscard]] std::string_view read(std::span<char> room);
    /// Bytes that a reader missed, since the last call.
    [[nodiscard]] std::uint64_t take_missed() { return std::exchange(missed_, 0); }

private:
    Terminal(base::Fd master, std::string path) : master_(std::move(master)), path_(std::move(path)) {}
    void reset();

    base::Fd master_;
    std::string path_;
    bool open_ = false, attached_ = false;
    ByteQueue queue_{kept_bytes};
    std::uint64_t missed_ = 0;
};

} // namespace streak::console
