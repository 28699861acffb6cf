// SPDX-License-Identifier: GPL-2.0-only

// What firmware and boot loader hand over: multiboot2 information, ACPI tables, the command line; the first byte says which.
// All that comes of it lies within what was given, and no good table is missed.

#include "input.hpp"

#include <algorithm>
#include <charconv>
#include <memory>
#include <vector>

#include "loader/acpi.hpp"
#include "loader/cmdline.hpp"
#include "loader/multiboot2.hpp"

using namespace streak;
using namespace streak::loader;
using fuzz::require;

namespace {

fuzz::Fault short_memory("short-memory"), stray_view("stray-view"), lax_number("lax-number");

using Blob = std::vector<std::byte>;

/// Is `part` a part of `whole`, or empty?
void require_within(Bytes whole, const void* part, std::size_t bytes) {
    const auto* start = static_cast<const std::byte*>(part);
    if (bytes == 0) return;
    if (stray_view) ++start, bytes = whole.size();
    require(start >= whole.data() && start + bytes <= whole.data() + whole.size());
}
void require_within(Bytes whole, std::string_view part) { require_within(whole, part.data(), part.size()); }

void read_multiboot2(Bytes bytes) {
    const auto size = boot_info_size(bytes);
    const auto info = BootInfo::parse(bytes);
    if (!info) return;
    require(size.has_value() && *size <= bytes.size());
    require_within(bytes, info->command_line);
    for (const auto& module : info->modules) {
        require(module.end >= module.start);
        require_within(bytes, module.command_line);
    }
    require_within(bytes, info->rsdp.data(), info->rsdp.size());
    require_within(bytes, info->efi_memory_map.descriptors.data(), info->efi_memory_map.descriptors.size());
    info->for_each_range([](const MemoryRange& range) { require(range.start + range.bytes > range.start); });
}

// ---- ACPI ----

void fix_checksum(Blob& table, std::size_t at, std::size_t bytes) {
    if (table.size() < bytes || at >= bytes) return;
    table[at] = {};
    unsigned sum = 0;
    for (std::size_t i = 0; i < bytes; ++i) sum += std::to_integer<unsigned>(table[i]);
    table[at] = static_cast<std::byte>(-sum);
}

template <class T> void put(Blob& to, std::size_t at, T value) { std::memcpy(to.data() + at, &value, sizeof value); }

/// Memory that holds table number i at i << 16, and gives each answer a place of its own: it is gone when the next comes.
struct Machine {
    std::vector<Blob> tables;
    std::unique_ptr<std::byte[]> answer;

    Bytes operator()(std::uint64_t address, std::size_t bytes) {
        const std::uint64_t i = address >> 16, offset = address & 0xffff;
        answer.reset();
        if (i >= tables.size() || offset + bytes > tables[i].size()) return {};
        answer = std::make_unique<std::byte[]>(bytes);
        std::copy_n(tables[i].data() + offset, bytes, answer.get());
        return {answer.get(), bytes - (short_memory && bytes > 36 ? 1 : 0)};
    }
};

constexpr std::size_t header_bytes = 36, length_at = 4, checksum_at = 9;

/// A root table that leads to all others.
[[nodiscard]] Blob root_table(std::size_t tables) {
    Blob root(header_bytes + tables * 8);
    for (std::size_t i = 0; i < tables; ++i) put(root, header_bytes + i * 8, std::uint64_t{i + 1} << 16);
    put(root, length_at, static_cast<std::uint32_t>(root.size()));
    fix_checksum(root, checksum_at, root.size());
    return root;
}

/// The rest of the input, as pieces of memory. A header's length and check sum are put right unless the input says no.
[[nodiscard]] std::size_t read_pieces(fuzz::Input& input, std::vector<Blob>& tables) {
    std::size_t good = 0;
    while (!input.empty() && tables.size() < acpi::max_tables) {
        const unsigned how = input.byte();
        Blob table(input.byte() + (how & 1 ? 0 : header_bytes));
        for (auto& byte : table) byte = static_cast<std::byte>(input.byte());
        if (table.size() >= header_bytes && !(how & 2)) {
            put(table, length_at, static_cast<std::uint32_t>(table.size()));
            fix_checksum(table, checksum_at, table.size());
            ++good;
        }
        tables.push_back(std::move(table));
    }
    return good;
}

void read_acpi(fuzz::Input& input) {
    Machine machine{{Blob()}, {}};
    const std::size_t good = read_pieces(input, machine.tables);
    const std::size_t count = machine.tables.size() - 1;
    machine.tables[0] = root_table(count);
    Blob rsdp(36);
    std::memcpy(rsdp.data(), "RSD PTR ", 8);
    put(rsdp, 15, std::uint8_t{2});
    put(rsdp, 24, std::uint64_t{0});
    put(rsdp, 16, std::uint32_t{0});
    fix_checksum(rsdp, 8, 20);

    const auto root_at = machine.tables.size() << 16;
    machine.tables.push_back(machine.tables[0]);
    put(rsdp, 24, root_at);
    fix_checksum(rsdp, 8, 20);
    auto tables = std::make_unique<acpi::Tables>();
    require(acpi::read_tables(rsdp, machine, *tables).has_value());
    const std::size_t found = tables->directory.size() + tables->directory.dropped();
    require(found >= good && found <= count && found + tables->damaged >= count);
    for (const auto& entry : tables->directory) require(entry.bytes <= machine.tables[entry.address >> 16].size());
    if (count != 0) (void)acpi::read_tables(machine.tables[1], machine, *std::make_unique<acpi::Tables>());
    (void)acpi::find_rsdp(machine);
}

// ---- Command line ----

void check_number(std::string_view word) {
    const auto value = parse_number(word);
    std::uint64_t same = 0;
    const bool hex = word.starts_with("0x") || word.starts_with("0X");
    const char* const end = word.data() + word.size();
    const auto [stop, error] = std::from_chars(word.data() + (hex ? 2 : 0), end, same, hex ? 16 : 10);
    const bool whole = error == std::errc{} && (stop == end || lax_number);
    require(value.has_value() == whole && value.value_or(0) == (whole ? same : 0));
}

void read_command_line(Bytes bytes) {
    const std::string_view line(reinterpret_cast<const char*>(bytes.data()), bytes.size());
    const Options options = parse_command_line(line);
    for (const auto& word : options.unknown) require_within(bytes, word);
    for (const auto& word : options.invalid) require_within(bytes, word);
    for (const std::uint64_t available : {0ull, 1ull << 20, 1ull << 40})
        require(options.dom0_memory.resolve(available) <= available);
    check_number(line);
    if (const auto size = parse_size(line); size && parse_number(line)) require(*size == *parse_number(line) << 10);
}

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    fuzz::Input input(data, size);
    const unsigned what = input.pick(3);
    if (what == 1) {
        read_acpi(input);
        return 0;
    }
    // A copy of its own, so that the sanitizer knows its end.
    const Blob rest(reinterpret_cast<const std::byte*>(data) + std::min<std::size_t>(size, 1),
                    reinterpret_cast<const std::byte*>(data) + size);
    if (what == 0) read_multiboot2(rest);
    else read_command_line(rest);
    return 0;
}
