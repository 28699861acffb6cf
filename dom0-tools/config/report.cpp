// SPDX-License-Identifier: GPL-2.0-only
#include "config/report.hpp"

#include <algorithm>

#include "config/reader.hpp"

namespace streak::config {

namespace {

Finding wrong_root(const Element& root, std::string expected, std::string remedy) {
    return {Finding::Fate::refused, root.line, root.name, cat("expected ", expected, "; found <", root.name, ">"),
            std::move(remedy)};
}

/// The lines that refusals of many elements would fill are cut off here.
constexpr std::size_t max_lines = 50;

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
    Parsed parsed;
    auto root = parse_tree(text);
    if (!root) {
        parsed.findings.push_back(std::move(root.error()));
    } else if (root->foreign || root->name != "domain") {
        parsed.findings.push_back(wrong_root(*root, "<domain type='xen'> without a namespace", ""));
    } else {
        Reader reader(parsed.findings);
        reader.classify(*root, "domain", "domain");
        read_domain(reader, *root, parsed.definition);
    }
    return parsed;
}

Parsed parse_device_xml(std::string_view text) {
    Parsed parsed;
    auto root = parse_tree(text);
    if (!root) {
        parsed.findings.push_back(std::move(root.error()));
    } else if (root->foreign || (root->name != "disk" && root->name != "interface")) {
        parsed.findings.push_back(wrong_root(*root, "<disk> or <interface>",
                                             "Other devices are part of the definition and can't be attached"));
    } else {
        Reader reader(parsed.findings);
        reader.classify(*root, "domain/devices/" + root->name, root->name);
        if (root->name == "disk") read_disk(reader, *root, parsed.definition);
        else read_interface(reader, *root, parsed.definition);
    }
    return parsed;
}

} // namespace streak::config
