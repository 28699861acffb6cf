// SPDX-License-Identifier: GPL-2.0-only
#pragma once

#include <elf.h>

#include <cstring>
#include <string>
#include <string_view>
#include <vector>

#include "loader/bytes.hpp"

/// Builds small ELF kernels for the loader's tests.
namespace loader_test {

using Blob = std::vector<std::byte>;

template <class T> void append(Blob& blob, const T& value) {
    const auto* from = reinterpret_cast<const std::byte*>(&value);
    blob.insert(blob.end(), from, from + sizeof value);
}

inline void append_text(Blob& blob, std::string_view text) {
    const auto* from = reinterpret_cast<const std::byte*>(text.data());
    blob.insert(blob.end(), from, from + text.size());
}

template <class T> void put(Blob& blob, std::size_t at, const T& value) {
    std::memcpy(blob.data() + at, &value, sizeof value);
}

struct ElfBuilder {
    struct Load {
        std::uint64_t vaddr, paddr, mem_size;
        std::string data;
    };
    std::uint64_t entry = 0;
    std::vector<Load> loads;
    Blob notes;
    bool notes_in_section = false;
    std::string extra_section;

    ElfBuilder& note(std::uint32_t type, std::string_view value, std::string_view owner = "Xen") {
        append(notes,
               Elf64_Nhdr{static_cast<Elf64_Word>(owner.size() + 1), static_cast<Elf64_Word>(value.size()), type});
        append_text(notes, owner);
        notes.push_back(std::byte{0});
        notes.resize((notes.size() + 3) & ~3ull);
        append_text(notes, value);
        notes.resize((notes.size() + 3) & ~3ull);
        return *this;
    }
    ElfBuilder& number(std::uint32_t type, std::uint64_t value) {
        return note(type, {reinterpret_cast<const char*>(&value), sizeof value});
    }
    ElfBuilder& text(std::uint32_t type, const char* value) { return note(type, {value, std::strlen(value) + 1}); }
    ElfBuilder& load(std::uint64_t vaddr, std::uint64_t paddr, std::uint64_t mem_size, std::string data = "code") {
        loads.push_back({vaddr, paddr, mem_size, std::move(data)});
        return *this;
    }

    [[nodiscard]] Blob build() const {
        const bool note_segment = !notes.empty() && !notes_in_section;
        Elf64_Ehdr header{};
        std::memcpy(header.e_ident, ELFMAG, SELFMAG);
        header.e_ident[EI_CLASS] = ELFCLASS64;
        header.e_ident[EI_DATA] = ELFDATA2LSB;
        header.e_ident[EI_VERSION] = EV_CURRENT;
        header.e_type = ET_EXEC;
        header.e_machine = EM_X86_64;
        header.e_version = EV_CURRENT;
        header.e_entry = entry;
        header.e_phoff = sizeof header;
        header.e_ehsize = sizeof header;
        header.e_phentsize = sizeof(Elf64_Phdr);
        header.e_phnum = static_cast<Elf64_Half>(loads.size() + note_segment);
        header.e_shentsize = sizeof(Elf64_Shdr);

        std::uint64_t data_at = sizeof header + header.e_phnum * sizeof(Elf64_Phdr);
        Blob programs, data;
        const auto place = [&](Elf64_Phdr program, const auto& bytes) {
            program.p_offset = data_at + data.size();
            program.p_filesz = bytes.size();
            append(programs, program);
            for (const auto byte : bytes) data.push_back(static_cast<std::byte>(byte));
        };
        for (const auto& load : loads) {
            Elf64_Phdr program{};
            program.p_type = PT_LOAD;
            program.p_flags = PF_R | PF_W | PF_X;
            program.p_vaddr = load.vaddr;
            program.p_paddr = load.paddr;
            program.p_memsz = load.mem_size;
            place(program, load.data);
        }
        if (note_segment) {
            Elf64_Phdr program{};
            program.p_type = PT_NOTE;
            place(program, notes);
        }
        Blob sections;
        if (notes_in_section || !extra_section.empty()) {
            const auto add = [&](std::uint32_t type, std::uint32_t name, const auto& bytes) {
                Elf64_Shdr section{};
                section.sh_type = type;
                section.sh_name = name;
                section.sh_offset = data_at + data.size();
                section.sh_size = bytes.size();
                append(sections, section);
                for (const auto byte : bytes) data.push_back(static_cast<std::byte>(byte));
            };
            add(SHT_NULL, 0, std::string{});
            add(SHT_STRTAB, 1, std::string("\0.shstrtab\0", 11) + extra_section + '\0');
            add(SHT_NOTE, 0, notes_in_section ? notes : Blob{});
            add(SHT_PROGBITS, 11, std::string("GUEST_OS=old"));
            header.e_shnum = 4;
            header.e_shstrndx = 1;
            header.e_shoff = data_at + data.size();
        }
        Blob file;
        append(file, header);
        file.insert(file.end(), programs.begin(), programs.end());
        file.insert(file.end(), data.begin(), data.end());
        file.insert(file.end(), sections.begin(), sections.end());
        return file;
    }
};

} // namespace loader_test
