// SPDX-License-Identifier: GPL-2.0-only
#include "cli/context.hpp"

#include <array>
#include <cstdio>
#include <cstdlib>
#include <ctime>
#include <system_error>

#include <fcntl.h>
#include <unistd.h>

#include "base/io.hpp"
#include "cli/text.hpp"

namespace streak::cli {
namespace {

std::string environment(const char* name) {
    const char* value = std::getenv(name);
    return value != nullptr ? value : "";
}

constexpr std::size_t longest_file = 16 << 20;

void write(int fd, std::string_view text) {
    // There is nobody to tell that it failed.
    (void)!base::write_all(fd, text);
}

} // namespace

Context::Context(bool json)
    : json_(json), out_is_terminal_(::isatty(STDOUT_FILENO) != 0), err_is_terminal_(::isatty(STDERR_FILENO) != 0),
      colours_wanted_(environment("NO_COLOR").empty() && environment("TERM") != "dumb"),
      root_(environment("STREAK_ROOT")),
      api_(root_ + "/run/streak/api.sock", [this](unsigned seconds) { tick(seconds); }) {}

Outcome<Answer> Context::ask_raw(const Request& request, std::chrono::seconds limit) {
    auto answer = api_.ask(request, limit);
    clear_progress();
    return answer;
}

Outcome<Json> Context::ask(const Request& request, std::chrono::seconds limit) {
    TRY_ASSIGN(answer, ask_raw(request, limit));
    auto json = parse_json(answer.body);
    if (!json.is_object())
        return base::error(base::ErrorKind::internal, "streakd's answer makes no sense", "a JSON object",
                           std::to_string(answer.body.size()) + " bytes of something else");
    return json;
}

Outcome<Json> Context::get(std::string path, std::chrono::seconds limit) {
    return ask({.method = "GET", .path = std::move(path)}, limit);
}

Outcome<Json> Context::post(std::string path, const Json& body, std::chrono::seconds limit) {
    return ask({.method = "POST", .path = std::move(path), .body = body.dump()}, limit);
}

Outcome<> Context::print(const Json& json, std::string_view text) { return print_text(json_ ? to_line(json) : text); }

Outcome<> Context::print_text(std::string_view text) {
    write(STDOUT_FILENO, text);
    return {};
}

void Context::note(std::string_view text) {
    if (!json_) write(STDERR_FILENO, text);
}

void Context::report(const Failure& failure) {
    clear_progress();
    write(STDERR_FILENO, json_ ? error_json(failure) : error_text(failure, err_is_terminal_ && colours_wanted_));
}

void Context::tick(unsigned seconds) {
    if (!step_.empty()) show(step_ + ": " + std::to_string(seconds) + " s");
}

void Context::progress(std::string_view what, std::uint64_t done, std::uint64_t all) {
    if (done < all) show(std::string(what) + ": " + std::to_string(done * 100 / all) + " %");
    else clear_progress();
}

void Context::show(const std::string& progress) {
    if (!err_is_terminal_ || json_) return;
    progress_shown_ = true;
    write(STDERR_FILENO, "\r\033[K" + progress);
}

void Context::clear_progress() {
    if (std::exchange(progress_shown_, false)) write(STDERR_FILENO, "\r\033[K");
}

Outcome<std::string> domain_path(std::string_view reference, std::string_view rest) {
    if (reference.empty())
        return base::error(base::ErrorKind::usage, "the name of the domain is empty", "a name, a number or a UUID", {},
                           "`streak list --all` shows the domains");
    // "." and ".." as they are would be steps in the path.
    std::string name(reference);
    if (name == "." || name == "..")
        return base::error(base::ErrorKind::not_found, "no domain is called '" + name + "'");
    return "/v1/domains/" + percent_encoded(name) + std::string(rest);
}

void sleep_for(std::chrono::milliseconds time) {
    const timespec rest{.tv_sec = time.count() / 1000, .tv_nsec = time.count() % 1000 * 1'000'000};
    ::nanosleep(&rest, nullptr);
}

Outcome<std::string> read_file(const std::string& path) {
    const base::Fd file(path == "-" ? ::dup(STDIN_FILENO) : ::open(path.c_str(), O_RDONLY | O_CLOEXEC));
    if (!file) return base::errno_error("can't read " + path, errno);
    std::string all;
    std::array<char, 65536> buffer;
    while (true) {
        const auto count = ::read(file.get(), buffer.data(), buffer.size());
        if (count < 0) return base::errno_error("can't read " + path, errno);
        if (count == 0) return all;
        all.append(buffer.data(), static_cast<std::size_t>(count));
        if (all.size() > longest_file)
            return base::error(base::ErrorKind::invalid, path + " is too large", "a definition of at most 16 MiB");
    }
}

} // namespace streak::cli
