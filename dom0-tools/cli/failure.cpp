// SPDX-License-Identifier: GPL-2.0-only
#include "cli/json.hpp"

#include "cli/failure.hpp"

#include <algorithm>

#include "cli/text.hpp"

namespace streak::cli {

std::string error_text(const Failure& failure, bool colour) {
    const auto& error = failure.error;
    std::string text = (colour ? "\033[1;31mstreak:\033[0m " : "streak: ") + printable(error.what) + '\n';
    const auto line = [&](std::string_view label, const std::string& value) {
        if (!value.empty()) text += "  " + std::string(label) + printable(value) + '\n';
    };
    line("expected: ", error.expected);
    line("found:    ", error.found);
    line("remedy:   ", error.remedy);
    return text + findings_text(failure.findings);
}

std::string error_json(const Failure& failure) {
    const auto& error = failure.error;
    Json json{{"schema", "streak.error/1"}, {"kind", base::text_of(error.kind).name},
              {"what", error.what},         {"expected", error.expected},
              {"found", error.found},       {"remedy", error.remedy}};
    if (!failure.findings.empty()) json["findings"] = findings_json(failure.findings);
    return to_line(json);
}

Failure failure_from_answer(int status, std::string_view body) {
    const auto json = parse_json(body);
    if (!json.is_object() || text_of(json, "schema") != "streak.error/1")
        return base::Error{base::ErrorKind::internal, "streakd gave an answer that makes no sense",
                           "a message streak.error/1", "status " + std::to_string(status),
                           "is streakd of another version? `streak version` tells"};
    const auto* const kind = std::ranges::find(base::kind_texts, text_of(json, "kind"), &base::KindText::name);
    base::Error error{kind == std::end(base::kind_texts) ? base::ErrorKind::internal
                                                         : static_cast<base::ErrorKind>(kind - base::kind_texts),
                      text_of(json, "what"), text_of(json, "expected"), text_of(json, "found"),
                      text_of(json, "remedy")};
    return {std::move(error), findings_of(json)};
}

std::vector<config::Finding> findings_of(const Json& json) {
    std::vector<config::Finding> all;
    for (const auto& item : list_of(json, "findings")) {
        const auto fate = text_of(item, "fate");
        all.push_back({.fate = fate == "used"      ? config::Finding::Fate::used
                               : fate == "ignored" ? config::Finding::Fate::ignored
                                                   : config::Finding::Fate::refused,
                       .line = static_cast<std::uint32_t>(number_of(item, "line")),
                       .element = text_of(item, "element"),
                       .text = text_of(item, "text"),
                       .remedy = text_of(item, "remedy")});
    }
    return all;
}

Json findings_json(const std::vector<config::Finding>& findings) {
    Json all = Json::array();
    for (const auto& f : findings)
        all.push_back({{"fate", f.fate_name()},
                       {"line", f.line},
                       {"element", f.element},
                       {"text", f.text},
                       {"remedy", f.remedy}});
    return all;
}

std::string findings_text(const std::vector<config::Finding>& findings) {
    if (findings.empty()) return {};
    Table table{">LINE", "FATE", "ELEMENT", "WHY", "REMEDY"};
    for (const auto& f : findings)
        table.row({std::to_string(f.line), std::string(f.fate_name()), f.element, f.text, f.remedy});
    return table.text();
}

} // namespace streak::cli
