// SPDX-License-Identifier: GPL-2.0-only
#include "debug/previous_log.hpp"

#include <algorithm>
#include <cstring>
#include <memory>
#include <numeric>

#include "hv/calls.hpp"
#include "lib/e820.hpp"
#include "lib/panic_record.hpp"

namespace streak::debug {
namespace {

constexpr std::uint32_t ram = 1;
constexpr std::uint64_t four_gib = 1ull << 32;
constexpr std::size_t most_ranges = 256;

/// The end of the highest RAM below 4 GiB (XENMEM_machine_memory_map).
Result<std::uint64_t> top_of_memory(hv::Port& port) {
    const hv::Buffer<e820_entry> ranges(port, most_ranges);
    if (!ranges) return fail(Errno::ENOMEM);
    xen_memory_map_t map{};
    map.nr_entries = most_ranges;
    set_xen_guest_handle(map.buffer, ranges.data());
    TRY(hv::call_with(port, __HYPERVISOR_memory_op, map, unsigned{XENMEM_machine_memory_map}));
    std::uint64_t top = 0;
    for (const auto& range : ranges.items().first(std::min<std::size_t>(map.nr_entries, most_ranges)))
        if (range.type == ram && range.addr + range.size <= four_gib) top = std::max(top, range.addr + range.size);
    return top;
}

} // namespace

base::Outcome<PreviousLog> previous_log(hv::Port& port) {
    const auto top = top_of_memory(port);
    if (!top) return base::hypercall_error("the machine's memory map can't be read", top.error());
    std::array<std::uint64_t, PanicRecord::page_count> frames;
    std::iota(frames.begin(), frames.end(), PanicRecord::place(*top) >> page_shift);
    const auto bytes = port.map_foreign(xen_id, frames, false);
    if (!bytes)
        return base::error(base::ErrorKind::not_found, "the hypervisor keeps no log of an earlier boot here",
                           "memory that the boot loader leaves alone", base::describe(bytes.error()));
    const hv::Mapping mapping(port, *bytes);
    const auto record = std::make_unique<PanicRecord>(mapping.as<PanicRecord>());
    if (!record->valid())
        return base::error(base::ErrorKind::not_found, "there is no log of an earlier boot",
                           "one that ended in a panic, without a cold start since");
    return PreviousLog{std::string(record->text.data(), record->bytes), record->boots};
}

} // namespace streak::debug
