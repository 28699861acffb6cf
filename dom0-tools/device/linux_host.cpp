// SPDX-License-Identifier: GPL-2.0-only
#include "device/linux_host.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include <charconv>
#include <filesystem>
#include <fstream>

#include <fmt/format.h>

#include "device/links.hpp"
#include "device/loop.hpp"

namespace streak::device {

namespace {

constexpr const char* backend_drivers = "/sys/bus/xen-backend/drivers";
constexpr const char* backend_devices = "/sys/bus/xen-backend/devices";

std::string sysfs_of(const Address& at) {
    return fmt::format("{}/{}-{}-{}", backend_devices, at.word(), at.domain.raw(), at.number);
}

/// The one number of a file of sysfs; 0 when it is not there.
std::uint64_t counter(const std::string& path) {
    std::ifstream stream(path);
    std::uint64_t value = 0;
    stream >> value;
    return stream ? value : 0;
}

bool read_only(const config::Disk& disk) { return disk.read_only || disk.cdrom; }

/// Opens the medium as it is going to be used, which tells all that could be wrong with it.
base::Outcome<base::Fd> open_medium(const config::Disk& disk, struct stat& status) {
    const int flags = (read_only(disk) ? O_RDONLY : O_RDWR) | O_CLOEXEC | O_NONBLOCK;
    base::Fd file(::open(disk.path.c_str(), flags));
    const std::string what = fmt::format("the disk {} can't use {}", disk.target, disk.path);
    if (!file || ::fstat(file.get(), &status) < 0) return base::errno_error(what, errno);
    const bool wants_block = disk.source == config::Disk::Source::block;
    if (wants_block != S_ISBLK(status.st_mode) || (!wants_block && !S_ISREG(status.st_mode)))
        return base::error(base::ErrorKind::invalid, what, wants_block ? "a block device" : "a regular file",
                           S_ISBLK(status.st_mode)   ? "a block device"
                           : S_ISREG(status.st_mode) ? "a regular file"
                                                     : "something else",
                           wants_block ? "Use <disk type='file'> for files" : "Use <disk type='block'> for devices");
    if (S_ISREG(status.st_mode) && status.st_size < 512)
        return base::error(base::ErrorKind::invalid, what, "at least one sector of 512 bytes",
                           fmt::format("{} bytes", status.st_size));
    return file;
}

base::Outcome<Link> find_bridge(Links& links, const std::string& bridge) {
    TRY_ASSIGN(found, links.find(bridge));
    if (!found)
        return base::error(base::ErrorKind::not_found, "there is no bridge " + bridge, {}, {},
                           fmt::format("Make it: ip link add {0} type bridge && ip link set {0} up", bridge));
    if (!found->is_bridge)
        return base::error(base::ErrorKind::invalid, bridge + " is not a bridge", "a bridge",
                           "another kind of interface");
    return *found;
}

/// The interface, as soon as xen-netback has made it.
base::Outcome<Link> await_link(Links& links, const std::string& name, Milliseconds limit) {
    using Clock = std::chrono::steady_clock;
    TRY_ASSIGN(notices, Links::open(true));
    const auto end = Clock::now() + limit;
    while (true) {
        TRY_ASSIGN(found, links.find(name));
        if (found) return *found;
        const auto left = std::chrono::duration_cast<Milliseconds>(end - Clock::now());
        if (left <= Milliseconds(0))
            return base::error(base::ErrorKind::timeout, "dom0's kernel did not make the interface " + name, {}, {},
                               "See dom0's kernel log for xen-netback");
        TRY(notices.wait(left));
    }
}

} // namespace

base::Outcome<> LinuxHost::check_backend(Kind kind) {
    const bool disk = kind == Kind::disk;
    if (::access(fmt::format("{}/{}", backend_drivers, disk ? "vbd" : "vif").c_str(), F_OK) == 0) return {};
    return base::error(base::ErrorKind::unavailable,
                       fmt::format("dom0's kernel has no backend for {}", disk ? "disks" : "network interfaces"), {},
                       {}, fmt::format("Load the module: modprobe xen-{}back", disk ? "blk" : "net"));
}

base::Outcome<FileIdentity> LinuxHost::check_disk(const config::Disk& disk) {
    struct stat status{};
    TRY(open_medium(disk, status));
    if (S_ISBLK(status.st_mode)) return FileIdentity{status.st_rdev, 0};
    if (::access("/dev/loop-control", F_OK) != 0)
        return base::error(base::ErrorKind::unavailable, "no loop device can be made for " + disk.path, {}, {},
                           "Load the module: modprobe loop");
    return FileIdentity{status.st_dev, status.st_ino};
}

base::Outcome<> LinuxHost::check_bridge(const std::string& bridge) {
    TRY_ASSIGN(links, Links::open());
    TRY(find_bridge(links, bridge));
    return {};
}

base::Outcome<OpenDisk> LinuxHost::open_disk(const config::Disk& disk, const std::string& owner) {
    struct stat status{};
    TRY_ASSIGN(file, open_medium(disk, status));
    if (!S_ISBLK(status.st_mode)) return make_loop(file, disk.path, read_only(disk), owner);
    return OpenDisk{{major(status.st_rdev), minor(status.st_rdev)}, std::move(file)};
}

base::Outcome<> LinuxHost::connect_vif(const VifSetup& setup, Milliseconds limit) {
    TRY_ASSIGN(links, Links::open());
    Links::Settings settings{.name = setup.rename, .up = setup.up};
    if (!setup.bridge.empty()) {
        TRY_ASSIGN(bridge, find_bridge(links, setup.bridge));
        settings.master = bridge.index;
        settings.mtu = bridge.mtu;
    }
    TRY_ASSIGN(link, await_link(links, setup.name, limit));
    return links.set(link.index, settings);
}

std::vector<Backend> LinuxHost::backends() {
    std::vector<Backend> found;
    std::error_code ignored;
    for (const auto& entry : std::filesystem::directory_iterator(backend_devices, ignored)) {
        const std::string name = entry.path().filename();
        const std::size_t dash = name.find('-');
        std::uint16_t domain = 0;
        if (dash == name.npos) continue;
        if (std::from_chars(name.data() + dash + 1, name.data() + name.size(), domain).ec == std::errc{})
            found.push_back({name, DomId(domain)});
    }
    return found;
}

bool LinuxHost::has_backend(const Address& at) { return ::access(sysfs_of(at).c_str(), F_OK) == 0; }

std::vector<Host::Loop> LinuxHost::loops() { return our_loops(); }

DiskCounters LinuxHost::disk_counters(const Address& at) {
    const std::string base = sysfs_of(at) + "/statistics/";
    constexpr std::uint64_t sector_bytes = 512;
    return {counter(base + "rd_req"), counter(base + "wr_req"), counter(base + "rd_sect") * sector_bytes,
            counter(base + "wr_sect") * sector_bytes};
}

InterfaceCounters LinuxHost::interface_counters(const std::string& vif) {
    const std::string base = fmt::format("/sys/class/net/{}/statistics/", vif);
    // What dom0 sends is what the guest receives.
    return {counter(base + "tx_bytes"), counter(base + "rx_bytes")};
}

} // namespace streak::device
