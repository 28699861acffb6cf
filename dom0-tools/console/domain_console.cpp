// SPDX-License-Identifier: GPL-2.0-only
#include "console/domain_console.hpp"

#include <array>
#include <ctime>
#include <utility>

#include "base/log.hpp"

namespace streak::console {

namespace {

constexpr auto report_interval = std::chrono::seconds(10);

std::string utc_now() {
    const std::time_t now = std::time(nullptr);
    std::tm parts{};
    ::gmtime_r(&now, &parts);
    std::array<char, 32> text{};
    return {text.data(), std::strftime(text.data(), text.size(), "%Y-%m-%dT%H:%M:%SZ", &parts)};
}

} // namespace

std::string describe(const Domain& domain) {
    std::string text = "domain " + std::to_string(domain.id.raw());
    if (domain.name.empty()) return text;
    text += " \"";
    SafeText().feed(domain.name, text);
    return text + "\"";
}

bool DomainConsole::move_output() {
    Ring::Buffer buffer;
    const Ring::Output output = ring_.peek(buffer);
    if (output.bytes.empty() && !output.broken) return false;
    if (output.broken && !std::exchange(broken_, true))
        base::log(base::LogLevel::warning, describe(domain_) + ": the indexes of its console ring make no sense; "
                                                               "what it writes like this is skipped");
    std::string safe;
    safe_.feed(output.bytes, safe);
    log_.write(safe);
    ring_.take(output);
    if (terminal_ && !output.bytes.empty()) terminal_->put(output.bytes);
    return true;
}

bool DomainConsole::move_input() {
    std::array<char, Ring::input_bytes> buffer;
    const std::size_t room = ring_.room();
    if (!terminal_ || room == 0) return false;
    const std::string_view typed = terminal_->read(std::span(buffer).first(room));
    return ring_.give(typed) != 0;
}

void DomainConsole::report_missed(bool last) {
    if (terminal_) missed_ += terminal_->take_missed();
    const auto now = Clock::now();
    if (missed_ == 0 || (!last && now - reported_ < report_interval)) return;
    base::log(base::LogLevel::notice, describe(domain_) + ": who reads " + terminal_->path() + " was too slow for " +
                                          std::to_string(missed_) + " bytes; the log has them");
    missed_ = 0;
    reported_ = now;
}

void DomainConsole::note(const std::string& what) {
    std::string line;
    safe_.finish_line(line);
    log_.write(line + "\x1e--- " + utc_now() + " " + describe(domain_) + " " + what + " ---\n");
}

} // namespace streak::console
