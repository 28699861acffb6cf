// SPDX-License-Identifier: GPL-2.0-only
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string_view>

#include <xen/io/console.h>

// A guest's console ring (xen/io/console.h), of which the guest may write every byte at any time. Each index is read
// once and bounded; what a guest does to its ring harms its own console only.

namespace streak::console {

class Ring {
public:
    static constexpr std::size_t output_bytes = sizeof(xencons_interface::out);
    static constexpr std::size_t input_bytes = sizeof(xencons_interface::in);
    using Buffer = std::array<char, output_bytes>;

    explicit Ring(xencons_interface& shared) : shared_(&shared) {}

    struct Output {
        std::string_view bytes;    ///< in the buffer of peek()
        XENCONS_RING_IDX next = 0; ///< where the consumer stands once they are taken
        bool broken = false;       ///< the indexes make no sense; taking the output skips what there is
    };
    /// Copies what the guest wrote, at most one ring's content.
    [[nodiscard]] Output peek(Buffer& buffer) const;
    /// Tells the guest that the output is taken. Until then a later reader sees it again.
    void take(const Output& output);

    /// Bytes of input the guest has room for; 0 when its indexes make no sense.
    [[nodiscard]] std::size_t room() const;
    /// Gives the guest input; returns how many of the bytes it had room for.
    std::size_t give(std::string_view bytes);

private:
    xencons_interface* shared_;
};

} // namespace streak::console
