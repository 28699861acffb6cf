// SPDX-License-Identifier: GPL-2.0-only
#include "config/report.hpp"

#include <algorithm>

#include "config/reader.hpp"

namespace streak::config {

namespace {

/// The lines that refusals of many elements would fill are cut off here.
constexpr std::size_t max_lines = 50;

/// Reads an element that has one of the names `roots` and stands in `folder` of the vocabulary.
Parsed parse(std::string_view text, std::initializer_list<std::string_view> roots, std::string_view folder,
             std::string_view expected, std::string remedy = {}) {
    Parsed parsed;
    auto root = parse_tree(text);
    if (!root) {
        parsed.findings.push_back(std::move(root.error()));
    } else if (root->foreign || std::ranges::find(roots, root->name) == roots.end()) {
        parsed.findings.push_back({Finding::Fate::refused, root->line, root->name,
                                   cat("expected ", expected, "; found <", root->name, ">"), std::move(remedy)});
    } else {
        Reader reader(parsed.findings);
        reader.classify(*root, cat(folder, root->name), root->name);
        if (root->name == "domain") read_domain(reader, *root, parsed.definition);
        else if (root->name == "disk") read_disk(reader, *root, parsed.definition);
        else read_interface(reader, *root, parsed.definition);
    }
    return parsed;
}

} // namespace

bool Parsed::accepted() const {
    return std::ranges::none_of(findings, [](const Finding& f) { return f.fate == Finding::Fate::refused; });
}

base::Error Parsed::as_error() const {
    std::string lines;
    std::size_t count = 0;
    for (const Finding& finding : findings) {
        if (finding.fate != Finding::Fate::refused) continue;
        if (++count > max_lines) continue;
        lines += cat(lines.empty() ? "" : "\n", "line ", finding.line, ", ", finding.element, ": ", finding.text);
        if (!finding.remedy.empty()) lines += ". " + finding.remedy;
    }
    if (count > max_lines) lines += cat("\nand ", count - max_lines, " more");
    return {.kind = base::ErrorKind::invalid, .what = std::move(lines)};
}

Parsed parse_xml(std::string_view text) {
    return parse(text, {"domain"}, "", "<domain type='xen'> without a namespace");
}

Parsed parse_device_xml(std::string_view text) {
    return parse(text, {"disk", "interface"}, "domain/devices/", "<disk> or <interface>",
                 "Other devices are part of the definition and can't be attached");
}

} // namespace streak::config
