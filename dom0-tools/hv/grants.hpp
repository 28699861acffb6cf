// SPDX-License-Identifier: GPL-2.0-only
#pragma once

#include <cstddef>
#include <cstdint>

#include "base/fd.hpp"
#include "lib/errno.hpp"
#include "lib/ids.hpp"

namespace streak::hv {

class GrantDevice;

/// A page that another domain granted; unmapped with its owner.
class GrantedPage {
public:
    GrantedPage() = default;
    GrantedPage(GrantedPage&& other) noexcept;
    GrantedPage& operator=(GrantedPage&& other) noexcept;
    ~GrantedPage();
    [[nodiscard]] explicit operator bool() const { return memory_ != nullptr; }
    /// 4096 bytes that the other domain changes at any time: read each value once, into a local variable.
    [[nodiscard]] std::byte* data() const { return memory_; }

private:
    friend class GrantDevice;
    int fd_ = -1; ///< of the device, which outlives its pages
    std::uint64_t index_ = 0;
    std::byte* memory_ = nullptr;
};

/// Linux's /dev/xen/gntdev: pages that others grant to us.
class GrantDevice {
public:
    /// ENOENT: the module xen-gntdev is not loaded.
    [[nodiscard]] static Result<GrantDevice> open();
    /// Maps a grant, writable. EINVAL, EACCES, ENOENT: the domain has not granted it.
    [[nodiscard]] Result<GrantedPage> map(DomId domain, GrantRef ref);

private:
    base::Fd fd_;
};

/// A page of ours that another domain may map; taken back with its owner, or when that domain has unmapped it.
class SharedPage {
public:
    /// Grants a zeroed page through Linux's /dev/xen/gntalloc. ENOENT: the module xen-gntalloc is not loaded; ENOSPC:
    /// it shares as many pages as it may.
    [[nodiscard]] static Result<SharedPage> grant(DomId domain, bool writable = true);
    SharedPage(SharedPage&& other) noexcept;
    SharedPage& operator=(SharedPage&& other) noexcept;
    ~SharedPage();

    [[nodiscard]] GrantRef ref() const { return ref_; }
    /// 4096 bytes, as hostile as those of a GrantedPage where the other domain may write.
    [[nodiscard]] std::byte* data() const { return memory_; }

private:
    SharedPage() = default;
    base::Fd fd_;
    GrantRef ref_{};
    std::byte* memory_ = nullptr;
};

} // namespace streak::hv
