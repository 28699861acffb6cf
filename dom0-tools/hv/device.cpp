// SPDX-License-Identifier: GPL-2.0-only
#include "hv/device.hpp"

#include <cerrno>

#include <fcntl.h>
#include <unistd.h>

namespace streak::hv {

std::unexpected<Errno> last_error() { return fail(static_cast<Errno>(errno)); }

Result<base::Fd> open_device(const char* path) {
    const int fd = ::open(path, O_RDWR | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0) return last_error();
    return base::Fd(fd);
}

base::Error device_error(std::string_view device, Errno code) {
    const std::string name(device);
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
        error.remedy = "Load its module: modprobe xen-" + name;
    }
    return error;
}

} // namespace streak::hv
