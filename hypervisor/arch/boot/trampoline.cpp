// SPDX-License-Identifier: GPL-2.0-only
#include "arch/boot/trampoline.hpp"

#include <cstring>

#include "arch/image.hpp"
#include "lib/panic.hpp"
#include "mm/host_page_table.hpp"

namespace streak::arch {

extern "C" const char ap_trampoline_start[], ap_trampoline_data[], ap_trampoline_end[];

void write_trampoline(Maddr page, const ApStart& start) {
    ASSERT(page.raw() % page_size == 0 && page.raw() < 0x100000 && start.cr3 < 0x100000000);
    char* to = direct_map<char>(page);
    std::memcpy(to, ap_trampoline_start, static_cast<u64>(ap_trampoline_end - ap_trampoline_start));
    std::memcpy(to + (ap_trampoline_data - ap_trampoline_start), &start, sizeof start);
}

u64 ap_root() {
    for (unsigned slot = first_hypervisor_slot; slot <= last_hypervisor_slot; ++slot)
        boot_l4[slot] = mm::hypervisor_l4()[slot];
    return image_maddr(boot_l4).raw();
}

} // namespace streak::arch
