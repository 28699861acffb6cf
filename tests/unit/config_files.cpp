// SPDX-License-Identifier: GPL-2.0-only
#include <catch2/catch_test_macros.hpp>

#include "config/text_edit.hpp"
#include "config_samples.hpp"

using namespace streak;
using namespace streak::config;

namespace {

std::string_view fate_of(const Finding& finding) {
    constexpr std::string_view names[] = {"used", "ignored", "refused"};
    return names[static_cast<std::size_t>(finding.fate)];
}

bool meets(const Finding& finding, const samples::Expectation& e) {
    const bool has_text =
        finding.text.find(e.text) != std::string::npos || finding.remedy.find(e.text) != std::string::npos;
    return fate_of(finding) == e.fate && finding.element == e.element && finding.line == e.line && has_text;
}

} // namespace

TEST_CASE("config: each golden and hostile file has the findings it says", "[config]") {
    REQUIRE(samples::all().size() >= 60);
    for (const samples::Sample& sample : samples::all()) {
        INFO(sample.name);
        const Parsed parsed = sample.parse();
        INFO(parsed.as_error().what);
        CHECK(parsed.accepted() == sample.accepted);
        CHECK((sample.accepted || !sample.expectations.empty()));
        for (const samples::Expectation& e : sample.expectations) {
            INFO("expected: " << e.fate << " " << e.element << " line " << e.line << ": " << e.text);
            const auto there = std::ranges::any_of(parsed.findings, [&](const Finding& f) { return meets(f, e); });
            CHECK(there);
        }
        for (const Finding& finding : parsed.findings) {
            if (finding.fate == Finding::Fate::used) continue;
            INFO(finding.element << ": " << finding.text);
            CHECK(!finding.text.empty());
            if (finding.fate != Finding::Fate::refused) continue;
            CHECK(std::ranges::any_of(sample.expectations,
                                      [&](const samples::Expectation& e) { return meets(finding, e); }));
        }
    }
}

TEST_CASE("config: what is accepted survives being written as XML and as JSON", "[config]") {
    for (const samples::Sample& sample : samples::all()) {
        if (!sample.accepted) continue;
        INFO(sample.name);
        const Parsed parsed = sample.parse();
        const auto back = from_json(to_json(parsed));
        REQUIRE(back.has_value());
        CHECK(back->definition == parsed.definition);
        CHECK(back->findings == parsed.findings);
        if (sample.device()) continue;
        const Parsed again = parse_xml(to_xml(parsed.definition));
        INFO(again.as_error().what);
        CHECK(again.accepted());
        CHECK(again.definition == parsed.definition);
    }
}

TEST_CASE("config: refusals survive JSON", "[config]") {
    for (const samples::Sample& sample : samples::all()) {
        if (sample.accepted) continue;
        INFO(sample.name);
        const Parsed parsed = sample.parse();
        const auto back = from_json(to_json(parsed));
        REQUIRE(back.has_value());
        CHECK(!back->accepted());
        CHECK(back->findings == parsed.findings);
    }
}

TEST_CASE("config: a UUID or another name changes nothing else of a definition's text", "[config]") {
    const auto uuid = base::Uuid::parse("0f5e2c14-9d0c-4a8e-8a53-7f7b3ad1c0de");
    for (const samples::Sample& sample : samples::all()) {
        if (!sample.accepted || sample.device()) continue;
        INFO(sample.name);
        Definition expected = sample.parse().definition;
        const std::string with = with_uuid(sample.text, *uuid);
        expected.uuid = uuid;
        CHECK(parse_xml(with).definition == expected);
        CHECK(with_uuid(with, *uuid) == with);
        expected.name = "a<new> & 'other' name";
        const std::string renamed = with_name(with, expected.name);
        CHECK(parse_xml(renamed).definition == expected);
        CHECK(parse_xml(renamed).findings.size() == parse_xml(with).findings.size());
    }
}
