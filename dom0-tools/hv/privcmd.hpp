// SPDX-License-Identifier: GPL-2.0-only
#pragma once

#include <memory>

#include "base/error.hpp"
#include "base/fd.hpp"
#include "hv/buffer_pool.hpp"
#include "hv/port.hpp"

namespace streak::hv {

/// The way to the hypervisor through Linux: /dev/xen/privcmd for calls and mappings, /dev/xen/hypercall for memory.
/// Nothing of it is inherited by child processes.
class Privcmd final : public Port {
public:
    /// The error says which module to load, or that this is not a control domain.
    [[nodiscard]] static base::Outcome<std::unique_ptr<Privcmd>> open();

    [[nodiscard]] Result<std::uint64_t> call(std::uint32_t number, std::array<std::uint64_t, 5> arguments) override;
    [[nodiscard]] std::span<std::byte> allocate(std::size_t bytes) override { return pool_.allocate(bytes); }
    void release(std::span<std::byte> memory) override { pool_.release(memory); }
    [[nodiscard]] Result<std::span<std::byte>> map_foreign(DomId domain, std::span<const std::uint64_t> frames,
                                                           bool writable) override;
    [[nodiscard]] Result<std::span<std::byte>> map_resource(DomId domain, std::uint32_t type, std::uint32_t id,
                                                            std::uint64_t first, std::uint64_t count) override;
    void unmap(std::span<std::byte> mapping) override;

private:
    Privcmd(base::Fd calls, base::Fd memory);
    [[nodiscard]] std::span<std::byte> map_buffer(std::size_t bytes) const;

    base::Fd calls_, memory_;
    BufferPool pool_;
};

} // namespace streak::hv
