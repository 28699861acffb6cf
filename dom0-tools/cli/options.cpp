// SPDX-License-Identifier: GPL-2.0-only
#include "cli/options.hpp"

#include <algorithm>
#include <istream>
#include <ostream>

// CLI11 includes <iostream>, which sets up eight streams whenever the program starts, for functions that are not used here.
#define _GLIBCXX_IOSTREAM
namespace std {
extern istream cin;
extern ostream cout, cerr, clog;
} // namespace std
#include <CLI/CLI.hpp>

#include "cli/text.hpp"
#include "cli/verb.hpp"

namespace streak::cli {

struct Options::Parser {
    // `--help` and `--json` are looked for before any verb.
    Parser() { app.set_help_flag(); }
    CLI::App app;
};

void Options::add(Entry entry, std::function<void(Parser&)> declare) {
    entries_.push_back(std::move(entry));
    declarations_.push_back(std::move(declare));
}

const std::string& Options::argument(std::string_view name, std::string_view text, bool required) {
    auto& value = arguments_.emplace_back();
    add({std::string(name), {}, std::string(text), false, required},
        [=, &value](Parser& p) { p.app.add_option(std::string(name), value)->required(required); });
    return value;
}

const std::vector<std::string>& Options::arguments(std::string_view name) {
    add({std::string(name), {}, {}}, [=, this](Parser& p) { p.app.add_option(std::string(name), words_); });
    return words_;
}

const bool& Options::flag(std::string_view name, std::string_view text) {
    auto& value = flags_.emplace_back(false);
    add({std::string(name), {}, std::string(text), true},
        [=, &value](Parser& p) { p.app.add_flag(std::string(name), value); });
    return value;
}

const Options::Value& Options::value(std::string_view name, std::string_view placeholder, std::string_view text) {
    auto& value = values_.emplace_back();
    add({std::string(name), ' ' + std::string(placeholder), std::string(text), true},
        [=, &value](Parser& p) { p.app.add_option(std::string(name), value); });
    return value;
}

const Options::Value& Options::flag_or_value(std::string_view name, std::string_view placeholder,
                                             std::string_view implied, std::string_view text) {
    auto& value = values_.emplace_back();
    add({std::string(name), "[=" + std::string(placeholder) + ']', std::string(text), true}, [=, &value](Parser& p) {
        p.app.add_flag_function(std::string(name) + '{' + std::string(implied) + '}', [](std::int64_t) {});
        p.app.get_option(std::string(name))->each([&value](const std::string& given) { value = given; });
    });
    return value;
}

Outcome<> Options::parse(std::vector<std::string> words) {
    // CLI11 is slower than all else that the program does.
    if (words.empty() && std::ranges::none_of(entries_, &Entry::required)) return {};
    Parser parser;
    for (const auto& declare : declarations_) declare(parser);
    std::ranges::reverse(words); // as CLI11 wants them
    try {
        parser.app.parse(std::move(words));
        return {};
    } catch (const CLI::ExtrasError&) {
        return std::unexpected(wrong("one argument too many", parser.app.remaining()));
    } catch (const CLI::RequiredError&) {
        std::string missing;
        for (const auto& entry : entries_)
            if (entry.required && parser.app.count(entry.name) == 0)
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
