// SPDX-License-Identifier: GPL-2.0-only
#include "cli/context.hpp"

#include "cli/verb.hpp"

#include <algorithm>
#include <exception>

#include "cli/text.hpp"

namespace streak::cli {
namespace {

/// What may stand before, in and after every verb.
struct General {
    bool json = false, help = false, version = false;
};

General take_general(std::vector<std::string>& words) {
    General general;
    const auto end = std::ranges::find(words, "--");
    const auto rest = std::remove_if(words.begin(), end, [&](const std::string& word) {
        if (word == "--json") return general.json = true;
        if (word == "--help" || word == "-h") return general.help = true;
        if (word == "--version") return general.version = true;
        return false;
    });
    words.erase(rest, end);
    return general;
}

/// Takes the verb's one or two words out of `words`. Its name; it need not be known.
std::string take_verb(std::vector<std::string>& words) {
    const auto take = [&words] {
        const auto place = std::ranges::find_if(words, [](const std::string& w) { return !w.starts_with('-'); });
        if (place == words.end()) return std::string{};
        std::string word = std::move(*place);
        words.erase(place);
        return word;
    };
    std::string verb = take();
    if (verb == "store")
        if (const auto second = take(); !second.empty()) verb += ' ' + second;
    return verb;
}

Failure unknown_verb(const std::string& name) {
    std::vector<std::string_view> names;
    for (const auto& verb : verbs())
        if (!verb.summary.empty()) names.push_back(verb.name);
    const auto near = nearest(name, names);
    return base::Error{.kind = base::ErrorKind::usage,
                       .what = "no command is called '" + name + "'",
                       .remedy = near.empty() ? "`streak help` shows all commands"
                                              : "did you mean `streak " + std::string(near) + "`?"};
}

Outcome<> run_verb(Context& context, std::vector<std::string> words, const General& general) {
    std::string name = general.version ? "version" : take_verb(words);
    if (name == "help" && !words.empty() && !words.front().starts_with('-'))
        return run_verb(context, std::move(words), {.help = true});
    if (name.empty() && !general.help)
        return base::error(base::ErrorKind::usage, "a command is missing", "streak COMMAND …", {},
                           "`streak help` shows all commands");
    if (name.empty() || name == "store") name = name.empty() ? "help" : "store help";
    const auto* verb = find_verb(name);
    if (verb == nullptr) return std::unexpected(unknown_verb(name));
    Options options(*verb);
    const auto action = verb->declare(options);
    if (general.help) return context.print_text(help_text(*verb, options));
    TRY(options.parse(std::move(words)));
    return action(context);
}

} // namespace

int run(std::vector<std::string> words) {
    const General general = take_general(words);
    Context context(general.json);
    try {
        const auto outcome = run_verb(context, std::move(words), general);
        if (outcome) return 0;
        context.report(outcome.error());
        return base::text_of(outcome.error().error.kind).exit_status;
    } catch (const std::exception& error) {
        context.report(base::Error{base::ErrorKind::internal, std::string("streak itself failed: ") + error.what()});
        return base::text_of(base::ErrorKind::internal).exit_status;
    }
}

} // namespace streak::cli
