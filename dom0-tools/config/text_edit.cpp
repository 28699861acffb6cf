// SPDX-License-Identifier: GPL-2.0-only
#include "config/text_edit.hpp"

#include <optional>

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
        for (std::size_t at = xml_.find('<', end_); at != npos; at = xml_.find('<', end_)) {
            begin_ = at;
            const std::string_view rest = xml_.substr(at);
            if (rest.starts_with("<!--")) {
                if (!skip_to("-->", 4)) return false;
            } else if (rest.starts_with("<![CDATA[")) {
                if (!skip_to("]]>", 9)) return false;
            } else if (rest.starts_with("<?")) {
                if (!skip_to("?>", 2)) return false;
            } else {
                return find_tag_end();
            }
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
    bool skip_to(std::string_view mark, std::size_t opening) {
        const std::size_t at = xml_.find(mark, begin_ + opening);
        end_ = at == npos ? xml_.size() : at + mark.size();
        return at != npos;
    }

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
        std::string_view old = xml.substr(present->content, present->content_end - present->content);
        const std::size_t first = old.find_first_not_of(" \t\r\n");
        old = first == npos ? "" : old.substr(first, old.find_last_not_of(" \t\r\n") - first + 1);
        if (base::Uuid::parse(old) == uuid) return std::string(xml);
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
