// SPDX-License-Identifier: GPL-2.0-only
#include <catch2/catch_test_macros.hpp>

#include <map>
#include <set>

#include <libxml/parser.h>
#include <libxml/relaxng.h>

#include "config/vocabulary.hpp"
#include "config_samples.hpp"

using namespace streak;
using namespace streak::config;

namespace {

/// A RelaxNG schema, loaded once.
class Schema {
public:
    explicit Schema(const char* path) {
        const auto parser = xmlRelaxNGNewParserCtxt(path);
        schema_ = xmlRelaxNGParse(parser);
        xmlRelaxNGFreeParserCtxt(parser);
    }
    ~Schema() { xmlRelaxNGFree(schema_); }
    Schema(const Schema&) = delete;
    Schema& operator=(const Schema&) = delete;

    explicit operator bool() const { return schema_ != nullptr; }
    /// Nothing when the text is valid, else libxml2's first complaint.
    std::string complaint(const std::string& text) const {
        const auto document =
            xmlReadMemory(text.data(), static_cast<int>(text.size()), nullptr, "UTF-8", XML_PARSE_NOERROR);
        if (!document) return "not well-formed";
        std::string first;
        const auto valid = xmlRelaxNGNewValidCtxt(schema_);
        xmlRelaxNGSetValidStructuredErrors(
            valid,
            [](void* into, xmlErrorPtr error) {
                if (auto& text = *static_cast<std::string*>(into); text.empty())
                    text = "line " + std::to_string(error->line) + ": " + error->message;
            },
            &first);
        const int result = xmlRelaxNGValidateDoc(valid, document);
        xmlRelaxNGFreeValidCtxt(valid);
        xmlFreeDoc(document);
        return result == 0 ? "" : "invalid: " + first;
    }

private:
    xmlRelaxNGPtr schema_ = nullptr;
};

bool paravirtual(const std::string& text) {
    return text.find("type='xen'") != text.npos && text.find(">hvm<") == text.npos &&
           text.find(">xenpvh<") == text.npos;
}

constexpr const char* libvirt_folder = "/usr/share/libvirt/schemas/";

/// libvirt's grammar as a structure: which names its patterns have below which, whatever their order and conditions.
class Grammar {
public:
    struct Pattern {
        bool attribute = false;
        std::string name;
        std::vector<xmlNodePtr> nodes;
    };

    Grammar() { load("domain.rng"); }
    ~Grammar() {
        for (const xmlDocPtr document : documents_) xmlFreeDoc(document);
    }
    Grammar(const Grammar&) = delete;
    Grammar& operator=(const Grammar&) = delete;

    const std::vector<xmlNodePtr>& definition(const std::string& name) { return definitions_[name]; }

    /// The elements and attributes right below `nodes`, those of one name as one; other namespaces' are left out.
    std::map<std::string, Pattern> below(const std::vector<xmlNodePtr>& nodes) {
        std::map<std::string, Pattern> found;
        std::set<std::string> seen;
        for (const xmlNodePtr node : nodes) collect(node, found, seen);
        return found;
    }

private:
    static std::string attribute(xmlNodePtr node, const char* name) {
        xmlChar* const value = xmlGetProp(node, BAD_CAST name);
        std::string text = value ? reinterpret_cast<const char*>(value) : "";
        xmlFree(value);
        return text;
    }

