// SPDX-License-Identifier: GPL-2.0-only
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/error.hpp"
#include "config/definition.hpp"

namespace streak::config {

/// What became of one element or attribute.
struct Finding {
    enum class Fate : std::uint8_t { used, ignored, refused };
    static constexpr std::string_view fate_names[] = {"used", "ignored", "refused"};
    Fate fate = Fate::used;
    std::uint32_t line = 0;
    std::string element; ///< path such as `domain/devices/disk[2]/source/@file`
    std::string text;    ///< why it was ignored or refused; what was expected and found
    std::string remedy;
    [[nodiscard]] std::string_view fate_name() const { return fate_names[static_cast<std::size_t>(fate)]; }
    bool operator==(const Finding&) const = default;
};

/// A parsed file. `definition` is to be used only when nothing was refused.
struct Parsed {
    Definition definition;
    std::vector<Finding> findings;
    [[nodiscard]] bool accepted() const;
    /// All refusals, one a line, "line 12, domain/memory: …".
    [[nodiscard]] base::Error as_error() const;
};

/// Reads libvirt's domain XML for `<domain type='xen'>` (docs/domain-xml.md). Never fails otherwise than by findings.
/// To be called in an unprivileged process only: parse_in_sandbox() does that.
[[nodiscard]] Parsed parse_xml(std::string_view text);
/// One element `<disk>` or `<interface>`, for hot-plug; the definition holds just that device.
[[nodiscard]] Parsed parse_device_xml(std::string_view text);

/// The definition as XML of the same form. parse_xml(to_xml(d)).definition == d.
[[nodiscard]] std::string to_xml(const Definition& definition);

/// Both directions for the API and the sandbox; from_json checks every value again (the sandbox is not trusted).
[[nodiscard]] std::string to_json(const Parsed& parsed);
[[nodiscard]] base::Outcome<Parsed> from_json(std::string_view text);

/// parse_xml() in a child process without rights: no files, no network, no new privileges, little memory and time.
[[nodiscard]] base::Outcome<Parsed> parse_in_sandbox(std::string_view text, bool device = false);

} // namespace streak::config
