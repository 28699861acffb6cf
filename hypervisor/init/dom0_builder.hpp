// SPDX-License-Identifier: GPL-2.0-only
#pragma once

#include "domain/domain.hpp"
#include "loader/multiboot2.hpp"

namespace streak::init {

struct Dom0Request {
    loader::Bytes kernel; ///< the module as the boot loader left it
    std::string_view kernel_command_line;
    loader::Bytes initrd; ///< empty: none
    u64 pages = 0;        ///< memory
    u64 max_pages = 0;    ///< how far it may grow, when more
    u32 vcpus = 1;
    const loader::BootInfo* boot_info = nullptr; ///< for the VGA record and EFI
};

/// Builds the control domain, paused. Panics with what was expected and what was found.
[[nodiscard]] Domain& build_dom0(const Dom0Request& request);

} // namespace streak::init
