// SPDX-License-Identifier: GPL-2.0-only
#pragma once

#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "config/values.hpp"
#include "config/xml_tree.hpp"

// Reading happens in two steps: the vocabulary gives each element and attribute its fate, then the readers of single
// elements take the values of those that are used, and refuse what has a wrong one.

namespace streak::config {

class Reader {
public:
    explicit Reader(std::vector<Finding>& findings) : findings_(findings) {}

    /// Gives all of `element` its findings. `place` is where the vocabulary looks, `path` what people read.
    void classify(Element& element, const std::string& place, const std::string& path);

    void note(const Node& node, std::string text, std::string remedy = {}) {
        set(node, Finding::Fate::used, std::move(text), std::move(remedy));
    }
    void ignore(const Node& node, std::string text, std::string remedy = {}) {
        set(node, Finding::Fate::ignored, std::move(text), std::move(remedy));
    }
    void refuse(const Node& node, std::string text, std::string remedy = {}) {
        set(node, Finding::Fate::refused, std::move(text), std::move(remedy));
    }
    /// The same, for readers of single values.
    std::nullopt_t refused(const Node& node, std::string text, std::string remedy = {}) {
        refuse(node, std::move(text), std::move(remedy));
        return std::nullopt;
    }
    /// Refuses `element` for lack of `name`, an element or attribute ("@dev").
    void refuse_missing(const Element& element, const std::string& name, std::string text, std::string remedy = {});
    /// Whether `node` is there and neither ignored nor refused.
    [[nodiscard]] bool takes(const Node* node) const;

    /// The number in `node`; outside the limits it is refused.
    [[nodiscard]] std::optional<std::uint64_t> number(const Node& node, std::uint64_t least, std::uint64_t most);
    [[nodiscard]] std::optional<CpuList> cpus(const Node& node);
    /// Text of at most `longest` bytes without control characters.
    [[nodiscard]] std::optional<std::string> text(const Node& node, std::size_t longest);
    /// An absolute path.
    [[nodiscard]] std::optional<std::string> path(const Node& node);

    /// The place of `node`'s text among the known ones, as what the places stand for.
    template <class T> [[nodiscard]] std::optional<T> choice(const Node& node, std::span<const std::string_view> known,
                                                             std::string remedy = {}) {
        std::string expected = known.size() == 1 ? "expected " : "expected one of ";
        for (std::size_t i = 0; i < known.size(); ++i) {
            if (trimmed(node.value) == known[i]) return static_cast<T>(i);
            expected += cat(i == 0 ? "" : ", ", known[i]);
        }
        return refused(node, cat(expected, "; found ", quoted(trimmed(node.value))), std::move(remedy));
    }

private:
    void add(Node& node, Finding::Fate fate, std::string path, std::string_view text, std::string_view remedy);
    void classify_attribute(Node& attribute, const std::string& place, const std::string& path);
    /// `again`: an element of this name stood before it.
    void classify_child(Element& child, const std::string& place, const std::string& path, bool again);
    void unknown(Node& node, std::string_view what, const std::string& name, const std::string& place,
                 const std::string& path);
    void set(const Node& node, Finding::Fate fate, std::string text, std::string remedy);

    std::vector<Finding>& findings_;
    unsigned suggestions_left_ = 50; ///< they take time, and nobody reads more
};

void read_domain(Reader& reader, const Element& root, Definition& definition);
void read_clock(Reader& reader, const Element& clock, Definition& definition);
void read_cputune(Reader& reader, const Element& cputune, Definition& definition);
void read_vcpus(Reader& reader, const Element& root, Definition& definition);
void read_devices(Reader& reader, const Element& devices, Definition& definition);
void read_disk(Reader& reader, const Element& disk, Definition& definition);
void read_interface(Reader& reader, const Element& interface, Definition& definition);

} // namespace streak::config
