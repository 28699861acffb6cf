// SPDX-License-Identifier: GPL-2.0-only
#pragma once

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <string>
#include <string_view>
#include <vector>

#include "config/report.hpp"

// Definitions in tests/unit/xml, each with what is expected of it in comments at its head:
//   <!-- expect: accepted -->                                       nothing is refused
//   <!-- expect: refused domain/memory line 5: expected a number --> this is refused, and nothing without such a line
//   <!-- expect: ignored domain/devices/graphics line 9: text -->   this is ignored (others may be, too)
//   <!-- expect: used PATH line N: … -->                            likewise
//   <!-- schema: refused -->                                        domain.rng refuses it, too
// What follows the colon must be in the finding's text or remedy. A file whose name begins with device- is one device.

namespace streak::config::samples {

struct Expectation {
    std::string fate, element, text;
    std::uint32_t line = 0;
};

struct Sample {
    std::string name, text;
    std::vector<Expectation> expectations;
    bool accepted = false, schema_refuses = false;

    bool device() const { return name.starts_with("device-"); }
    Parsed parse() const { return device() ? parse_device_xml(text) : parse_xml(text); }
};

inline Expectation read_expectation(std::string_view line) {
    std::istringstream words{std::string(line)};
    Expectation e;
    std::string word;
    words >> e.fate >> e.element >> word >> e.line;
    if (words.get() == ':') std::getline(words >> std::ws, e.text);
    return e;
}

inline Sample read_sample(const std::filesystem::path& path) {
    std::ifstream file(path, std::ios::binary);
    Sample sample{.name = path.filename().string(), .text = {}, .expectations = {}};
    sample.text.assign(std::istreambuf_iterator<char>(file), {});
    constexpr std::string_view mark = "<!-- expect: ", end = " -->";
    sample.schema_refuses = sample.text.find("<!-- schema: refused -->") != std::string::npos;
    for (std::size_t at = sample.text.find(mark); at != std::string::npos; at = sample.text.find(mark, at + 1)) {
        const std::size_t begin = at + mark.size();
        const std::string line = sample.text.substr(begin, sample.text.find(end, begin) - begin);
        if (line == "accepted") sample.accepted = true;
        else sample.expectations.push_back(read_expectation(line));
    }
    return sample;
}

/// All of them, by name.
inline const std::vector<Sample>& all() {
    static const auto samples = [] {
        std::vector<Sample> found;
        for (const auto& entry : std::filesystem::directory_iterator("tests/unit/xml"))
            found.push_back(read_sample(entry.path()));
        std::ranges::sort(found, {}, &Sample::name);
        return found;
    }();
    return samples;
}

} // namespace streak::config::samples
