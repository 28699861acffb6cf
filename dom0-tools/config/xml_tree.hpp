// SPDX-License-Identifier: GPL-2.0-only
#pragma once

#include <cstdint>
#include <expected>
#include <string>
#include <string_view>
#include <vector>

#include "config/report.hpp"

// An XML document as plain elements, read by libxml2's SAX interface: nothing that a document type declaration could
// ask for (entities, files, networks) is ever built.

namespace streak::config {

inline constexpr std::size_t max_xml_bytes = 1 << 20;
inline constexpr std::uint32_t max_xml_depth = 32;
inline constexpr std::uint32_t max_xml_nodes = 10'000; ///< elements and attributes
inline constexpr std::size_t max_xml_name = 128;       ///< bytes

/// An attribute, or what an element has in common with one.
struct Node {
    static constexpr std::size_t no_finding = ~std::size_t{0};

    std::string name;  ///< with its namespace's prefix, when it has one
    std::string value; ///< of an element: its text, as it stands there
    std::uint32_t line = 0;
    bool foreign = false; ///< of a namespace; libvirt's own elements have none
    std::size_t finding = no_finding;
};

struct Element : Node {
    std::vector<Node> attributes;
    std::vector<Element> children;

    [[nodiscard]] const Element* child(std::string_view wanted) const;
    [[nodiscard]] const Node* attribute(std::string_view wanted) const;
    /// The attribute's value, or empty.
    [[nodiscard]] std::string_view get(std::string_view wanted) const;
};

/// The document's root element; or why the text is none, as a refusal.
[[nodiscard]] std::expected<Element, Finding> parse_tree(std::string_view text);

} // namespace streak::config
