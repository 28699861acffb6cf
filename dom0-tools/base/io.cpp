// SPDX-License-Identifier: GPL-2.0-only
#include "base/io.hpp"

#include <filesystem>

#include <unistd.h>

namespace streak::base {

namespace {

/// Calls `some(done)`, which does a part from there on, until all is done or there is no more to do.
template <class F> std::optional<std::size_t> repeat(std::size_t bytes, F&& some) {
    std::size_t done = 0;
    while (done < bytes) {
        const ssize_t part = some(done);
        if (part < 0 && errno == interrupted) continue;
        if (part < 0) return std::nullopt;
        if (part == 0) break;
        done += static_cast<std::size_t>(part);
    }
    return done;
}

} // namespace

Outcome<> make_directory(const std::string& path) {
    std::error_code code;
    std::filesystem::create_directories(path, code);
    if (code) return errno_error("can't make the directory " + path, code.value());
    return {};
}

bool write_all(int fd, std::string_view bytes) {
    return repeat(bytes.size(), [&](std::size_t at) { return ::write(fd, bytes.data() + at, bytes.size() - at); }) ==
           bytes.size();
}

bool write_all_at(int fd, std::span<const std::byte> bytes, std::uint64_t offset) {
    return repeat(bytes.size(), [&](std::size_t at) {
               return ::pwrite(fd, bytes.data() + at, bytes.size() - at, static_cast<off_t>(offset + at));
           }) == bytes.size();
}

std::optional<std::size_t> read_all_at(int fd, std::span<std::byte> into, std::uint64_t offset) {
    return repeat(into.size(), [&](std::size_t at) {
        return ::pread(fd, into.data() + at, into.size() - at, static_cast<off_t>(offset + at));
    });
}

} // namespace streak::base
