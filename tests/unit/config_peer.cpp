// SPDX-License-Identifier: GPL-2.0-only
#include <catch2/catch_test_macros.hpp>

#include <algorithm>
#include <string>

#include <sys/mman.h>
#include <unistd.h>

#include "config/report.hpp"

// What goes wrong, silently or confusingly, when xl of Xen 4.17 reads a configuration, and how it ends here.

using namespace streak;
using namespace streak::config;

namespace {

struct Parts {
    std::string name = "<name>web</name>", memory = "<memory unit='MiB'>128</memory>", vcpu = "<vcpu>1</vcpu>";
    std::string type = "<type machine='xenpv'>linux</type>", kernel = "<kernel>/boot/vmlinuz</kernel>", devices{},
                more{};
};

/// Each part on a line of its own: name 2, memory 3, vcpu 4, type 6, devices 9.
Parsed parse(const Parts& p) {
    return parse_xml("<domain type='xen'>\n" + p.name + "\n" + p.memory + "\n" + p.vcpu + "\n<os>\n" + p.type + "\n" +
                     p.kernel + "</os>\n<devices>\n" + p.devices + "</devices>" + p.more + "</domain>");
}

/// The one refusal that is about `element`, as people read it; empty: none.
std::string refusal(const Parsed& parsed, std::string_view element) {
    for (const Finding& f : parsed.findings)
        if (f.fate == Finding::Fate::refused && f.element == element)
            return "line " + std::to_string(f.line) + ": " + f.text + (f.remedy.empty() ? "" : ". " + f.remedy);
    return {};
}

bool contains(const std::string& text, std::string_view part) { return text.find(part) != text.npos; }

const std::string disk_of = "<disk type='file'><source file='/a'/>";

} // namespace

TEST_CASE("peer 4: a memory or vCPU number that is none is refused, not replaced by a default", "[config][peer]") {
    const auto text = refusal(parse({.memory = "<memory>128M</memory>"}), "domain/memory");
    CHECK(contains(text, "line 3: expected a number; found '128M'"));
    CHECK(contains(text, "unit='MiB'"));
    CHECK(contains(refusal(parse({.memory = "<memory>abc</memory>"}), "domain/memory"), "found 'abc'"));
    CHECK(contains(refusal(parse({.memory = ""}), "domain/memory"), "needs memory"));
    CHECK(contains(refusal(parse({.memory = "<memroy>65536</memroy>"}), "domain/memroy"),
                   "line 3: unknown element. Did you mean memory?"));
    CHECK(contains(refusal(parse({.vcpu = "<vcpu>two</vcpu>"}), "domain/vcpu"),
                   "line 4: expected a number from 1 to 128"));
    CHECK(parse({}).accepted());
}

TEST_CASE("peer 5: unknown keys and malformed devices are refused, not left out", "[config][peer]") {
    CHECK(contains(refusal(parse({.more = "<colour>blue</colour>"}), "domain/colour"), "unknown element"));
    CHECK(contains(refusal(parse({.more = "<vcpu current='4'/>"}), "domain/vcpu[2]"), "more than one <vcpu>"));
    CHECK(contains(refusal(parse({.devices = "format=raw"}), "domain/devices"), "found the text 'format=raw'"));
    CHECK(contains(
        refusal(parse({.devices = "<interface type='bridge'><source bridge='br0'/><mac address='zz:00'/></interface>"}),
                "domain/devices/interface/mac/@address"),
        "line 9: expected an address such as 00:16:3e:01:02:03; found 'zz:00'"));
    CHECK(contains(refusal(parse({.devices = "<interface type='bridge'><source brigde='xenbr0'/></interface>"}),
                           "domain/devices/interface/source/@brigde"),
                   "Did you mean @bridge?"));
}

