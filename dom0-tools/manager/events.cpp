// SPDX-License-Identifier: GPL-2.0-only
#include "manager/events.hpp"

#include <fcntl.h>

#include <ctime>
#include <sstream>

#include "manager/json.hpp"
#include "manager/paths.hpp"

namespace streak::manager {

namespace {

constexpr int file_flags = O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC;

std::string time_text() {
    const std::time_t now = std::time(nullptr);
    std::tm parts{};
    ::gmtime_r(&now, &parts);
    char text[32];
    (void)std::strftime(text, sizeof text, "%FT%TZ", &parts);
    return text;
}

} // namespace

base::Outcome<std::unique_ptr<Events>> Events::open(const std::filesystem::path& file) {
    std::unique_ptr<Events> events(new Events(file));
    if (const auto content = read_file(file)) events->read(*content);
    events->file_ = base::Fd(::open(file.c_str(), file_flags, 0640));
    if (!events->file_) return base::errno_error("can't open " + file.string(), errno);
    return events;
}

void Events::read(const std::string& content) {
    std::istringstream lines(content);
    for (std::string line; std::getline(lines, line) && !lines.eof();) {
        constexpr std::string_view start = "{\"number\":";
        if (!line.starts_with(start)) continue;
        last_ = std::strtoull(line.c_str() + start.size(), nullptr, 10);
        kept_.push_back(std::move(line));
        if (kept_.size() > most_kept) kept_.pop_front();
        ++lines_;
    }
}

void Events::add(const base::Uuid& uuid, std::string_view name, std::string_view event, std::string_view detail) {
    const std::lock_guard lock(mutex_);
    Object object;
    object.add("number", ++last_).add("time", time_text()).add("uuid", uuid.text()).add("name", name);
    object.add("event", event).add("detail", detail);
    kept_.push_back(std::move(object).text());
    if (kept_.size() > most_kept) kept_.pop_front();
    const std::string line = kept_.back() + "\n";
    (void)!::write(file_.get(), line.data(), line.size());
    if (++lines_ > 4 * most_kept) write_anew();
    news_.notify_all();
}

void Events::write_anew() {
    std::string content;
    for (const std::string& line : kept_) content += line + "\n";
    if (!replace_file(path_, content)) return;
    file_ = base::Fd(::open(path_.c_str(), file_flags, 0640));
    lines_ = kept_.size();
}

Events::Answer Events::after(std::uint64_t since, std::chrono::milliseconds limit) {
    std::unique_lock lock(mutex_);
    news_.wait_for(lock, limit, [&] { return stopping_ || last_ > since; });
    Answer answer{{}, last_};
    const std::uint64_t wanted = last_ > since ? last_ - since : 0;
    const std::size_t count = std::min<std::uint64_t>(wanted, kept_.size());
    answer.events.assign(kept_.end() - static_cast<std::ptrdiff_t>(count), kept_.end());
    return answer;
}

void Events::stop() {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
    news_.notify_all();
}

} // namespace streak::manager
