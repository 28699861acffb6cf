// SPDX-License-Identifier: GPL-2.0-only
#include "device/loop.hpp"

#include <fcntl.h>
#include <linux/loop.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include <cstring>
#include <filesystem>

#include <fmt/format.h>

namespace streak::device {

namespace {

/// Begins the name that LOOP_GET_STATUS64 tells of our devices; the owner follows. (losetup shows the file's own path.)
constexpr std::string_view mark = "streak:";

loop_config configuration(const base::Fd& file, bool read_only, const std::string& owner) {
    loop_config config{};
    config.fd = static_cast<__u32>(file.get());
    config.info.lo_flags = LO_FLAGS_AUTOCLEAR | (read_only ? LO_FLAGS_READ_ONLY : 0);
    fmt::format_to_n(reinterpret_cast<char*>(config.info.lo_file_name), LO_NAME_SIZE - 1, "{}{}", mark, owner);
    return config;
}

} // namespace

base::Outcome<OpenDisk> make_loop(const base::Fd& file, const std::string& path, bool read_only,
                                  const std::string& owner) {
    const base::Fd control(::open("/dev/loop-control", O_RDWR | O_CLOEXEC));
    if (!control)
        return base::error(base::ErrorKind::unavailable, "no loop device can be made for " + path, "/dev/loop-control",
                           base::system_error(errno), "Load the module loop");
    const loop_config config = configuration(file, read_only, owner);
    // Others may take the free device that was found: they can't for ever.
    for (int attempt = 0; attempt < 64; ++attempt) {
        const int number = ::ioctl(control.get(), LOOP_CTL_GET_FREE);
        if (number < 0) return base::errno_error("no free loop device for " + path, errno);
        base::Fd device(
            ::open(fmt::format("/dev/loop{}", number).c_str(), (read_only ? O_RDONLY : O_RDWR) | O_CLOEXEC));
        if (!device) return base::errno_error(fmt::format("can't open /dev/loop{} for {}", number, path), errno);
        if (::ioctl(device.get(), LOOP_CONFIGURE, &config) == 0) {
            // Not every file system can; the disk works without.
            (void)::ioctl(device.get(), LOOP_SET_DIRECT_IO, 1ul);
            struct stat status{};
            if (::fstat(device.get(), &status) < 0) return base::errno_error("can't look at a loop device", errno);
            return OpenDisk{{major(status.st_rdev), minor(status.st_rdev)}, std::move(device)};
        }
        if (errno != static_cast<int>(Errno::EBUSY))
            return base::errno_error("can't make a loop device of " + path, errno);
    }
    return base::error(base::ErrorKind::conflict, "other programs took every free loop device before it could be used");
}

std::vector<Host::Loop> our_loops() {
    std::vector<Host::Loop> found;
    std::error_code ignored;
    for (const auto& entry : std::filesystem::directory_iterator("/sys/block", ignored)) {
        const std::string name = entry.path().filename();
        if (!name.starts_with("loop") || !std::filesystem::exists(entry.path() / "loop/backing_file", ignored))
            continue;
        const base::Fd device(::open(("/dev/" + name).c_str(), O_RDONLY | O_CLOEXEC));
        loop_info64 info{};
        if (!device || ::ioctl(device.get(), LOOP_GET_STATUS64, &info) < 0) continue;
        const char* text = reinterpret_cast<const char*>(info.lo_file_name);
        const std::string_view file_name(text, ::strnlen(text, LO_NAME_SIZE));
        if (file_name.starts_with(mark)) found.push_back({name, std::string(file_name.substr(mark.size()))});
    }
    return found;
}

} // namespace streak::device