TEST_CASE("peer 6: impossible numbers of vCPUs and contradicting memory sizes are refused", "[config][peer]") {
    for (const char* const count : {"0", "129", "1000", "9000", "99999999999999999999"})
        CHECK(contains(refusal(parse({.vcpu = std::string("<vcpu>") + count + "</vcpu>"}), "domain/vcpu"),
                       "from 1 to 128"));
    CHECK(contains(refusal(parse({.memory = "<memory>32768</memory><currentMemory>65536</currentMemory>"}),
                           "domain/currentMemory"),
                   "expected at most <memory>, 32768 KiB; found 65536 KiB"));
}

TEST_CASE("peer 7: empty, path-like and numeric names are refused", "[config][peer]") {
    for (const char* const name : {"", "a/b", "7", "../x", "a\nb", " a", "5b1d5d3e-6f5a-4cc0-8d0f-2a3b4c5d6e7f"}) {
        INFO(name);
        CHECK(!check_name(name));
        CHECK(!refusal(parse({.name = std::string("<name>") + name + "</name>"}), "domain/name").empty());
    }
    for (const char* const name : {"a", "7a", "a b", "büro", "a.b-c_d"}) CHECK(check_name(name));
}

TEST_CASE("peer 17: what cannot run here is refused with the reason and a way out", "[config][peer]") {
    const auto hvm = refusal(parse({.type = "<type>hvm</type>"}), "domain/os/type");
    CHECK(contains(hvm, "line 6: expected linux or xen; found 'hvm'"));
    CHECK(contains(hvm, "Only paravirtual guests run here"));
    CHECK(
        contains(refusal(parse({.type = "<type machine='xenpvh'>xenpvh</type>"}), "domain/os/type/@machine"), "xenpv"));
    const auto qcow2 =
        refusal(parse({.devices = disk_of + "<driver name='qemu' type='qcow2'/><target dev='xvda'/></disk>"}),
                "domain/devices/disk/driver/@type");
    CHECK(contains(qcow2, "line 9: expected raw; found 'qcow2'"));
    CHECK(contains(qcow2, "qemu-img convert -O raw"));
    CHECK(contains(refusal(parse({.kernel = "", .more = "<bootloader>pygrub</bootloader>"}), "domain/bootloader"),
                   "grub-xen"));
}

TEST_CASE("peer 20: a syntax error names its line; a wrong value is no syntax error", "[config][peer]") {
    CHECK(contains(refusal(parse({.memory = "<memory>-1</memory>"}), "domain/memory"),
                   "line 3: expected a number; found '-1'"));
    const Parsed parsed = parse({.memory = "<memory>1</memry>"});
    REQUIRE(parsed.findings.size() == 1);
    CHECK(parsed.findings[0].line == 3);
    CHECK(contains(parsed.findings[0].text, "not well-formed XML"));
    CHECK(contains(parse_xml("name = 'web'\nmemory = -1\n").as_error().text(), "line 1, document"));
}

TEST_CASE("peer 22: a check finds everything at once, and nothing is printed by a library", "[config][peer]") {
    const int file = ::memfd_create("stderr", 0), kept = ::dup(2);
    ::dup2(file, 2);
    const Parsed parsed = parse({.name = "<name>7</name>",
                                 .memory = "<memory>abc</memory>",
                                 .vcpu = "<vcpu>0</vcpu>",
                                 .kernel = "<kernel>nope</kernel>",
                                 .devices = disk_of + "<target dev='vda'/></disk>"});
    (void)parse_xml("<domain><broken");
    (void)parse_xml("<!DOCTYPE d SYSTEM 'http://192.0.2.1/x'><d/>");
    ::dup2(kept, 2);
    CHECK(::lseek(file, 0, SEEK_END) == 0);
    ::close(file);
    ::close(kept);
    for (const char* const element :
         {"domain/name", "domain/memory", "domain/vcpu", "domain/os/kernel", "domain/devices/disk/target/@dev"})
        CHECK(!refusal(parsed, element).empty());
    const std::string text = parsed.as_error().text();
    CHECK(std::ranges::count(text, '\n') == 4);
}
