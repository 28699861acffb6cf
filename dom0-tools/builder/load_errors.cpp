// SPDX-License-Identifier: GPL-2.0-only
#include "builder/load_errors.hpp"

#include <elf.h>
#include <fmt/format.h>

#include "lib/abi.hpp"

namespace streak::builder {

namespace {

using base::Error;
using base::ErrorKind;
using loader::LoadErrc;
using loader::LoadError;

constexpr const char* what_a_kernel_is = "a 64-bit x86 kernel for Xen PV: an ELF file or a bzImage";
constexpr const char* use_another = "Give a kernel built with CONFIG_XEN_PV, such as Debian's linux-image-amd64";
constexpr const char* fetch_again = "The file is damaged or cut off: install or copy it again";

std::string machine_name(std::uint64_t machine) {
    switch (machine) {
    case EM_386: return "32-bit x86";
    case EM_X86_64: return "x86-64";
    case EM_ARM: return "32-bit ARM";
    case EM_AARCH64: return "64-bit ARM";
    case EM_RISCV: return "RISC-V";
    case EM_PPC64: return "64-bit PowerPC";
    case EM_S390: return "S/390";
    default: return fmt::format("ELF machine {}", machine);
    }
}

std::string wrong_kind(const LoadError& error) {
    if (error.item == "ELF machine") return "a program for " + machine_name(error.found);
    if (error.item == "ELF class") return "a 32-bit program";
    if (error.item == "ELF byte order") return "a big-endian program";
    if (error.item == "ELF type") return "an ELF file that can't be executed (such as a module or a core dump)";
    return fmt::format("{} {}", error.item, error.found);
}

/// The features a kernel can't do without, but must here.
std::string feature_names(std::uint64_t bits) {
    constexpr std::pair<unsigned, const char*> names[] = {{XENFEAT_auto_translated_physmap, "auto_translated_physmap"},
                                                          {XENFEAT_supervisor_mode_kernel, "supervisor_mode_kernel"},
                                                          {XENFEAT_hvm_callback_vector, "hvm_callback_vector"}};
    std::string all;
    for (const auto& [bit, name] : names)
        if ((bits >> bit & 1) != 0) all += fmt::format("{}{}", all.empty() ? "" : ", ", name);
    return all;
}

/// Both values as the loader gives them: as text where there is text, as numbers otherwise.
Error with_values(Error error, const LoadError& found) {
    const bool text = !found.expected_text.empty() || !found.found_text.empty();
    error.expected = text ? fmt::format("{} {}", found.item, found.expected_text)
                          : fmt::format("{} {:#x}", found.item, found.expected);
    error.found = text ? std::string(found.found_text) : fmt::format("{:#x}", found.found);
    return error;
}

Error about_note(std::string what, const LoadError& error) {
    if (error.item == "FEATURES")
        return {ErrorKind::invalid, what + ": the kernel needs features that PV guests don't have",
                "no required feature but those of PV", feature_names(error.found & ~error.expected), use_another};
    return with_values({ErrorKind::invalid, what + ": an ELF note asks for what is not offered", {}, {}, use_another},
                       error);
}

} // namespace

std::string kind_of_file(loader::Bytes contents) {
    if (contents.empty()) return "an empty file";
    constexpr std::uint64_t arm64_magic_at = 56;
    constexpr std::uint32_t arm64_magic = 0x644D5241; // "ARM\x64", Documentation/arm64/booting.rst
    if (loader::read_at<std::uint32_t>(contents, arm64_magic_at) == arm64_magic) return "a kernel for 64-bit ARM";
    const auto start = contents.first(std::min<std::size_t>(contents.size(), 256));
    const auto is_text = [](std::byte byte) {
        const auto value = std::to_integer<unsigned char>(byte);
        return value == '\t' || value == '\n' || value == '\r' || (value >= ' ' && value < 0x7F);
    };
    if (std::all_of(start.begin(), start.end(), is_text)) return "a text file";
    const auto word = loader::read_at<std::uint32_t>(contents, 0);
    return word ? fmt::format("a file that starts with {:08x}", __builtin_bswap32(*word)) : "a file of some bytes only";
}

Error explain(std::string_view file, const LoadError& error, loader::Bytes contents) {
    const std::string what = fmt::format("{} can't be started", file);
    const auto damaged = [&](std::string found) {
        return Error{ErrorKind::invalid, what, "a whole kernel", std::move(found), fetch_again};
    };
    switch (error.code) {
    case LoadErrc::not_elf:
        if (error.item == "boot protocol")
            return {ErrorKind::invalid, what, "boot protocol 2.08 or newer",
                    fmt::format("{}.{:02}", error.found >> 8, error.found & 0xFF), use_another};
        return {ErrorKind::invalid, what, what_a_kernel_is, kind_of_file(contents), use_another};
    case LoadErrc::wrong_elf_kind: return {ErrorKind::invalid, what, what_a_kernel_is, wrong_kind(error), use_another};
    case LoadErrc::truncated:
        return damaged(fmt::format("{} that ends after {} of {} bytes", error.item, error.found, error.expected));
    case LoadErrc::no_xen_notes:
        return {ErrorKind::invalid, what + ": not a PV kernel", "ELF notes of owner Xen", "none", use_another};
    case LoadErrc::legacy_notes:
        return {ErrorKind::invalid, what + ": it is of before 2007", "ELF notes of owner Xen",
                "a section __xen_guest only", use_another};
    case LoadErrc::unknown_compression:
        return {ErrorKind::invalid, what + ": its payload has no known format", "gzip, xz, zstd, lz4, lzo or ELF",
                fmt::format("{:08x}", __builtin_bswap32(static_cast<std::uint32_t>(error.found))), use_another};
    case LoadErrc::unsupported_compression:
        return {ErrorKind::invalid, what + ": there is no decoder for its compression", "gzip, xz, zstd, lz4 or lzo",
                std::string(error.found_text.empty() ? error.item : error.found_text),
                "Unpack it with its own tool and give the ELF file (vmlinux)"};
    case LoadErrc::wrong_note: return about_note(what, error);
    case LoadErrc::corrupt:
    case LoadErrc::output_too_small: return damaged(fmt::format("damaged data ({})", loader::describe(error.code)));
    case LoadErrc::arena_too_small:
        return {ErrorKind::resources, what + ": unpacking it needs too much memory",
                fmt::format("at most {} bytes", error.expected), fmt::format("{}", error.found), use_another};
    default:
        return with_values({ErrorKind::invalid, fmt::format("{}: {}", what, loader::describe(error.code)), {}, {}, {}},
                           error);
    }
}

} // namespace streak::builder
