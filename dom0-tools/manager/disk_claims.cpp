// SPDX-License-Identifier: GPL-2.0-only
#include "manager/disk_claims.hpp"

#include <fmt/format.h>

namespace streak::manager {

base::Outcome<DiskClaims::Claim> DiskClaims::claim(const config::Disk& disk, device::FileIdentity file,
                                                   const std::string& who) {
    const bool writes = !disk.read_only && !disk.cdrom;
    const std::lock_guard lock(mutex_);
    auto& users = users_[file];
    for (const User& user : users)
        if ((writes || user.writes) && !(disk.shareable && user.shares))
            return base::error(base::ErrorKind::conflict,
                               fmt::format("the disk {} of {} is in use by {}", disk.path, who, user.who),
                               "one guest that writes it, or none", {},
                               "Give every guest a disk of its own, or mark it <readonly/> or <shareable/> in each");
    users.push_back({++last_, who, writes, disk.shareable});
    return Claim(nullptr, [this, file, number = last_](void*) { release(file, number); });
}

void DiskClaims::rename(const std::string& before, const std::string& after) {
    const std::lock_guard lock(mutex_);
    for (auto& [file, users] : users_)
        for (User& user : users)
            if (user.who == before) user.who = after;
}

void DiskClaims::release(device::FileIdentity file, std::uint64_t number) {
    const std::lock_guard lock(mutex_);
    const auto found = users_.find(file);
    if (found == users_.end()) return;
    std::erase_if(found->second, [&](const User& user) { return user.number == number; });
    if (found->second.empty()) users_.erase(found);
}

} // namespace streak::manager
