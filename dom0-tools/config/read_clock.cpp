// SPDX-License-Identifier: GPL-2.0-only
#include <limits>

#include "config/reader.hpp"

namespace streak::config {

namespace {

void read_timer(Reader& reader, const Element& timer, Definition& definition) {
    if (timer.get("name") != "tsc") return reader.ignore(timer, "a paravirtual guest has the hypervisor's clock only");
    const Node* const mode = timer.attribute("mode");
    if (!mode) return;
    if (mode->value == "paravirt")
        return reader.refuse(*mode, "the hypervisor has no such mode (Xen removed it in 4.13)", "Use native");
    constexpr std::pair<std::string_view, std::uint32_t> modes[] = {
        {"auto", 0}, {"native", 2}, {"emulate", 1}, {"smpsafe", 1}};
    definition.tsc_mode = reader.choice(*mode, modes).value_or(0);
}

void read_adjustment(Reader& reader, const Element& clock, const Node& adjustment, Definition& definition) {
    if (adjustment.value == "reset") return;
    const auto seconds = parse_signed(trimmed(adjustment.value));
    using Limits = std::numeric_limits<std::int32_t>;
    if (!seconds || *seconds < Limits::min() || *seconds > Limits::max())
        return reader.refuse(adjustment, "expected seconds; found " + quoted(adjustment.value));
    definition.clock_offset_seconds = static_cast<std::int32_t>(*seconds);
    if (const Node* const basis = clock.attribute("basis")) {
        constexpr std::pair<std::string_view, Definition::Clock> known[] = {
            {"utc", Definition::Clock::utc}, {"localtime", Definition::Clock::localtime}};
        definition.clock = reader.choice(*basis, known).value_or(Definition::Clock::utc);
    }
}

} // namespace

void read_clock(Reader& reader, const Element& clock, Definition& definition) {
    if (const Node* const offset = clock.attribute("offset"); !offset) {
        reader.refuse_missing(clock, "@offset", "expected utc, localtime or variable");
    } else if (offset->value == "timezone" || offset->value == "absolute") {
        reader.refuse(*offset, "the clock's offset must be known in seconds",
                      "Use offset='variable' adjustment='SECONDS'");
    } else {
        constexpr std::pair<std::string_view, Definition::Clock> known[] = {{"utc", Definition::Clock::utc},
                                                                            {"localtime", Definition::Clock::localtime},
                                                                            {"variable", Definition::Clock::utc}};
        definition.clock = reader.choice(*offset, known).value_or(Definition::Clock::utc);
    }
    if (const Node* const adjustment = clock.attribute("adjustment"); reader.takes(adjustment))
        read_adjustment(reader, clock, *adjustment, definition);
    for (const Element& child : clock.children)
        if (child.name == "timer" && reader.takes(&child)) read_timer(reader, child, definition);
}

} // namespace streak::config
