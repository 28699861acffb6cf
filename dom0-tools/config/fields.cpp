// SPDX-License-Identifier: GPL-2.0-only
#include "config/fields.hpp"

namespace streak::config::fields {

void check(const Definition& d) {
    require(check_name(d.name).has_value(), "name");
    require(!d.uuid || *d.uuid != base::Uuid{}, "uuid");
    require(d.memory_kib <= d.max_memory_kib && d.memory_kib % 4 == 0 && d.max_memory_kib % 4 == 0, "memory_kib");
    require(d.vcpus <= d.max_vcpus, "vcpus");
    require(!d.kernel.empty(), "kernel");
    for (std::size_t i = 0; i < d.pins.size(); ++i)
        require(d.pins[i].vcpu < d.max_vcpus && (i == 0 || d.pins[i - 1].vcpu < d.pins[i].vcpu), "pins");
    for (std::size_t i = 0; i < d.disks.size(); ++i)
        for (std::size_t j = 0; j < i; ++j)
            require(virtual_device_number(d.disks[i].target) != virtual_device_number(d.disks[j].target), "disks");
    for (std::size_t i = 0; i < d.interfaces.size(); ++i)
        for (std::size_t j = 0; j < i; ++j)
            require(d.interfaces[i].mac == MacAddress{} || d.interfaces[i].mac != d.interfaces[j].mac, "interfaces");
}

} // namespace streak::config::fields
