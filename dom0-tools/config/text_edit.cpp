// SPDX-License-Identifier: GPL-2.0-only
#include "config/text_edit.hpp"

#include <algorithm>
#include <optional>

#include "config/values.hpp"

namespace streak::config {

namespace {

constexpr std::size_t npos = std::string_view::npos;

/// Where an element of the root's stands in the text: the content, and the end of the end tag.
struct Span {
    std::size_t content = 0, content_end = 0, end = 0;
    bool self_closing = false; ///< `<name/>`; the content is the place of the '/'
};

/// Walks over the markup of a well-formed document, tag by tag.
class Tags {
public:
    explicit Tags(std::string_view xml) : xml_(xml) {}

    /// Moves to the next tag; false at the end, or where the text is no XML.
    bool next() {
        constexpr std::pair<std::string_view, std::string_view> skipped[] = {
            {"<!--", "-->"}, {"<![CDATA[", "]]>"}, {"<?", "?>"}};
        while ((begin_ = xml_.find('<', end_)) != npos) {
            const auto starts_here = [&](const auto& marks) { return xml_.substr(begin_).starts_with(marks.first); };
            const auto* const marks = std::ranges::find_if(skipped, starts_here);
            if (marks == std::end(skipped)) return find_tag_end();
            const std::size_t last = xml_.find(marks->second, begin_ + marks->first.size());
            if (last == npos) return false;
            end_ = last + marks->second.size();
        }
        return false;
    }

    [[nodiscard]] std::size_t begin() const { return begin_; }
    [[nodiscard]] std::size_t end() const { return end_; }
    [[nodiscard]] bool closes() const { return xml_.substr(begin_).starts_with("</"); }
    [[nodiscard]] bool self_closing() const { return xml_[end_ - 2] == '/'; }
    [[nodiscard]] std::string_view name() const {
        const std::size_t first = begin_ + (closes() ? 2 : 1);
        return xml_.substr(first, xml_.find_first_of(" \t\r\n/>", first) - first);
    }

private:
    /// The '>' that ends the tag stands outside of quotes.
    bool find_tag_end() {
        char quote = 0;
        for (std::size_t at = begin_; at < xml_.size(); ++at) {
            const char c = xml_[at];
            if (quote != 0) quote = c == quote ? 0 : quote;
            else if (c == '\'' || c == '"') quote = c;
            else if (c == '>') return end_ = at + 1, true;
        }
        return false;
    }

    std::string_view xml_;
    std::size_t begin_ = 0, end_ = 0;
};

std::optional<Span> find_child(std::string_view xml, std::string_view name) {
    Tags tags(xml);
    std::size_t depth = 0;
    std::optional<Span> open;
    while (tags.next()) {
        if (tags.closes()) {
            if (depth == 0) return std::nullopt;
            if (--depth == 1 && open) return open->content_end = tags.begin(), open->end = tags.end(), open;
            continue;
        }
        const bool wanted = depth == 1 && !open && tags.name() == name;
        if (wanted && tags.self_closing()) return Span{tags.end() - 2, tags.end() - 2, tags.end(), true};
        if (wanted) open = Span{.content = tags.end()};
        if (!tags.self_closing()) ++depth;
    }
    return std::nullopt;
}

std::string replaced(std::string_view xml, const Span& span, std::string_view name, std::string_view content) {
    std::string text(xml.substr(0, span.content));
    if (span.self_closing) text += ">";
    text += escaped(content);
    if (span.self_closing) return text.append("</").append(name).append(">").append(xml.substr(span.end));
    return text.append(xml.substr(span.content_end));
}

} // namespace

std::string escaped(std::string_view text) {
    std::string result;
    result.reserve(text.size());
    for (const char c : text) {
        switch (c) {
        case '&': result += "&amp;"; break;
        case '<': result += "&lt;"; break;
        case '>': result += "&gt;"; break;
        case '\'': result += "&apos;"; break;
        case '"': result += "&quot;"; break;
        case '\r': result += "&#13;"; break; // XML would make a line feed of it
        default: result += c;
        }
    }
    return result;
}

std::string with_uuid(std::string_view xml, const base::Uuid& uuid) {
    if (const auto present = find_child(xml, "uuid")) {
        const std::string_view old = xml.substr(present->content, present->content_end - present->content);
        if (base::Uuid::parse(trimmed(old)) == uuid) return std::string(xml);
        return replaced(xml, *present, "uuid", uuid.text());
    }
    const auto name = find_child(xml, "name");
    if (!name) return std::string(xml);
    // On a line of its own, when <name> is: the blanks before <name> serve again.
    const std::size_t tag = xml.rfind('<', name->content - 1);
    const std::size_t line = xml.find_last_not_of(" \t", tag - 1);
    const bool own_line = line != npos && xml[line] == '\n';
    std::string text(xml.substr(0, name->end));
    if (own_line) text.append(xml.substr(line, tag - line));
    return text.append("<uuid>").append(uuid.text()).append("</uuid>").append(xml.substr(name->end));
}

std::string with_name(std::string_view xml, std::string_view name) {
    const auto present = find_child(xml, "name");
    return present ? replaced(xml, *present, "name", name) : std::string(xml);
}

} // namespace streak::config
