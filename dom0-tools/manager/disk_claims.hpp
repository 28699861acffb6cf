// SPDX-License-Identifier: GPL-2.0-only
#pragma once

#include "manager/threads.hpp"

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "device/access.hpp"

namespace streak::manager {

/// Which disks are in use and by whom, so that no two guests write one that was not meant to be shared.
class DiskClaims {
public:
    /// Held while a guest has the disk.
    using Claim = std::shared_ptr<void>;

    /// `conflict`: another guest has it and one of the two writes, unless both share it.
    [[nodiscard]] base::Outcome<Claim> claim(const config::Disk& disk, device::FileIdentity file,
                                             const std::string& who);
    /// A guest is called otherwise from now on.
    void rename(const std::string& before, const std::string& after);

private:
    struct User {
        std::uint64_t number;
        std::string who;
        bool writes, shares;
    };
    void release(device::FileIdentity file, std::uint64_t number);

    std::mutex mutex_;
    std::map<device::FileIdentity, std::vector<User>> users_;
    std::uint64_t last_ = 0;
};

} // namespace streak::manager
