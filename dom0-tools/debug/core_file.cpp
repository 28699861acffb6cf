// SPDX-License-Identifier: GPL-2.0-only
#include <algorithm>
#include <cstring>
#include <string_view>
#include <unordered_map>

#include <elf.h>
#include <sys/procfs.h>

#include "debug/core_file.hpp"
#include "lib/ids.hpp"

namespace streak::debug {
namespace {

using Bytes = std::vector<std::byte>;

constexpr std::size_t most_segments = PN_XNUM - 2; ///< besides the notes
constexpr unsigned most_aliases = 16;

std::size_t up(std::size_t value, std::size_t unit) { return (value + unit - 1) / unit * unit; }

void put(Bytes& to, const void* from, std::size_t bytes) {
    const auto* start = static_cast<const std::byte*>(from);
    to.insert(to.end(), start, start + bytes);
}
template <class T> void put(Bytes& to, const T& value) { put(to, &value, sizeof value); }

void put_note(Bytes& to, std::string_view name, std::uint32_t type, const Bytes& content) {
    put(to, Elf64_Nhdr{.n_namesz = static_cast<Elf64_Word>(name.size() + 1),
                       .n_descsz = static_cast<Elf64_Word>(content.size()),
                       .n_type = type});
    put(to, name.data(), name.size());
    to.resize(up(to.size() + 1, 4));
    put(to, content.data(), content.size());
    to.resize(up(to.size(), 4));
}

Elf64_Ehdr file_header() {
    Elf64_Ehdr header{};
    std::memcpy(header.e_ident, ELFMAG, SELFMAG);
    header.e_ident[EI_CLASS] = ELFCLASS64;
    header.e_ident[EI_DATA] = ELFDATA2LSB;
    header.e_ident[EI_VERSION] = header.e_version = EV_CURRENT;
    header.e_type = ET_CORE;
    header.e_machine = EM_X86_64;
    header.e_ehsize = sizeof(Elf64_Ehdr);
    header.e_phentsize = sizeof(Elf64_Phdr);
    header.e_shentsize = sizeof(Elf64_Shdr);
    return header;
}

elf_prstatus thread(const vcpu_guest_context_t& context, std::size_t number) {
    const cpu_user_regs_t& from = context.user_regs;
    user_regs_struct to{};
    to.r15 = from.r15, to.r14 = from.r14, to.r13 = from.r13, to.r12 = from.r12;
    to.r11 = from.r11, to.r10 = from.r10, to.r9 = from.r9, to.r8 = from.r8;
    to.rax = to.orig_rax = from.rax, to.rbx = from.rbx, to.rcx = from.rcx, to.rdx = from.rdx;
    to.rsi = from.rsi, to.rdi = from.rdi, to.rbp = from.rbp, to.rsp = from.rsp;
    to.rip = from.rip, to.eflags = from.rflags, to.cs = from.cs, to.ss = from.ss;
    to.ds = from.ds, to.es = from.es, to.fs = from.fs, to.gs = from.gs;
    to.fs_base = context.fs_base;
    to.gs_base = (context.flags & VGCF_in_kernel) != 0 ? context.gs_base_kernel : context.gs_base_user;
    elf_prstatus status{};
    static_assert(sizeof status.pr_reg == sizeof to);
    std::memcpy(&status.pr_reg, &to, sizeof to);
    status.pr_pid = static_cast<int>(number + 1);
    return status;
}

/// Pages that follow one another at their addresses and in the file are one segment.
std::vector<Elf64_Phdr> segments(const CoreImage& image) {
    struct Place {
        std::size_t offset;
        std::uint64_t pfn;
        unsigned aliases = 0;
    };
    std::unordered_map<std::uint64_t, Place> places;
    for (std::size_t i = 0; i < image.pages.size(); ++i)
        places.emplace(image.pages[i].frame, Place{i * page_size, image.pages[i].pfn});
    std::vector<Elf64_Phdr> all;
    for (const auto& page : image.mapped) {
        const auto found = places.find(page.frame);
        if (found == places.end() || ++found->second.aliases > most_aliases) continue;
        const std::size_t offset = found->second.offset;
        const Elf64_Word flags = PF_R | (page.writable ? PF_W : 0u) | (page.executable ? PF_X : 0u);
        if (!all.empty() && all.back().p_flags == flags && all.back().p_vaddr + all.back().p_memsz == page.address &&
            all.back().p_offset + all.back().p_filesz == offset) {
            all.back().p_filesz = all.back().p_memsz += page_size;
            continue;
        }
        all.push_back({.p_type = PT_LOAD,
                       .p_flags = flags,
                       .p_offset = offset,
                       .p_vaddr = page.address,
                       .p_paddr = found->second.pfn * page_size,
                       .p_filesz = page_size,
                       .p_memsz = page_size,
                       .p_align = page_size});
    }
    // The kernel's addresses are the highest.
    if (all.size() > most_segments) all.erase(all.begin(), all.end() - static_cast<std::ptrdiff_t>(most_segments));
    return all;
}

/// Sections of a file, in the order in which their bytes follow.
class Sections {
public:
    Sections() { add("", SHT_NULL, {}); }

