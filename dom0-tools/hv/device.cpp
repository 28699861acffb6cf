// SPDX-License-Identifier: GPL-2.0-only
#include "hv/device.hpp"

#include <fcntl.h>

namespace streak::hv {

base::Outcome<base::Fd> open_device(const std::string& name) {
    base::Fd device(::open(("/dev/xen/" + name).c_str(), O_RDWR | O_CLOEXEC | O_NONBLOCK));
    if (!device) return std::unexpected(device_error(name, last_error().error()));
    return device;
}

base::Error device_error(const std::string& name, Errno code) {
    base::Error error{.kind = base::ErrorKind::unavailable,
                      .what = "can't open /dev/xen/" + name,
                      .found = base::system_error(static_cast<int>(code))};
    if (code == Errno::EACCES || code == Errno::EPERM) {
        error.kind = base::ErrorKind::refused;
        error.remedy = "Run this as root";
    } else if (::access("/sys/hypervisor/type", F_OK) != 0) {
        error.expected = "Linux as the control domain of Streak";
        error.remedy = "Choose Streak in the boot menu";
    } else if (code == Errno::ENOENT || code == Errno::ENODEV || code == Errno::ENXIO) {
        error.remedy = "Load its module: modprobe xen-" + (name == "hypercall" ? "privcmd" : name);
    }
    return error;
}

} // namespace streak::hv
