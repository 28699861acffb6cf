// SPDX-License-Identifier: GPL-2.0-only
#include <catch2/catch_test_macros.hpp>

#include <string>

#include "config/packed.hpp"
#include "config/text_edit.hpp"
#include "config/values.hpp"
#include "config/xml_tree.hpp"
#include "config_samples.hpp"

// Input too large for files, and input of the side that must not be trusted either: the parser's.

using namespace streak;
using namespace streak::config;

namespace {

std::string around(std::string_view inner) {
    return cat("<domain type='xen'><name>n</name><memory>65536</memory><os><type>xen</type><kernel>/k</kernel></os>",
               inner, "</domain>");
}

std::string repeated(std::string_view text, std::size_t times) {
    std::string all;
    for (std::size_t i = 0; i < times; ++i) all += text;
    return all;
}

std::string first_refusal(const Parsed& parsed) {
    for (const Finding& f : parsed.findings)
        if (f.fate == Finding::Fate::refused) return f.text;
    return {};
}

/// `json` with the value after the first `"name":` replaced.
std::string with_member(std::string json, std::string_view name, std::string_view value) {
    const std::size_t begin = json.find(cat("\"", name, "\":")) + name.size() + 3;
    REQUIRE(begin > name.size() + 3);
    const std::size_t end = json[begin] == '"' ? json.find('"', begin + 1) + 1 : json.find_first_of(",}", begin);
    return json.replace(begin, end - begin, value);
}

const Parsed& complete() {
    static const Parsed parsed = [] {
        for (const auto& sample : samples::all())
            if (sample.name == "complete.xml") return sample.parse();
        return Parsed{};
    }();
    return parsed;
}

} // namespace

