// SPDX-License-Identifier: GPL-2.0-only
#include "config/reader.hpp"

#include <unordered_map>

#include "config/vocabulary.hpp"

namespace streak::config {

using Fate = Finding::Fate;

void Reader::add(Node& node, Fate fate, std::string path, std::string_view text, std::string_view remedy) {
    node.finding = findings_.size();
    findings_.push_back({fate, node.line, std::move(path), std::string(text), std::string(remedy)});
}

void Reader::unknown(Node& node, std::string_view what, const std::string& name, const std::string& place,
                     const std::string& path) {
    const std::string_view near = suggestions_left_ ? suggestion(place, name) : std::string_view();
    if (suggestions_left_ > 0) --suggestions_left_;
    add(node, Fate::refused, path, cat("unknown ", what),
        near.empty() ? "Remove it, or see docs/domain-xml.md for what is known" : cat("Did you mean ", near, "?"));
}

void Reader::classify_attribute(Node& attribute, const std::string& place, const std::string& path) {
    const std::string name = "@" + attribute.name, full_path = path + "/" + name;
    if (attribute.foreign)
        return add(attribute, Fate::ignored, full_path, "it is of another namespace; it is kept", {});
    const Rule* const rule = find_rule(place, name);
    if (!rule) return unknown(attribute, "attribute", name, place, full_path);
    add(attribute, rule->fate, full_path, rule->why, rule->remedy);
}

void Reader::classify_child(Element& child, const std::string& place, const std::string& path, bool again) {
    if (child.foreign) return add(child, Fate::ignored, path, "it is of another namespace; it is kept", {});
    const Rule* const rule = find_rule(place, child.name);
    if (!rule) return unknown(child, "element", child.name, place, path);
    if (again && !rule->repeatable)
        return add(child, Fate::refused, path, cat("there is more than one <", child.name, ">"), "Keep one of them");
    if (rule->fate != Fate::used) return add(child, rule->fate, path, rule->why, rule->remedy);
    classify(child, place + "/" + child.name, path);
}

void Reader::classify(Element& element, const std::string& place, const std::string& path) {
    add(element, Fate::used, path, {}, {});
    for (Node& attribute : element.attributes) classify_attribute(attribute, place, path);
    std::unordered_map<std::string_view, std::pair<std::size_t, std::size_t>> counts; // in all, and so far
    for (const Element& child : element.children) ++counts[child.name].first;
    for (Element& child : element.children) {
        auto& [all, so_far] = counts[child.name];
        const bool again = so_far++ > 0;
        const std::string index = all > 1 ? cat("[", so_far, "]") : "";
        classify_child(child, place, cat(path, "/", child.name, index), again);
    }
    if (holds_elements(place) && !trimmed(element.value).empty())
        refuse(element, "expected elements only; found the text " + quoted(trimmed(element.value)));
}

void Reader::set(const Node& node, Fate fate, std::string text, std::string remedy) {
    Finding& finding = findings_[node.finding];
    if (finding.fate == Fate::refused) return; // the first reason is the one to tell
    finding.fate = fate;
    finding.text = std::move(text);
    finding.remedy = std::move(remedy);
}

void Reader::refuse_missing(const Element& element, const std::string& name, std::string text, std::string remedy) {
    findings_.push_back({Fate::refused, element.line, findings_[element.finding].element + "/" + name, std::move(text),
                         std::move(remedy)});
}

bool Reader::takes(const Node* node) const {
    return node && node->finding != Node::no_finding && findings_[node->finding].fate == Fate::used;
}

std::optional<std::uint64_t> Reader::number(const Node& node, std::uint64_t least, std::uint64_t most) {
    const auto value = parse_number(trimmed(node.value));
    if (value && *value >= least && *value <= most) return value;
    return refused(node, cat("expected a number from ", least, " to ", most, "; found ", quoted(trimmed(node.value))));
}

std::optional<CpuList> Reader::cpus(const Node& node) {
    auto list = parse_cpu_list(node.value);
    if (list) return std::move(*list);
    return refused(node, list.error());
}

std::optional<std::string> Reader::text(const Node& node, std::size_t longest) {
    const std::string_view value = trimmed(node.value);
    if (value.size() > longest) return refused(node, cat("expected at most ", longest, " bytes; found ", value.size()));
    if (!printable(value)) return refused(node, "expected text without control characters; found " + quoted(value));
    return std::string(value);
}

std::optional<std::string> Reader::path(const Node& node) {
    auto value = text(node, max_path);
    if (!value || value->starts_with('/')) return value;
    return refused(node, "expected an absolute path; found " + quoted(*value), "Write the path from / on");
}

} // namespace streak::config
