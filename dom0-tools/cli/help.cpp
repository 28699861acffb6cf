// SPDX-License-Identifier: GPL-2.0-only
#include "cli/verbs.hpp"

#include <algorithm>

#include "cli/text.hpp"

namespace streak::cli {
namespace {

std::vector<Options::Entry> all_entries(const Verb& verb, const Options& options) {
    auto entries = options.entries();
    if (!verb.schema.empty())
        entries.push_back({"--json", {}, "the answer as JSON, schema " + std::string(verb.schema), true});
    entries.push_back({"--help", {}, "this text", true});
    return entries;
}

/// Verbs whose names start so.
std::string verb_table(std::string_view prefix) {
    Table table{"COMMAND", "WHAT IT DOES"};
    for (const auto& verb : verbs())
        if (!verb.summary.empty() && verb.name.starts_with(prefix))
            table.row({std::string(verb.name), std::string(verb.summary)});
    return table.text();
}

std::string overview() {
    return "usage: streak COMMAND … [--json]\n\n" + verb_table("") +
           "\nDOMAIN is a name, a number or a UUID. `streak COMMAND --help` explains one command, with examples.\n";
}

/// The characters that scdoc takes for markup.
std::string scdoc_escaped(std::string_view text) {
    std::string all;
    for (const char c : text) {
        if (std::string_view("\\*_#`").contains(c)) all += '\\';
        all += c;
    }
    return all;
}

std::string manual_of(const Verb& verb, const Options& options) {
    std::string text = "## " + scdoc_escaped(options.usage()) + "\n\n" + scdoc_escaped(verb.summary) + ".\n\n";
    for (const auto& entry : all_entries(verb, options))
        text += '*' + scdoc_escaped(entry.name) + '*' + scdoc_escaped(entry.placeholder) + "\n\t" +
                scdoc_escaped(entry.text) + "\n\n";
    text += "Examples:\n\n```\n" + std::string(verb.examples) + "\n```\n\n";
    return text;
}

std::string manual() {
    std::string text;
    for (const auto& verb : verbs()) {
        if (verb.summary.empty()) continue;
        Options options(verb);
        (void)verb.declare(options);
        text += manual_of(verb, options);
    }
    return text;
}

/// Names of domains; nothing when streakd is not there: completion is no place for errors.
std::string domain_words(Context& context) {
    const auto answer = context.get("/v1/domains", std::chrono::seconds(2));
    std::string words;
    if (!answer) return words;
    for (const auto& domain : list_of(*answer, "domains")) words += printable(text_of(domain, "name")) + '\n';
    return words;
}

/// First words of all verbs, or second ones of `store`.
std::string verb_words(bool store) {
    std::string all, before;
    for (const auto& verb : verbs()) {
        if (verb.summary.empty() || (store && !verb.name.starts_with("store "))) continue;
        std::string word(store ? verb.name.substr(6) : verb.name.substr(0, verb.name.find(' ')));
        if (word != before) all += word + '\n';
        before = std::move(word);
    }
    return all;
}

/// What may stand behind `words`, one a line; "FILE" alone for the name of a file.
std::string next_words(Context& context, const std::vector<std::string>& words) {
    std::string name = words.empty() ? "" : words[0];
    if (name == "store" && words.size() > 1) name += ' ' + words[1];
    const auto* verb = find_verb(name);
    std::string all;
    if (verb == nullptr) return verb_words(name == "store");
    Options options(*verb);
    (void)verb->declare(options);
    std::ptrdiff_t arguments = std::ranges::count_if(words, [](const auto& w) { return !w.starts_with('-'); }) -
                               std::ranges::count(verb->name, ' ') - 1;
    for (const auto& entry : all_entries(*verb, options))
        if (entry.option) {
            all += entry.name + '\n';
        } else if (arguments-- == 0) {
            if (entry.name == "DOMAIN") all += domain_words(context);
            if (entry.name == "FILE") all += "FILE\n";
        }
    return all;
}

} // namespace

std::string help_text(const Verb& verb, const Options& options) {
    if (verb.name == "help") return overview();
    std::string text = "usage: " + options.usage() + "\n\n" + std::string(verb.summary) + ".\n\n";
    std::size_t widest = 0;
    const auto entries = all_entries(verb, options);
    for (const auto& entry : entries) widest = std::max(widest, entry.name.size() + entry.placeholder.size());
    for (const auto& entry : entries) {
        const auto word = entry.name + entry.placeholder;
        text += "  " + word + std::string(widest - word.size() + 2, ' ') + entry.text + '\n';
    }
    text += "\nexamples:\n  ";
    for (const char c : verb.examples) text += c == '\n' ? "\n  " : std::string(1, c);
    return text + '\n';
}

Action declare_help(Options& options) {
    const auto& scdoc = options.flag("--scdoc", "the commands' part of the manual, as scdoc(5) source");
    return [&scdoc](Context& context) -> Outcome<> { return context.print_text(scdoc ? manual() : overview()); };
}

Action declare_store_help(Options&) {
    return [](Context& context) -> Outcome<> { return context.print_text(verb_table("store ")); };
}

Action declare_words(Options& options) {
    const auto& words = options.arguments("WORD");
    return [&words](Context& context) -> Outcome<> { return context.print_text(next_words(context, words)); };
}

} // namespace streak::cli