TEST_CASE("config: a document has at most 1 MiB, 10000 nodes and names of 128 bytes", "[config]") {
    CHECK(parse_xml(around("<description>" + std::string(900'000, 'x') + "</description>")).accepted());
    CHECK(first_refusal(parse_xml(around("<description>" + std::string(1 << 20, 'x') + "</description>")))
              .starts_with("expected at most 1 MiB of XML; found"));
    CHECK(parse_xml(around("<metadata>" + repeated("<a/>", 9'900) + "</metadata>")).accepted());
    CHECK(first_refusal(parse_xml(around("<metadata>" + repeated("<a/>", 10'000) + "</metadata>"))) ==
          "more than 10000 elements and attributes");
    CHECK(first_refusal(parse_xml(around("<metadata>" + repeated("<a b='' c='' d=''/>", 2'500) + "</metadata>"))) ==
          "more than 10000 elements and attributes");
    CHECK(first_refusal(parse_xml(around("<" + std::string(129, 'n') + "/>"))) ==
          "expected names of at most 128 bytes");
    CHECK(first_refusal(parse_xml(around("<os " + std::string(129, 'n') + "=''/>"))) ==
          "expected names of at most 128 bytes");
    CHECK(first_refusal(parse_xml("")) == "the document is empty");
    CHECK(first_refusal(parse_xml(" \n")) == "the document is empty");
    CHECK(first_refusal(parse_xml(std::string("<domain\0/>", 10))) == "the document holds a zero byte");
    CHECK(!parse_xml(std::string("\xff\xfe<\0d\0/\0>\0", 10)).accepted());
}

TEST_CASE("config: many faults are told, but not all of them", "[config]") {
    const Parsed parsed = parse_xml(around(repeated("<x/>", 9'900)));
    CHECK(parsed.findings.size() > 9'900);
    const std::string text = parsed.as_error().text();
    CHECK(text.ends_with("\nand 9850 more"));
    CHECK(text.size() < 20'000);
    CHECK(unpack(pack(parsed))->findings == parsed.findings);
}

TEST_CASE("config: what libxml2 quotes of a document is made printable", "[config]") {
    const Parsed parsed = parse_xml("<!-- " + repeated("ü", 100));
    CHECK(first_refusal(parsed).find("Comment not terminated") != std::string::npos);
    CHECK(is_utf8(first_refusal(parsed)));
    CHECK(first_refusal(parsed).find('\n') == std::string::npos);
    CHECK(unpack(pack(parsed))->findings == parsed.findings);
}

TEST_CASE("config: at most 128 disks and interfaces, and short lists of CPUs", "[config]") {
    std::string disks;
    for (int i = 1; i <= 129; ++i)
        disks += cat("<disk type='file'><source file='/d'/><target dev='xvdz", i, "'/></disk>");
    CHECK(first_refusal(parse_xml(around("<devices>" + disks + "</devices>"))) ==
          "expected at most 128 disks; found 129");
    const std::string nic = "<interface type='bridge'><source bridge='b'/></interface>";
    CHECK(parse_xml(around("<devices>" + repeated(nic, 128) + "</devices>")).accepted());
    CHECK(!parse_xml(around("<devices>" + repeated(nic, 129) + "</devices>")).accepted());
    CHECK(!parse_cpu_list(repeated("0-4095,", 100'000) + "0"));
    CHECK(parse_cpu_list("0-4095")->size() == 4096);
    CHECK(!parse_cpu_list("0-4096"));
    CHECK(!parse_cpu_list(""));
    CHECK(!parse_cpu_list("1,"));
    CHECK(!parse_cpu_list("^1-2"));
    CHECK(parse_cpu_list("2,0-1,^1") == CpuList{0, 2});
}

TEST_CASE("config: units of memory are libvirt's", "[config]") {
    const std::pair<const char*, std::uint64_t> units[] = {{"", 1024},
                                                           {"b", 1},
                                                           {"bytes", 1},
                                                           {"KB", 1000},
                                                           {"k", 1024},
                                                           {"KiB", 1024},
                                                           {"MB", 1'000'000},
                                                           {"M", 1 << 20},
                                                           {"MiB", 1 << 20},
                                                           {"mib", 1 << 20},
                                                           {"GB", 1'000'000'000},
                                                           {"G", 1 << 30},
                                                           {"GiB", 1 << 30},
                                                           {"TB", 1'000'000'000'000},
                                                           {"T", 1ull << 40},
                                                           {"TiB", 1ull << 40},
                                                           {"EiB", 1ull << 60}};
    for (const auto& [unit, bytes] : units) {
        INFO(unit);
        CHECK(unit_bytes(unit) == bytes);
    }
    for (const char* const unit : {"x", "KIB ", "KiBs", "bit", "MMiB", "ZiB"}) CHECK(!unit_bytes(unit));
}

TEST_CASE("config: JSON of whoever is checked member by member", "[config]") {
    const std::string good = to_json(complete());
    REQUIRE(from_json(good));
    for (const std::string_view bad : {"", "{", "[]", "null", "7", "\"x\"", "{}", "{\"findings\":[]}",
                                       "{\"findings\":[],\"accepted\":true,\"device\":false}",
                                       "{\"findings\":[],\"accepted\":true,\"device\":false,\"definition\":[]}",
                                       "{\"findings\":[],\"accepted\":false,\"device\":false}",
                                       "{\"findings\":{},\"accepted\":true,\"device\":true}", "\xff\xfe"})
        CHECK(!from_json(bad));
    CHECK(!from_json(std::string(1 << 20, '[')));
    const std::pair<const char*, const char*> changes[] = {{"max_memory_kib", "-1"},
                                                           {"max_memory_kib", "18446744073709551615"},
                                                           {"max_memory_kib", "1e30"},
                                                           {"memory_kib", "4194304"},
                                                           {"memory_kib", "\"5\""},
                                                           {"memory_kib", "65537"},
                                                           {"max_vcpus", "0"},
                                                           {"max_vcpus", "129"},
                                                           {"vcpus", "5"},
                                                           {"cpus", "\"0-99999\""},
                                                           {"cpus", "\"x\""},
                                                           {"weight", "0"},
                                                           {"weight", "65536"},
                                                           {"cap", "65536"},
                                                           {"kernel", "\"relative\""},
                                                           {"kernel", "\"\""},
                                                           {"kernel", "\"/a\\nb\""},
                                                           {"on_crash", "\"explode\""},
                                                           {"clock", "\"moon\""},
                                                           {"tsc_mode", "3"},
                                                           {"uuid", "\"5\""},
                                                           {"uuid", "\"00000000-0000-0000-0000-000000000000\""},
                                                           {"target", "\"vda\""},
                                                           {"target", "\"xvdb\""},
                                                           {"mac", "\"01:00:00:00:00:01\""},
                                                           {"mac", "\"x\""},
                                                           {"vifname", "\"a/b\""},
                                                           {"bridge", "\"\""},
                                                           {"bridge", "\"../..\""},
                                                           {"link_up", "1"},
                                                           {"accepted", "false"},
                                                           {"line", "-1"},
                                                           {"fate", "\"refused\""},
                                                           {"fate", "\"?\""},
                                                           {"max_grant_frames", "65536"},
                                                           {"autostart", "null"},
                                                           {"clock_offset_seconds", "2147483648"},
                                                           {"outbound_kib_per_s", "-5"},
                                                           {"address", "\"192.0.2.300\""}};
    for (const auto& [name, value] : changes) {
        INFO(name << " = " << value);
        const auto result = from_json(with_member(good, name, value));
        REQUIRE(!result);
        CHECK(result.error().kind == base::ErrorKind::internal);
    }
    const std::string name_member = "\"definition\":{\"name\":\"";
    for (const char* const name : {"a/b", "7", "", "x\\ny"}) {
        std::string changed = good;
        const std::size_t at = changed.find(name_member) + name_member.size();
        changed.replace(at, changed.find('"', at) - at, name);
        INFO(name);
        CHECK(!from_json(changed));
    }
}

TEST_CASE("config: the sandbox's answer is checked, however it is damaged", "[config]") {
    const std::string good = pack(complete());
    REQUIRE(unpack(good));
    CHECK(unpack(good)->definition == complete().definition);
    for (std::size_t bytes = 0; bytes < good.size(); ++bytes) CHECK(!unpack(std::string_view(good).substr(0, bytes)));
    CHECK(!unpack(good + "x"));
    for (std::size_t at = 0; at < good.size(); ++at)
        for (const char value : {'\0', '\x7f', '\xff'}) {
            std::string damaged = good;
            damaged[at] = value;
            const auto result = unpack(damaged);
            if (!result) continue;
            const Definition& d = result->definition;
            CHECK(check_name(d.name));
            CHECK((!d.kernel.empty() && d.kernel.front() == '/'));
            CHECK((d.vcpus >= 1 && d.vcpus <= d.max_vcpus && d.max_vcpus <= max_vcpus));
            CHECK((d.memory_kib >= min_memory_kib && d.memory_kib <= d.max_memory_kib));
        }
}

TEST_CASE("config: changing text that is no definition is harmless", "[config]") {
    const auto uuid = *base::Uuid::parse("0f5e2c14-9d0c-4a8e-8a53-7f7b3ad1c0de");
    for (const std::string_view text :
         {"", "<", "<>", "</", "<a", "<a/>", "</a></b>", "<!--", "<![CDATA[", "<?", "<a><name", "<a><name>",
          "<a><name>x</a>", "<a b='>'><name/></a>", "<a><name attr='/>'"}) {
        INFO(text);
        (void)with_uuid(text, uuid);
        (void)with_name(text, "x");
    }
    CHECK(with_name("<a b='>'><name/></a>", "x<y") == "<a b='>'><name>x&lt;y</name></a>");
    CHECK(with_uuid("<d>\n  <name>n</name>\n</d>", uuid) ==
          "<d>\n  <name>n</name>\n  <uuid>" + uuid.text() + "</uuid>\n</d>");
    CHECK(with_uuid("<d><b><name>no</name></b><!--<name>--><name a='1'>n</name></d>", uuid) ==
          "<d><b><name>no</name></b><!--<name>--><name a='1'>n</name><uuid>" + uuid.text() + "</uuid></d>");
}

TEST_CASE("config: disks' names have the numbers of the interface's specification", "[config]") {
    const std::pair<const char*, std::uint32_t> names[] = {{"xvda", 51712},
                                                           {"xvda1", 51713},
                                                           {"xvdb", 51728},
                                                           {"xvdp15", 51967},
                                                           {"xvdq", 1u << 28 | 16 << 8},
                                                           {"hda", 768},
                                                           {"hdb5", 768 + 69},
                                                           {"hdc", 5632},
                                                           {"hdd", 5696},
                                                           {"sda", 2048},
                                                           {"sdp15", 2303},
                                                           {"xvdaa", 1u << 28 | 26 << 8},
                                                           {"xvda16", 1u << 28 | 16}};
    for (const auto& [name, number] : names) {
        INFO(name);
        CHECK(virtual_device_number(name) == number);
    }
    for (const char* const name : {"", "x", "xvd", "xvd1", "vda", "hde", "hda64", "sdq", "sda16", "xvda0", "xvda01",
                                   "xvda256", "xvdaaaaa", "xvdA", "xvda-1", "/xvda", "xvda/../b"}) {
        INFO(name);
        CHECK(!virtual_device_number(name));
    }
}

TEST_CASE("config: UUID and MAC addresses that are left open are made, the same ones each time", "[config]") {
    Definition a;
    a.uuid = base::Uuid::parse("0f5e2c14-9d0c-4a8e-8a53-7f7b3ad1c0de");
    a.interfaces.resize(100);
    Definition b = a;
    complete(a);
    complete(b);
    CHECK(a == b);
    for (std::size_t i = 0; i < a.interfaces.size(); ++i) {
        CHECK(to_text(a.interfaces[i].mac).starts_with("00:16:3e:"));
        for (std::size_t j = 0; j < i; ++j) CHECK(a.interfaces[i].mac != a.interfaces[j].mac);
    }
    CHECK(a.interfaces[3].mac == derived_mac(*a.uuid, 3));
    Definition c;
    complete(c);
    CHECK(c.uuid.has_value());
}
