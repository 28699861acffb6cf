// SPDX-License-Identifier: GPL-2.0-only
#pragma once

#include <string>

namespace streak::cli {

struct NewDisk {
    std::string path, target;
    bool block = false, read_only = false, shareable = false, cdrom = false;
};

struct NewInterface {
    std::string bridge{}, mac{}, script{}, vifname{};
};

/// Elements of libvirt's domain XML. Pure.
[[nodiscard]] std::string disk_xml(const NewDisk& disk);
[[nodiscard]] std::string interface_xml(const NewInterface& interface);

} // namespace streak::cli
