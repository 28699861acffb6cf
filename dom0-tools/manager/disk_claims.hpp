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
    class Claim {
    public:
        Claim() = default;
        Claim(DiskClaims& owner, device::FileIdentity file, std::uint64_t number)
            : owner_(&owner), file_(file), number_(number) {}
        Claim(Claim&& other) noexcept { *this = std::move(other); }
        Claim& operator=(Claim&& other) noexcept {
            std::swap(owner_, other.owner_);
            std::swap(file_, other.file_);
            std::swap(number_, other.number_);
            return *this;
        }
        ~Claim() {
            if (owner_) owner_->release(file_, number_);
        }

    private:
        DiskClaims* owner_ = nullptr;
        device::FileIdentity file_{};
        std::uint64_t number_ = 0;
    };

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
