// SPDX-License-Identifier: GPL-2.0-only
#pragma once

#include "manager/threads.hpp"

#include <chrono>
#include <deque>
#include <filesystem>
#include <string>
#include <vector>

#include "base/error.hpp"
#include "base/fd.hpp"
#include "base/uuid.hpp"

namespace streak::manager {

/// What happened, numbered without gaps, the last thousand or so. Kept in a file, so that numbers go on after a restart.
class Events {
public:
    static constexpr std::size_t most_kept = 1024;

    [[nodiscard]] static base::Outcome<std::unique_ptr<Events>> open(const std::filesystem::path& file);

    void add(const base::Uuid& uuid, std::string_view name, std::string_view event, std::string_view detail = {});

    struct Answer {
        std::vector<std::string> events; ///< as JSON
        std::uint64_t last = 0;
    };
    /// Events after number `since`; waits until there is one, at most `limit` or until stop().
    [[nodiscard]] Answer after(std::uint64_t since, std::chrono::milliseconds limit);
    /// Lets all who wait go.
    void stop();

private:
    explicit Events(std::filesystem::path file) : path_(std::move(file)) {}
    void read(const std::string& content);
    void write_anew();

    std::mutex mutex_;
    std::condition_variable news_;
    std::filesystem::path path_;
    base::Fd file_;
    std::deque<std::string> kept_; ///< the last one has number last_
    std::uint64_t last_ = 0;
    std::size_t lines_ = 0; ///< of the file
    bool stopping_ = false;
};

} // namespace streak::manager
