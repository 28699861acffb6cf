// SPDX-License-Identifier: GPL-2.0-only
#include "loader/load_error.hpp"

namespace streak::loader {

std::string_view describe(LoadErrc code) {
    switch (code) {
    case LoadErrc::truncated: return "the file ends too early";
    case LoadErrc::not_elf: return "neither an ELF file nor a bzImage";
    case LoadErrc::wrong_elf_kind: return "not a 64-bit x86 ELF executable";
    case LoadErrc::bad_segment: return "a program header contradicts itself";
    case LoadErrc::no_segments: return "there is no segment to load";
    case LoadErrc::no_xen_notes: return "no Xen ELF notes: the kernel was built without PV support";
    case LoadErrc::legacy_notes: return "only the __xen_guest section of Xen 3.0 is there; ELF notes are needed";
    case LoadErrc::bad_note: return "a Xen ELF note is malformed";
    case LoadErrc::wrong_note: return "a Xen ELF note asks for what is not offered";
    case LoadErrc::not_dom0_capable: return "the kernel was built without support for running as dom0";
    case LoadErrc::outside_image: return "an address lies outside the kernel image";
    case LoadErrc::address_range: return "a virtual address range can't be used by a guest";
    case LoadErrc::unknown_compression: return "the kernel's payload has no known format";
    case LoadErrc::unsupported_compression: return "there is no decoder for this kernel compression";
    case LoadErrc::corrupt: return "the compressed data is damaged";
    case LoadErrc::output_too_small: return "the decompressed kernel is longer than announced";
    case LoadErrc::arena_too_small: return "not enough memory to decompress";
    case LoadErrc::not_enough_memory: return "the domain has too little memory for its start layout";
    case LoadErrc::bad_boot_info: return "the boot loader's information is damaged";
    case LoadErrc::bad_checksum: return "wrong checksum of a firmware table";
    case LoadErrc::not_found: return "a firmware table is missing";
    case LoadErrc::bad_table: return "a firmware table is damaged";
    }
    return "unknown error";
}

} // namespace streak::loader
