// SPDX-License-Identifier: GPL-2.0-only
#include "manager/journal.hpp"

#include <fcntl.h>

#include <algorithm>
#include <sstream>

#include <fmt/format.h>

#include "manager/paths.hpp"

namespace streak::manager {

namespace {

constexpr std::string_view words[] = {"start", "destroy", "restart", "rename", "attach", "detach"};

/// "begin 12 start UUID 0 1 text". The text comes last and may hold blanks.
std::string begin_line(std::uint64_t number, const Task& task) {
    return fmt::format("begin {} {} {} {} {} {}\n", number, words[static_cast<std::size_t>(task.kind)],
                       task.uuid.text(), task.domain, task.paused ? 1 : 0, task.text);
}

std::optional<Journal::Pending> parse_begin(std::istringstream& line) {
    Journal::Pending pending;
    std::string word, uuid;
    line >> pending.number >> word >> uuid >> pending.task.domain >> pending.task.paused;
    const auto kind = std::ranges::find(words, word);
    const auto parsed = base::Uuid::parse(uuid);
    if (!line || kind == std::end(words) || !parsed) return {};
    pending.task.kind = static_cast<Task::Kind>(kind - std::begin(words));
    pending.task.uuid = *parsed;
    line.get();
    std::getline(line, pending.task.text);
    return pending;
}

} // namespace

base::Outcome<std::unique_ptr<Journal>> Journal::open(const std::filesystem::path& file) {
    base::Fd fd(::open(file.c_str(), O_RDWR | O_CREAT | O_APPEND | O_CLOEXEC, 0640));
    if (!fd) return base::errno_error("can't open the journal " + file.string(), errno);
    TRY_ASSIGN(content, read_file(file));
    std::unique_ptr<Journal> journal(new Journal(std::move(fd)));
    journal->read(content);
    return journal;
}

void Journal::read(const std::string& content) {
    std::istringstream lines(content);
    // A line without its end was not written whole: its task had not begun.
    for (std::string text; std::getline(lines, text) && !lines.eof();) {
        std::istringstream line(text);
        std::string word;
        std::uint64_t number = 0;
        line >> word;
        if (word == "begin") {
            if (auto pending = parse_begin(line)) {
                last_ = std::max(last_, pending->number);
                pending_.push_back(std::move(*pending));
            }
        } else if (word == "end" && line >> number) {
            std::erase_if(pending_, [&](const Pending& p) { return p.number == number; });
        }
    }
    open_ = pending_.size();
}

base::Outcome<Journal::Entry> Journal::begin(const Task& task) {
    const std::lock_guard lock(mutex_);
    const std::string line = begin_line(last_ + 1, task);
    const ssize_t written = ::write(file_.get(), line.data(), line.size());
    if (written != static_cast<ssize_t>(line.size()))
        return base::errno_error("can't write the journal", written < 0 ? errno : static_cast<int>(Errno::ENOSPC));
    ++open_;
    return Entry(nullptr, [this, number = ++last_](void*) { end(number); });
}

void Journal::end(std::uint64_t number) {
    const std::lock_guard lock(mutex_);
    if (open_ > 0 && --open_ == 0) {
        // Nothing is going on: the file starts anew, and so stays small.
        (void)!::ftruncate(file_.get(), 0);
        return;
    }
    const std::string line = fmt::format("end {}\n", number);
    (void)!::write(file_.get(), line.data(), line.size());
}

} // namespace streak::manager
