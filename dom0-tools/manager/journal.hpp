// SPDX-License-Identifier: GPL-2.0-only
#pragma once

#include "manager/threads.hpp"

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "base/error.hpp"
#include "base/fd.hpp"
#include "base/uuid.hpp"

// What streakd is doing right now, on paper: a line before an operation's first step, another after its last. A streakd
// that finds a first line without its last ends or undoes that operation (recovery.cpp). Domains are found again by
// their handle, which the hypervisor stores in the call that makes them, so that no step lies between deed and record.

namespace streak::manager {

/// One operation.
struct Task {
    enum class Kind : std::uint8_t { start, destroy, restart, rename, attach, detach };
    Kind kind = Kind::start;
    base::Uuid uuid{};
    std::uint16_t domain = 0; ///< the id it has, where there is one
    bool paused = false;      ///< start: do not unpause
    std::string text{};       ///< rename: the new name; attach, detach: the device, "vbd 51712"
    bool operator==(const Task&) const = default;
};

class Journal {
public:
    /// Reads what an earlier process left.
    [[nodiscard]] static base::Outcome<std::unique_ptr<Journal>> open(const std::filesystem::path& file);

    struct Pending {
        std::uint64_t number = 0;
        Task task;
    };
    /// Tasks of an earlier process that neither ended nor were undone, oldest first.
    [[nodiscard]] const std::vector<Pending>& pending() const { return pending_; }

    /// The task's last line is written when this ends.
    using Entry = std::shared_ptr<void>;
    [[nodiscard]] base::Outcome<Entry> begin(const Task& task);
    /// A task of an earlier process has been dealt with.
    void end(std::uint64_t number);

private:
    explicit Journal(base::Fd file) : file_(std::move(file)) {}
    void read(const std::string& content);

    std::mutex mutex_;
    base::Fd file_;
    std::uint64_t last_ = 0;
    std::size_t open_ = 0;
    std::vector<Pending> pending_;
};

} // namespace streak::manager
