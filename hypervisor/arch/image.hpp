// SPDX-License-Identifier: GPL-2.0-only
#pragma once

#include "arch/layout.hpp"

// The loaded image (hypervisor.ld). All boundaries are page-aligned. It lies in one piece at
// image_load_address; __init_start .. __init_end is the last part, unused after boot.

namespace streak::arch {

inline constexpr u64 image_load_address = 0x200000; ///< hypervisor.ld and head.S use the same number

extern "C" {
extern char __image_start[], __image_end[];
extern char __text_start[], __text_end[];     // executable
extern char __entry_text_end[];               // from __text_start: what isolated guests keep mapped
extern char __rodata_start[], __rodata_end[]; // read-only
extern char __data_start[], __data_end[];     // data and bss
extern char __init_start[], __init_end[];
extern char __init_text_start[], __init_text_end[]; // executable until boot ends
extern char __init_rodata_start[], __init_rodata_end[];
extern char __init_data_start[], __init_data_end[]; // data and bss of boot code

/// The first page tables: slot 0 and the direct map cover the low 4 GiB. Unused once mm has made its own,
/// but for starting application processors (ap_root()).
extern u64 boot_l4[512];
}

/// Machine address of something in the image.
[[nodiscard]] inline Maddr image_maddr(const void* in_image) {
    return Maddr(reinterpret_cast<u64>(in_image) - image_base + image_load_address);
}

} // namespace streak::arch
