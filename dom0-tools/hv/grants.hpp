// SPDX-License-Identifier: GPL-2.0-only
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>

#include "base/fd.hpp"
#include "lib/errno.hpp"
#include "lib/ids.hpp"

namespace streak::hv {

class GrantDevice;

/// A page that another domain granted; unmapped with its owner.
class GrantedPage {
public:
    [[nodiscard]] explicit operator bool() const { return static_cast<bool>(memory_); }
    /// 4096 bytes that the other domain changes at any time: read each value once, into a local variable.
    [[nodiscard]] std::byte* data() const { return memory_.get(); }

private:
    friend class GrantDevice;
    struct Unmap {
        int device; ///< which outlives its pages
        std::uint64_t index;
        void operator()(std::byte* page) const;
    };
    std::unique_ptr<std::byte, Unmap> memory_;
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
    [[nodiscard]] GrantRef ref() const { return ref_; }
    /// 4096 bytes, as hostile as those of a GrantedPage where the other domain may write.
    [[nodiscard]] std::byte* data() const { return memory_.get(); }

private:
    SharedPage() = default;
    base::Fd fd_;
    GrantRef ref_{};
    struct Unmap {
        void operator()(std::byte* page) const;
    };
    std::unique_ptr<std::byte, Unmap> memory_;
};

} // namespace streak::hv