    void add(std::string_view name, Elf64_Word type, const Bytes& content, std::size_t entry_size = 0) {
        Elf64_Shdr header{};
        header.sh_name = static_cast<Elf64_Word>(names_.size());
        header.sh_type = type;
        header.sh_offset = content_.size();
        header.sh_size = content.size();
        header.sh_addralign = type == SHT_NULL ? 0 : 8;
        header.sh_entsize = entry_size;
        headers_.push_back(header);
        put(names_, name.data(), name.size());
        names_.push_back({});
        put(content_, content.data(), content.size());
        content_.resize(up(content_.size(), 8));
    }

    /// The head of a file whose last section is `pages` pages behind it.
    Bytes head(std::string_view last, std::size_t pages) {
        add(last, SHT_PROGBITS, {}, page_size);
        const std::size_t last_index = headers_.size() - 1;
        static constexpr std::string_view table = ".shstrtab";
        Bytes names = names_;
        put(names, table.data(), table.size());
        names.push_back({});
        add(table, SHT_STRTAB, names);

        auto header = file_header();
        header.e_shoff = sizeof header;
        header.e_shnum = static_cast<Elf64_Half>(headers_.size());
        header.e_shstrndx = static_cast<Elf64_Half>(headers_.size() - 1);
        const std::size_t start = sizeof header + headers_.size() * sizeof(Elf64_Shdr);
        for (auto& section : headers_)
            if (section.sh_type != SHT_NULL) section.sh_offset += start;
        headers_[last_index].sh_offset = up(start + content_.size(), page_size);
        headers_[last_index].sh_size = pages * page_size;

        Bytes all;
        put(all, header);
        put(all, headers_.data(), headers_.size() * sizeof(Elf64_Shdr));
        put(all, content_.data(), content_.size());
        all.resize(up(all.size(), page_size));
        return all;
    }

private:
    std::vector<Elf64_Shdr> headers_;
    Bytes names_, content_;
};

Bytes dump_core_notes(const CoreImage& image) {
    constexpr std::uint64_t magic = 0xf00febed, format = 1;
    Bytes notes, header, version;
    for (const std::uint64_t value : {magic, image.vcpus.size(), image.pages.size(), page_size}) put(header, value);
    put(version, format);
    put_note(notes, "Xen", XEN_ELFNOTE_DUMPCORE_NONE, {});
    put_note(notes, "Xen", XEN_ELFNOTE_DUMPCORE_HEADER, header);
    put_note(notes, "Xen", XEN_ELFNOTE_DUMPCORE_FORMAT_VERSION, version);
    return notes;
}

} // namespace

std::vector<std::byte> gdb_head(const CoreImage& image) {
    Bytes notes;
    for (std::size_t i = 0; i < image.vcpus.size(); ++i) {
        Bytes status;
        put(status, thread(image.vcpus[i], i));
        put_note(notes, "CORE", NT_PRSTATUS, status);
    }
    auto loads = segments(image);
    auto header = file_header();
    header.e_phoff = sizeof header;
    header.e_phnum = static_cast<Elf64_Half>(loads.size() + 1);
    const std::size_t notes_at = sizeof header + header.e_phnum * sizeof(Elf64_Phdr);
    const std::size_t pages_at = up(notes_at + notes.size(), page_size);

    Bytes all;
    put(all, header);
    put(all, Elf64_Phdr{.p_type = PT_NOTE,
                        .p_flags = PF_R,
                        .p_offset = notes_at,
                        .p_vaddr = 0,
                        .p_paddr = 0,
                        .p_filesz = notes.size(),
                        .p_memsz = 0,
                        .p_align = 4});
    for (auto& load : loads) {
        load.p_offset += pages_at;
        put(all, load);
    }
    put(all, notes.data(), notes.size());
    all.resize(pages_at);
    return all;
}

std::vector<std::byte> crash_head(const CoreImage& image) {
    Sections sections;
    sections.add(".note.Xen", SHT_NOTE, dump_core_notes(image));
    Bytes contexts, p2m;
    put(contexts, image.vcpus.data(), image.vcpus.size() * sizeof(vcpu_guest_context_t));
    for (const auto& page : image.pages) {
        put(p2m, page.pfn);
        put(p2m, page.frame);
    }
    sections.add(".xen_prstatus", SHT_PROGBITS, contexts, sizeof(vcpu_guest_context_t));
    sections.add(".xen_shared_info", SHT_PROGBITS, image.shared_info, page_size);
    sections.add(".xen_p2m", SHT_PROGBITS, p2m, 2 * sizeof(std::uint64_t));
    return sections.head(".xen_pages", image.pages.size());
}

} // namespace streak::debug
