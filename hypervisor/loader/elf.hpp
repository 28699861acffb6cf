// SPDX-License-Identifier: GPL-2.0-only
#pragma once

#include <elf.h>

#include "lib/function_ref.hpp"
#include "loader/bytes.hpp"
#include "loader/load_error.hpp"

namespace streak::loader {

/// One PT_LOAD, checked: file_size <= mem_size, the bytes are in the file, no address wraps.
struct Segment {
    std::uint64_t virtual_address;
    std::uint64_t physical_address;
    std::uint64_t mem_size; ///< bytes; what exceeds `data` is zero
    std::uint32_t flags;    ///< PF_R, PF_W, PF_X
    Bytes data;
};

struct ElfNote {
    std::string_view name; ///< without the NUL
    std::uint32_t type;
    Bytes description;
};

enum class NoteSource : std::uint8_t { segments, sections };

/// A view of an ELF64 x86-64 executable (System V ABI, AMD64 supplement). Everything that is
/// reachable through it was checked against the file's size by parse(); the file must outlive it.
class ElfImage {
public:
    /// @param file the whole file
    [[nodiscard]] static LoadResult<ElfImage> parse(Bytes file);

    [[nodiscard]] std::uint64_t entry() const { return entry_; }

    /// Calls `visit` for every PT_LOAD with a size, in file order.
    void for_each_segment(FunctionRef<void(const Segment&)> visit) const;

    /// Calls `visit` for the notes of all PT_NOTE segments, or of all SHT_NOTE sections, until it
    /// returns false. A damaged note ends its own table only; at most 64 tables are looked at.
    void for_each_note(NoteSource source, FunctionRef<bool(const ElfNote&)> visit) const;

    [[nodiscard]] bool has_section(std::string_view name) const;

private:
    ElfImage() = default;
    [[nodiscard]] std::optional<Elf64_Phdr> program_header(std::size_t index) const;
    [[nodiscard]] std::optional<Elf64_Shdr> section_header(std::size_t index) const;

    Bytes file_;
    Bytes program_headers_;
    Bytes section_headers_; ///< empty when the file has none or they are outside of it
    std::size_t section_names_ = 0;
    std::uint64_t entry_ = 0;
    std::size_t segments_ = 0;
};

/// True when the file starts like an ELF file.
[[nodiscard]] bool is_elf(Bytes file);

} // namespace streak::loader