    void load(const std::string& file) {
        documents_.push_back(xmlReadFile((libvirt_folder + file).c_str(), nullptr, 0));
        REQUIRE(documents_.back());
        define(xmlDocGetRootElement(documents_.back()));
    }
    void define(xmlNodePtr parent) {
        for (xmlNodePtr node = parent->children; node; node = node->next) {
            if (node->type != XML_ELEMENT_NODE) continue;
            const std::string_view kind = reinterpret_cast<const char*>(node->name);
            if (kind == "include") {
                load(attribute(node, "href"));
                define(node);
            }
            if (kind == "define") definitions_[attribute(node, "name")].push_back(node);
        }
    }
    void collect(xmlNodePtr parent, std::map<std::string, Pattern>& found, std::set<std::string>& seen) {
        for (xmlNodePtr node = parent->children; node; node = node->next) {
            if (node->type != XML_ELEMENT_NODE) continue;
            const std::string_view kind = reinterpret_cast<const char*>(node->name);
            const std::string name = attribute(node, "name");
            if (kind == "element" || kind == "attribute") {
                if (name.empty() || !attribute(node, "ns").empty()) continue;
                Pattern& pattern = found[(kind == "attribute" ? "@" : "") + name];
                pattern.attribute = kind == "attribute";
                pattern.name = (pattern.attribute ? "@" : "") + name;
                pattern.nodes.push_back(node);
            } else if (kind != "ref") {
                collect(node, found, seen);
            } else if (seen.insert(name).second) {
                for (const xmlNodePtr definition : definitions_[name]) collect(definition, found, seen);
            }
        }
    }

    std::vector<xmlDocPtr> documents_;
    std::map<std::string, std::vector<xmlNodePtr>> definitions_;
};

/// Names below `place` that the vocabulary lacks, in the elements that are used.
void find_unknown(Grammar& grammar, const std::vector<xmlNodePtr>& nodes, const std::string& place,
                  std::vector<std::string>& unknown, std::size_t& known) {
    for (const auto& [name, pattern] : grammar.below(nodes)) {
        const Rule* const rule = find_rule(place, name);
        if (!rule) unknown.push_back(place + "/" + name);
        else ++known;
        if (rule && rule->fate == Finding::Fate::used && !pattern.attribute)
            find_unknown(grammar, pattern.nodes, place + "/" + name, unknown, known);
    }
}

} // namespace

TEST_CASE("config: the installed schema accepts what is accepted, as given and as written", "[config]") {
    const Schema schema("dom0-tools/config/domain.rng");
    REQUIRE(schema);
    for (const samples::Sample& sample : samples::all()) {
        if (sample.device()) continue;
        INFO(sample.name);
        if (sample.schema_refuses) CHECK(schema.complaint(sample.text) != "");
        if (!sample.accepted) continue;
        CHECK(schema.complaint(sample.text) == "");
        CHECK(schema.complaint(to_xml(sample.parse().definition)) == "");
    }
}

TEST_CASE("config: the installed schema accepts what libvirt's accepts of Xen PV domains", "[config]") {
    const std::string path = std::string(libvirt_folder) + "domain.rng";
    if (!std::filesystem::exists(path)) {
        WARN("libvirt's schema is not installed (package libvirt0)");
        return;
    }
    const Schema libvirt(path.c_str()), ours("dom0-tools/config/domain.rng");
    REQUIRE(libvirt);
    std::size_t valid = 0, accepted = 0;
    for (const samples::Sample& sample : samples::all()) {
        if (sample.device() || !paravirtual(sample.text) || !libvirt.complaint(sample.text).empty()) continue;
        INFO(sample.name);
        ++valid;
        accepted += sample.accepted;
        CHECK(ours.complaint(sample.text) == "");
        for (const Finding& finding : sample.parse().findings) CHECK(!finding.text.starts_with("unknown"));
    }
    CHECK(valid >= 60);
    CHECK(accepted >= 20);
}

TEST_CASE("config: every name that libvirt's schema has below a used element is known", "[config]") {
    if (!std::filesystem::exists(libvirt_folder)) {
        WARN("libvirt's schema is not installed (package libvirt0)");
        return;
    }
    Grammar grammar;
    std::vector<std::string> unknown;
    std::size_t known = 0;
    find_unknown(grammar, grammar.definition("domaincontents"), "domain", unknown, known);
    CHECK(unknown == std::vector<std::string>{});
    CHECK(known > 300);
}
