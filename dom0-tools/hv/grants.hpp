// SPDX-License-Identifier: GPL-2.0-only
#pragma once

#include <cstddef>
#include <memory>

#include "base/error.hpp"
#include "base/fd.hpp"
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
    /// The error says which module to load.
    [[nodiscard]] static base::Outcome<GrantDevice> open();
    /// Maps a grant, writable. EINVAL, EACCES, ENOENT: the domain has not granted it.
    [[nodiscard]] Result<GrantedPage> map(DomId domain, GrantRef ref);

private:
    base::Fd fd_;
};

} // namespace streak::hv
