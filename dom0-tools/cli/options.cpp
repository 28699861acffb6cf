// SPDX-License-Identifier: GPL-2.0-only
#include "cli/options.hpp"

#include <algorithm>

#include <CLI/CLI.hpp>

#include "cli/text.hpp"
#include "cli/verb.hpp"

namespace streak::cli {

struct Options::Parser {
    CLI::App app;
};

Options::Options(const Verb& verb) : verb_(verb), parser_(std::make_unique<Parser>()) {
    // `-h` and `--json` are looked for before any verb.
    parser_->app.set_help_flag();
}

Options::~Options() = default;

void Options::argument(std::string_view name, std::string& value, std::string_view text) {
    parser_->app.add_option(std::string(name), value)->required();
    entries_.push_back({std::string(name), {}, std::string(text), false, true});
}

void Options::optional_argument(std::string_view name, std::string& value, std::string_view text) {
    parser_->app.add_option(std::string(name), value);
    entries_.push_back({std::string(name), {}, std::string(text)});
}

void Options::arguments(std::string_view name, std::vector<std::string>& values) {
    parser_->app.add_option(std::string(name), values);
}

void Options::flag(std::string_view name, bool& value, std::string_view text) {
    parser_->app.add_flag(std::string(name), value);
    entries_.push_back({std::string(name), {}, std::string(text), true});
}

void Options::value(std::string_view name, std::string_view placeholder, std::optional<std::string>& value,
                    std::string_view text) {
    parser_->app.add_option(std::string(name), value);
    entries_.push_back({std::string(name), ' ' + std::string(placeholder), std::string(text), true});
}

void Options::flag_or_value(std::string_view name, std::string_view placeholder, std::optional<std::string>& value,
                            std::string_view implied, std::string_view text) {
    parser_->app.add_flag_function(std::string(name) + '{' + std::string(implied) + '}', [](std::int64_t) {});
    auto* option = parser_->app.get_option(std::string(name));
    option->each([&value](const std::string& given) { value = given; });
    entries_.push_back({std::string(name), "[=" + std::string(placeholder) + ']', std::string(text), true});
}

Outcome<> Options::parse(std::vector<std::string> words) {
    std::ranges::reverse(words); // as CLI11 wants them
    try {
        parser_->app.parse(std::move(words));
        return {};
    } catch (const CLI::ExtrasError&) {
        return std::unexpected(wrong("one argument too many", parser_->app.remaining()));
    } catch (const CLI::RequiredError&) {
        std::string missing;
        for (const auto& entry : entries_)
            if (entry.required && parser_->app.count(entry.name) == 0)
                missing += (missing.empty() ? "" : " ") + entry.name;
        return std::unexpected(wrong(missing + " is missing", {}));
    } catch (const CLI::ParseError& error) {
        return std::unexpected(wrong(error.what(), {}));
    }
}

Failure Options::wrong(std::string what, const std::vector<std::string>& strangers) const {
    const std::string help = "`streak " + std::string(verb_.name) + " --help` explains";
    base::Error error{base::ErrorKind::usage, std::move(what), usage(), {}, help};
    if (strangers.empty()) return error;
    error.found = "'" + strangers.front() + "'";
    if (!strangers.front().starts_with('-')) return error;
    error.what = std::string(verb_.name) + " has no option " + strangers.front();
    std::vector<std::string_view> known{"--json", "--help"};
    for (const auto& entry : entries_)
        if (entry.option) known.emplace_back(entry.name);
    const auto near = nearest(strangers.front(), known);
    if (!near.empty()) error.remedy = "did you mean " + std::string(near) + "? " + help;
    return error;
}

std::string Options::usage() const {
    std::string text = "streak " + std::string(verb_.name);
    for (const auto& entry : entries_) {
        const std::string word = entry.name + entry.placeholder;
        text += entry.required ? ' ' + word : " [" + word + ']';
    }
    return text;
}

} // namespace streak::cli
