// SPDX-License-Identifier: GPL-2.0-only

// A definition from whoever, as XML, and answers of a parser that was taken over, packed (after a zero byte) and as JSON
// (after '{'). What is accepted must survive every form it is written in.

#include <string_view>

#include "config/packed.hpp"
#include "config/text_edit.hpp"
#include "input.hpp"

using namespace streak;
using namespace streak::config;
using fuzz::require;

namespace {

fuzz::Fault other_name("other-name");

void check_forms(const Parsed& parsed) {
    const auto unpacked = unpack(pack(parsed));
    require(unpacked && unpacked->findings == parsed.findings);
    const auto json = from_json(to_json(parsed));
    require(json && json->findings == parsed.findings);
    if (!parsed.accepted()) return;
    require(unpacked->definition == parsed.definition && json->definition == parsed.definition);
    if (parsed.definition.name.empty()) return;
    Parsed again = parse_xml(to_xml(parsed.definition));
    if (other_name) again.definition.name += 'x';
    require(again.accepted() && again.definition == parsed.definition);
}

void check_edits(std::string_view text, const Parsed& parsed) {
    const auto uuid = *base::Uuid::parse("0f5e2c14-9d0c-4a8e-8a53-7f7b3ad1c0de");
    const std::string edited = with_name(with_uuid(text, uuid), "a<&>'b");
    if (!parsed.accepted()) return;
    Definition expected = parsed.definition;
    expected.uuid = uuid;
    expected.name = "a<&>'b";
    require(parse_xml(edited).definition == expected);
}

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t bytes) {
    const std::string_view text(reinterpret_cast<const char*>(data), bytes);
    if (text.starts_with('\0')) {
        if (const auto parsed = unpack(text.substr(1))) check_forms(*parsed);
    } else if (text.starts_with('{')) {
        if (const auto parsed = from_json(text)) check_forms(*parsed);
    } else {
        const Parsed parsed = parse_xml(text);
        check_forms(parsed);
        check_edits(text, parsed);
        check_forms(parse_device_xml(text));
    }
    return 0;
}
