// SPDX-License-Identifier: GPL-2.0-only
#pragma once

#include "device/access.hpp"

namespace streak::device {

/// The real one: ioctl, netlink, sysfs; no scripts, no child processes. May be used by several threads.
class LinuxHost final : public Host {
public:
    [[nodiscard]] base::Outcome<> check_backend(Kind kind) override;
    [[nodiscard]] base::Outcome<FileIdentity> check_disk(const config::Disk& disk) override;
    [[nodiscard]] base::Outcome<> check_bridge(const std::string& bridge) override;
    [[nodiscard]] base::Outcome<OpenDisk> open_disk(const config::Disk& disk, const std::string& owner) override;
    [[nodiscard]] base::Outcome<> connect_vif(const VifSetup& setup, Milliseconds limit) override;
    [[nodiscard]] std::vector<Backend> backends() override;
    [[nodiscard]] bool has_backend(const Address& at) override;
    [[nodiscard]] std::vector<Loop> loops() override;
    [[nodiscard]] DiskCounters disk_counters(const Address& at) override;
    [[nodiscard]] InterfaceCounters interface_counters(const std::string& vif) override;
};

} // namespace streak::device
