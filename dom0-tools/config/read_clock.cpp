// SPDX-License-Identifier: GPL-2.0-only
#include <limits>

#include "config/reader.hpp"

namespace streak::config {

namespace {

using Clock = Definition::Clock;

void read_timer(Reader& reader, const Element& timer, Definition& definition) {
    if (timer.get("name") != "tsc") return reader.ignore(timer, "a paravirtual guest has the hypervisor's clock only");
    const Node* const mode = timer.attribute("mode");
    if (!mode) return;
    if (mode->value == "paravirt")
        return reader.refuse(*mode, "the hypervisor has no such mode (Xen removed it in 4.13)", "Use native");
    constexpr std::string_view names[] = {"auto", "native", "emulate", "smpsafe"};
    constexpr std::uint32_t modes[] = {0, 2, 1, 1};
    definition.tsc_mode = modes[reader.choice<std::size_t>(*mode, names).value_or(0)];
}

void read_adjustment(Reader& reader, const Element& clock, const Node& adjustment, Definition& definition) {
    if (adjustment.value == "reset") return;
    const auto seconds = parse_signed(trimmed(adjustment.value));
    using Limits = std::numeric_limits<std::int32_t>;
    if (!seconds || *seconds < Limits::min() || *seconds > Limits::max())
        return reader.refuse(adjustment, "expected seconds; found " + quoted(adjustment.value));
    definition.clock_offset_seconds = static_cast<std::int32_t>(*seconds);
    if (const Node* const basis = clock.attribute("basis"))
        definition.clock = reader.choice<Clock>(*basis, Definition::clock_names).value_or(Clock::utc);
}

} // namespace

void read_clock(Reader& reader, const Element& clock, Definition& definition) {
    if (const Node* const offset = clock.attribute("offset"); !offset) {
        reader.refuse_missing(clock, "@offset", "expected utc, localtime or variable");
    } else if (offset->value == "timezone" || offset->value == "absolute") {
        reader.refuse(*offset, "the clock's offset must be known in seconds",
                      "Use offset='variable' adjustment='SECONDS'");
    } else {
        constexpr std::string_view known[] = {"utc", "localtime", "variable"};
        const bool local = reader.choice<std::size_t>(*offset, known) == 1u;
        definition.clock = local ? Clock::localtime : Clock::utc;
    }
    if (const Node* const adjustment = clock.attribute("adjustment"); reader.takes(adjustment))
        read_adjustment(reader, clock, *adjustment, definition);
    for (const Element& child : clock.children)
        if (child.name == "timer" && reader.takes(&child)) read_timer(reader, child, definition);
}

} // namespace streak::config
