// SPDX-License-Identifier: GPL-2.0-only
#pragma once

#include <functional>
#include <span>
#include <string_view>

#include "cli/options.hpp"

namespace streak::cli {

class Context;

/// What runs once the words of a verb are read. It refers to values of its options.
using Action = std::function<Outcome<>(Context&)>;

struct Verb {
    std::string_view name; ///< one word, or two for `store`
    std::string_view summary;
    std::string_view schema;   ///< of what --json prints
    std::string_view examples; ///< one a line
    Action (*declare)(Options&);
};

/// All verbs, in the order in which help shows them; those with an empty summary are not shown.
[[nodiscard]] std::span<const Verb> verbs();
/// The verb of this name, if there is one.
[[nodiscard]] const Verb* find_verb(std::string_view name);

/// What `streak VERB --help` prints.
[[nodiscard]] std::string help_text(const Verb& verb, const Options& options);

/// The program `streak`: finds the verb, runs it, reports what failed. The exit status (docs/cli.md).
[[nodiscard]] int run(std::vector<std::string> words);

} // namespace streak::cli
