// SPDX-License-Identifier: GPL-2.0-only
#pragma once

#include <deque>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "cli/failure.hpp"

namespace streak::cli {

struct Verb;

/// What one verb takes: declared once, it parses, and it is what `--help`, the manual and completion show.
class Options {
public:
    explicit Options(const Verb& verb) : verb_(verb) {}

    struct Entry {
        std::string name;        ///< "--paused" or "FILE"
        std::string placeholder; ///< what follows an option: " NAME", "[=S]" or nothing
        std::string text;
        bool option = false, required = false;
    };

    // What these return is filled in by parse() and lives as long as the options.

    /// A required argument by its place; `name` such as "FILE" tells completion what it is.
    const std::string& argument(std::string_view name, std::string_view text, bool required = true);
    /// "DOMAIN", the first argument of most verbs.
    const std::string& domain() { return argument("DOMAIN", "name, number or UUID"); }
    /// All words, options among them; not shown anywhere.
    const std::vector<std::string>& arguments(std::string_view name);
    const bool& flag(std::string_view name, std::string_view text);
    using Value = std::optional<std::string>;
    /// `--name VALUE`
    const Value& value(std::string_view name, std::string_view placeholder, std::string_view text);
    /// `--name` or `--name=VALUE`; without a value it is `implied`.
    const Value& flag_or_value(std::string_view name, std::string_view placeholder, std::string_view implied,
                               std::string_view text);

    /// Options may stand before, between and after arguments. Usage errors tell what is near.
    [[nodiscard]] Outcome<> parse(std::vector<std::string> words);

    [[nodiscard]] const std::vector<Entry>& entries() const { return entries_; }
    /// "streak create FILE [--paused]"
    [[nodiscard]] std::string usage() const;

private:
    struct Parser;
    /// `declare` is called when there is something to parse.
    void add(Entry entry, std::function<void(Parser&)> declare);
    [[nodiscard]] Failure wrong(std::string what, const std::vector<std::string>& strangers) const;

    const Verb& verb_;
    std::vector<Entry> entries_;
    std::vector<std::function<void(Parser&)>> declarations_;
    // Deques keep references good.
    std::deque<std::string> arguments_;
    std::deque<bool> flags_;
    std::deque<Value> values_;
    std::vector<std::string> words_;
};

} // namespace streak::cli
