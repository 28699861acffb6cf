// SPDX-License-Identifier: GPL-2.0-only
#include "loader/elf.hpp"

namespace streak::loader {

namespace {

constexpr std::uint64_t max_note_table = 1 << 16; // bytes; a kernel has some hundred
constexpr std::size_t max_note_tables = 64;

/// Walks one table of notes; false when the visitor has had enough.
bool walk_notes(Bytes table, FunctionRef<bool(const ElfNote&)> visit) {
    table = table.first(std::min<std::size_t>(table.size(), max_note_table));
    std::uint64_t at = 0;
    while (const auto header = read_at<Elf64_Nhdr>(table, at)) {
        at += sizeof(Elf64_Nhdr);
        const auto name = slice(table, at, header->n_namesz);
        at += (std::uint64_t{header->n_namesz} + 3) & ~std::uint64_t{3};
        const auto description = slice(table, at, header->n_descsz);
        at += (std::uint64_t{header->n_descsz} + 3) & ~std::uint64_t{3};
        if (!name || !description) return true;
        const auto text = read_string(*name);
        if (text && !visit(ElfNote{*text, header->n_type, *description})) return false;
    }
    return true;
}

LoadResult<> check_identity(const Elf64_Ehdr& header) {
    const Elf64_Half loadable = header.e_type == ET_DYN ? ET_DYN : ET_EXEC;
    const struct {
        std::string_view item;
        std::uint64_t wanted, found;
    } checks[] = {{"ELF class", ELFCLASS64, header.e_ident[EI_CLASS]},
                  {"ELF byte order", ELFDATA2LSB, header.e_ident[EI_DATA]},
                  {"ELF machine", EM_X86_64, header.e_machine},
                  {"ELF type", loadable, header.e_type},
                  {"ELF program header size", sizeof(Elf64_Phdr), header.e_phentsize}};
    for (const auto& [item, wanted, found] : checks)
        if (found != wanted) return refuse(LoadErrc::wrong_elf_kind, item, wanted, found);
    return {};
}

LoadResult<> check_segment(Bytes file, const Elf64_Phdr& header) {
    if (header.p_filesz > header.p_memsz)
        return refuse(LoadErrc::bad_segment, "segment size in file", header.p_memsz, header.p_filesz);
    if (!slice(file, header.p_offset, header.p_filesz))
        return refuse(LoadErrc::truncated, "segment", header.p_offset + header.p_filesz, file.size());
    if (header.p_vaddr + header.p_memsz < header.p_vaddr || header.p_paddr + header.p_memsz < header.p_paddr)
        return refuse(LoadErrc::bad_segment, "segment end", ~0ull, header.p_memsz);
    return {};
}

} // namespace

bool is_elf(Bytes file) {
    const auto magic = read_at<std::array<char, SELFMAG>>(file, 0);
    return magic && std::string_view(magic->data(), SELFMAG) == ELFMAG;
}

LoadResult<ElfImage> ElfImage::parse(Bytes file) {
    if (!is_elf(file))
        return refuse(LoadErrc::not_elf, "ELF magic", 0x464C457F, read_at<std::uint32_t>(file, 0).value_or(0));
    const auto header = read_at<Elf64_Ehdr>(file, 0);
    if (!header) return refuse(LoadErrc::truncated, "ELF header", sizeof(Elf64_Ehdr), file.size());
    TRY(check_identity(*header));

    const std::uint64_t headers_size = std::uint64_t{header->e_phnum} * sizeof(Elf64_Phdr);
    const auto headers = slice(file, header->e_phoff, headers_size);
    if (!headers) return refuse(LoadErrc::truncated, "program headers", header->e_phoff + headers_size, file.size());

    ElfImage image;
    image.file_ = file;
    image.entry_ = header->e_entry;
    image.program_headers_ = *headers;
    for (std::size_t i = 0; const auto program = image.program_header(i); ++i) {
        if (program->p_type != PT_LOAD || program->p_memsz == 0) continue;
        TRY(check_segment(file, *program));
        ++image.segments_;
    }
    if (image.segments_ == 0) return refuse(LoadErrc::no_segments, "PT_LOAD", 1, 0);

    // Sections are optional for loading: a stripped or cut table is no reason to refuse a kernel.
    if (header->e_shentsize == sizeof(Elf64_Shdr))
        image.section_headers_ =
            slice(file, header->e_shoff, std::uint64_t{header->e_shnum} * sizeof(Elf64_Shdr)).value_or(Bytes{});
    image.section_names_ = header->e_shstrndx;
    return image;
}

std::optional<Elf64_Phdr> ElfImage::program_header(std::size_t index) const {
    return read_at<Elf64_Phdr>(program_headers_, index * sizeof(Elf64_Phdr));
}

std::optional<Elf64_Shdr> ElfImage::section_header(std::size_t index) const {
    return read_at<Elf64_Shdr>(section_headers_, index * sizeof(Elf64_Shdr));
}

void ElfImage::for_each_segment(FunctionRef<void(const Segment&)> visit) const {
    for (std::size_t i = 0; const auto header = program_header(i); ++i) {
        if (header->p_type != PT_LOAD || header->p_memsz == 0) continue;
        visit(Segment{header->p_vaddr, header->p_paddr, header->p_memsz, header->p_flags,
                      file_.subspan(header->p_offset, header->p_filesz)});
    }
}

void ElfImage::for_each_note(NoteSource source, FunctionRef<bool(const ElfNote&)> visit) const {
    std::size_t tables = 0;
    const auto walk = [&](std::uint64_t offset, std::uint64_t bytes) {
        const auto table = slice(file_, offset, bytes);
        return ++tables <= max_note_tables && (!table || walk_notes(*table, visit));
    };
    if (source == NoteSource::segments) {
        for (std::size_t i = 0; const auto header = program_header(i); ++i)
            if (header->p_type == PT_NOTE && !walk(header->p_offset, header->p_filesz)) return;
    } else {
        for (std::size_t i = 0; const auto header = section_header(i); ++i)
            if (header->sh_type == SHT_NOTE && !walk(header->sh_offset, header->sh_size)) return;
    }
}

bool ElfImage::has_section(std::string_view name) const {
    const auto names = section_header(section_names_);
    if (!names) return false;
    const auto table = slice(file_, names->sh_offset, names->sh_size);
    if (!table) return false;
    for (std::size_t i = 0; const auto header = section_header(i); ++i) {
        const auto stored = slice(*table, header->sh_name, name.size() + 1);
        if (stored && read_string(*stored) == name) return true;
    }
    return false;
}

} // namespace streak::loader
