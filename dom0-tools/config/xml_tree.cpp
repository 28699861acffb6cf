// SPDX-License-Identifier: GPL-2.0-only
#include "config/xml_tree.hpp"

#include <algorithm>
#include <memory>
#include <optional>

#include <libxml/SAX2.h>
#include <libxml/parser.h>
#include <libxml/parserInternals.h>

#include "config/values.hpp"

namespace streak::config {

namespace {

std::string_view view(const xmlChar* text) {
    return text ? std::string_view(reinterpret_cast<const char*>(text)) : std::string_view();
}

struct Builder {
    xmlParserCtxtPtr parser = nullptr;
    Element root;
    std::vector<Element*> open;
    std::uint32_t nodes = 0;
    std::optional<Finding> fault;

    std::uint32_t line() const { return parser->input ? static_cast<std::uint32_t>(parser->input->line) : 0; }

    /// The line on which the tag that was just read begins: no '<' stands within a tag.
    std::uint32_t tag_line() const {
        std::uint32_t newlines = 0;
        for (const xmlChar* at = parser->input->cur; at-- > parser->input->base && *at != '<';) newlines += *at == '\n';
        return line() - newlines;
    }

    /// Refuses the document: there are no more elements.
    std::nullptr_t stop(std::string text, std::string remedy = {}) {
        if (!fault) fault = Finding{Finding::Fate::refused, line(), "document", std::move(text), std::move(remedy)};
        xmlStopParser(parser);
        return nullptr;
    }

    /// Names go into messages.
    bool accepts_name(std::string_view name) {
        if (name.size() > max_xml_name) stop(cat("expected names of at most ", max_xml_name, " bytes"));
        return name.size() <= max_xml_name;
    }

    Element* push(std::uint32_t attribute_count) {
        nodes += 1 + attribute_count;
        if (open.size() >= max_xml_depth) return stop(cat("elements are nested more than ", max_xml_depth, " deep"));
        if (nodes > max_xml_nodes) return stop(cat("more than ", max_xml_nodes, " elements and attributes"));
        Element* element = open.empty() ? &root : &open.back()->children.emplace_back();
        open.push_back(element);
        return element;
    }
};

std::string qualified(std::string_view prefix, std::string_view name) {
    return prefix.empty() ? std::string(name) : std::string(prefix) + ":" + std::string(name);
}

void start_element(void* self, const xmlChar* name, const xmlChar* prefix, const xmlChar* uri, int, const xmlChar**,
                   int attribute_count, int, const xmlChar** attributes) {
    auto& builder = *static_cast<Builder*>(self);
    Element* element = builder.push(static_cast<std::uint32_t>(attribute_count));
    if (!element) return;
    element->name = qualified(view(prefix), view(name));
    if (!builder.accepts_name(element->name)) return;
    element->foreign = prefix || uri;
    element->line = builder.tag_line();
    for (int i = 0; i < attribute_count; ++i) {
        const xmlChar** const a = attributes + i * 5; // name, prefix, URI, value, end of value
        element->attributes.push_back(
            {.name = qualified(view(a[1]), view(a[0])),
             .value = std::string(reinterpret_cast<const char*>(a[3]), static_cast<std::size_t>(a[4] - a[3])),
             .line = element->line,
             .foreign = a[1] != nullptr});
        if (!builder.accepts_name(element->attributes.back().name)) return;
    }
}

void end_element(void* self, const xmlChar*, const xmlChar*, const xmlChar*) {
    auto& builder = *static_cast<Builder*>(self);
    if (!builder.open.empty()) builder.open.pop_back();
}

void characters(void* self, const xmlChar* text, int length) {
    auto& builder = *static_cast<Builder*>(self);
    if (!builder.open.empty())
        builder.open.back()->value.append(reinterpret_cast<const char*>(text), static_cast<std::size_t>(length));
}

void document_type(void* self, const xmlChar*, const xmlChar*, const xmlChar*) {
    static_cast<Builder*>(self)->stop("a document type declaration is not accepted",
                                      "Remove <!DOCTYPE …>; write &lt; &gt; &amp; &quot; or numeric references");
}

void syntax_error(void* self, xmlErrorPtr error) {
    auto& builder = *static_cast<Builder*>(self);
    if (builder.fault || error->level != XML_ERR_FATAL) return;
    // libxml2 cuts what it quotes, also within a character.
    std::string text(trimmed(error->message ? error->message : ""));
    for (char& c : text) c = c == '\n' ? ' ' : static_cast<unsigned char>(c) < 0x80 ? c : '?';
    builder.fault = Finding{Finding::Fate::refused, static_cast<std::uint32_t>(std::max(error->line, 0)), "document",
                            "not well-formed XML: " + shortened(text, 300), "xmllint --noout FILE shows the place"};
}

xmlSAXHandler handler() {
    xmlSAXHandler sax{};
    sax.initialized = XML_SAX2_MAGIC;
    sax.startElementNs = start_element;
    sax.endElementNs = end_element;
    sax.characters = characters;
    sax.cdataBlock = characters;
    sax.ignorableWhitespace = characters;
    sax.internalSubset = document_type;
    sax.serror = syntax_error;
    return sax;
}

} // namespace

const Element* Element::child(std::string_view wanted) const {
    const auto found = std::ranges::find(children, wanted, &Element::name);
    return found == children.end() ? nullptr : &*found;
}

const Node* Element::attribute(std::string_view wanted) const {
    const auto found = std::ranges::find(attributes, wanted, &Node::name);
    return found == attributes.end() ? nullptr : &*found;
}

std::string_view Element::get(std::string_view wanted) const {
    const Node* const found = attribute(wanted);
    return found ? std::string_view(found->value) : std::string_view();
}

std::expected<Element, Finding> parse_tree(std::string_view text) {
    const auto refused = [](std::string why, std::string remedy = "") {
        return std::unexpected(Finding{Finding::Fate::refused, 1, "document", std::move(why), std::move(remedy)});
    };
    if (text.size() > max_xml_bytes)
        return refused(cat("expected at most 1 MiB of XML; found ", text.size(), " bytes"));
    if (text.find_first_not_of(" \t\r\n") == text.npos) return refused("the document is empty");
    if (text.find('\0') != text.npos) return refused("the document holds a zero byte", "Store it as UTF-8");
    const std::unique_ptr<xmlParserCtxt, decltype(&xmlFreeParserCtxt)> parser(xmlNewParserCtxt(), xmlFreeParserCtxt);
    if (!parser) return refused("out of memory");
    Builder builder;
    builder.parser = parser.get();
    *parser->sax = handler();
    parser->userData = &builder;
    // The encoding is given, so that none of the declaration's choosing makes the C library open converters.
    xmlCtxtReadMemory(parser.get(), text.data(), static_cast<int>(text.size()), nullptr, "UTF-8",
                      XML_PARSE_NONET | XML_PARSE_BIG_LINES);
    if (builder.fault) return std::unexpected(*builder.fault);
    if (!parser->wellFormed || builder.root.name.empty()) return refused("not well-formed XML");
    return std::move(builder.root);
}

} // namespace streak::config
