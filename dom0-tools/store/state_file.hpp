// SPDX-License-Identifier: GPL-2.0-only
#pragma once

#include "base/error.hpp"
#include "base/fd.hpp"

namespace streak::store {

/// A log of frames (journal.hpp) in a file that is mapped: what is written is safe from the death of the process the
/// moment it is stored, without a system call. (It is not safe from the machine's: the guests aren't either.)
class StateFile {
public:
    explicit StateFile(std::string path) : path_(std::move(path)) {}
    StateFile(const StateFile&) = delete;
    StateFile& operator=(const StateFile&) = delete;
    ~StateFile() { close(); }

    /// The frames that an earlier process left. ENOENT: none. EINVAL: not such a file, or of another version.
    [[nodiscard]] Result<std::string> read() const;
    /// Begins anew with one frame of `records`, at once or not at all. The errors of open(2) and fallocate(2).
    [[nodiscard]] Result<> begin(std::string_view records);
    /// Adds a frame. ENOSPC: it has no room left; begin anew.
    [[nodiscard]] Result<> append(std::string_view records);
    /// So that nobody goes on from a state that isn't kept.
    void remove();

private:
    void close();

    std::string path_;
    base::Fd file_;
    char* memory_ = nullptr;
    std::size_t size_ = 0, used_ = 0;
};

} // namespace streak::store
