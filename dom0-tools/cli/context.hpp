// SPDX-License-Identifier: GPL-2.0-only
#pragma once

#include "cli/json.hpp"

#include <chrono>
#include <string>
#include <string_view>

#include "cli/api_client.hpp"

namespace streak::cli {

/// What verbs have to do with the world: streakd, the terminal, the way to print.
class Context {
public:
    /// `json`: answers and errors as JSON.
    explicit Context(bool json);

    [[nodiscard]] bool json() const { return json_; }
    /// A file below STREAK_ROOT.
    [[nodiscard]] std::string path(std::string_view absolute) const { return root_ + std::string(absolute); }
    [[nodiscard]] const ApiClient& api() const { return api_; }
    [[nodiscard]] bool terminal() const { return out_is_terminal_; }
    /// Standard output may have colours.
    [[nodiscard]] bool colour_out() const { return out_is_terminal_ && colours_wanted_; }

    /// Names what is going on; a terminal shows it when it takes longer than a second.
    void step(std::string text) { step_ = std::move(text); }

    /// Shows on a terminal how far something is.
    void progress(std::string_view what, std::uint64_t done, std::uint64_t all);

    static constexpr std::chrono::seconds usual_limit{10};
    /// For what unpacks kernels, fills memory or waits for hardware.
    static constexpr std::chrono::seconds long_limit{300};

    /// Asks; the answer as JSON.
    [[nodiscard]] Outcome<Json> ask(const Request& request, std::chrono::seconds limit = usual_limit);
    [[nodiscard]] Outcome<Json> get(std::string path, std::chrono::seconds limit = usual_limit);
    [[nodiscard]] Outcome<Json> post(std::string path, const Json& body, std::chrono::seconds limit = long_limit);
    /// Asks; the answer as it is.
    [[nodiscard]] Outcome<Answer> ask_raw(const Request& request, std::chrono::seconds limit);

    /// To standard output: `json` with --json, else `text`. No error, for verbs to end with.
    Outcome<> print(const Json& json, std::string_view text);
    Outcome<> print_text(std::string_view text);
    /// To standard error, except with --json.
    void note(std::string_view text);
    void report(const Failure& failure);

private:
    void tick(unsigned seconds);
    void show(const std::string& progress);
    void clear_progress();

    bool json_, out_is_terminal_, err_is_terminal_, colours_wanted_;
    bool progress_shown_ = false;
    std::string root_, step_;
    ApiClient api_;
};

/// "/v1/domains/REF" and what follows it. Usage error: an empty reference.
[[nodiscard]] Outcome<std::string> domain_path(std::string_view reference, std::string_view rest = {});
/// The bytes of a file, or of standard input for "-".
[[nodiscard]] Outcome<std::string> read_file(const std::string& path);
void sleep_for(std::chrono::milliseconds time);

} // namespace streak::cli
