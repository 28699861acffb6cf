// SPDX-License-Identifier: GPL-2.0-only
#pragma once

#include <compare>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "base/error.hpp"
#include "base/fd.hpp"
#include "loader/bytes.hpp"

namespace streak::builder {

/// What tells that a file is still the one that was looked at: every write, and every change of owner or mode, moves
/// ctime, which no program can set.
struct FileIdentity {
    std::uint64_t device = 0, inode = 0, bytes = 0;
    std::int64_t mtime_ns = 0, ctime_ns = 0;

    [[nodiscard]] std::string text() const;
    auto operator<=>(const FileIdentity&) const = default;
};

struct KernelFile {
    base::Fd fd;
    FileIdentity identity;
    /// The identity stands for the content: only root (or who runs this) can write the file, and its last change is
    /// so long ago that another one would have another time.
    bool stable = false;
};

/// File systems count time in ticks of up to 10 ms (FAT: 2 s): a change within the tick of the last one leaves no mark.
inline constexpr std::int64_t longest_tick_ns = 3'000'000'000;

/// Opens a kernel. Errors: not_found, refused, invalid (a directory, empty, absurdly large).
[[nodiscard]] base::Outcome<KernelFile> open_kernel(const std::filesystem::path& file,
                                                    std::int64_t tick_ns = longest_tick_ns);

/// The identity of an open file, all zero when it can't be told.
[[nodiscard]] FileIdentity identity_of(int fd);

/// Fills `into` from a file called `name`. Errors: as read(2); conflict when it got shorter.
[[nodiscard]] base::Outcome<> read_exactly(int fd, std::span<std::byte> into, std::uint64_t offset,
                                           std::string_view name);

/// Pages of memory that are given back as a whole, zeroed at first.
class PageBuffer {
public:
    PageBuffer() = default;
    /// `shared`: between this process and those it forks. Errors: resources.
    [[nodiscard]] static base::Outcome<PageBuffer> make(std::size_t bytes, bool shared, std::string_view kernel);
    PageBuffer(PageBuffer&& other) noexcept : memory_(std::exchange(other.memory_, {})) {}
    PageBuffer& operator=(PageBuffer&& other) noexcept {
        std::swap(memory_, other.memory_);
        return *this;
    }
    ~PageBuffer();
    [[nodiscard]] std::span<std::byte> bytes() const { return memory_; }

private:
    std::span<std::byte> memory_;
};

/// A run of bytes of a file that are not all zero.
struct Run {
    std::uint64_t offset = 0, bytes = 0;
    bool operator==(const Run&) const = default;
};

/// The runs of `data`, in blocks of a page.
[[nodiscard]] std::vector<Run> nonzero_runs(loader::Bytes data);

/// The content of a file; holes in it cost nothing. Errors: as read(2); conflict when it got shorter meanwhile.
[[nodiscard]] base::Outcome<PageBuffer> read_whole(int fd, std::uint64_t bytes, std::string_view name);

/// As read_whole(), but of an ELF file with note segments only what tells what it is: headers and notes. The rest reads as
/// zeros and takes no memory.
[[nodiscard]] base::Outcome<PageBuffer> read_headers(int fd, std::uint64_t bytes, std::string_view name);

} // namespace streak::builder
