// SPDX-License-Identifier: GPL-2.0-only
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "cli/failure.hpp"

namespace streak::cli {

struct Verb;

/// What one verb takes: declared once, it parses, and it is what `--help`, the manual and completion show.
/// References are to outlive the parsing.
class Options {
public:
    explicit Options(const Verb& verb) : verb_(verb) {}

    struct Entry {
        std::string name;        ///< "--paused" or "FILE"
        std::string placeholder; ///< what follows an option: " NAME", "[=S]" or nothing
        std::string text;
        bool option = false, required = false;
    };

    /// A required argument by its place; `name` such as "DOMAIN" tells completion what it is.
    void argument(std::string_view name, std::string& value, std::string_view text);
    void optional_argument(std::string_view name, std::string& value, std::string_view text);
    /// All words, options among them; not shown anywhere.
    void arguments(std::string_view name, std::vector<std::string>& values);
    void flag(std::string_view name, bool& value, std::string_view text);
    /// `--name VALUE`
    void value(std::string_view name, std::string_view placeholder, std::optional<std::string>& value,
               std::string_view text);
    /// `--name` or `--name=VALUE`; without a value it is `implied`.
    void flag_or_value(std::string_view name, std::string_view placeholder, std::optional<std::string>& value,
                       std::string_view implied, std::string_view text);

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
};

} // namespace streak::cli
