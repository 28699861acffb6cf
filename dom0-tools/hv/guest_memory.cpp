// SPDX-License-Identifier: GPL-2.0-only
#include "hv/hypervisor.hpp"

#include <algorithm>

#include "hv/calls.hpp"

// A guest's memory by its virtual addresses. The hypervisor reads the caller's memory through the caller's
// own page tables and can't wait for a page that Linux has yet to bring in: it fails with EFAULT and says how far it came.

namespace streak::hv {

namespace {

constexpr std::size_t most_bytes = 1u << 30;     ///< of one call
constexpr std::size_t touched_bytes = 256 << 10; ///< after each page that was not there

struct GuestCopy {
    Port& port;
    DomId domain;
    Mfn root;
    std::uint64_t address;

    Result<> run(std::span<const std::byte> bytes) {
        while (!bytes.empty()) {
            TRY_ASSIGN(done, some(bytes.first(std::min(bytes.size(), most_bytes))));
            bytes = bytes.subspan(done);
            address += done;
        }
        return {};
    }

    /// Copies at least one byte, and returns how many.
    Result<std::size_t> some(std::span<const std::byte> bytes) {
        TRY_ASSIGN(done, call(bytes));
        if (done != 0) return done;
        touch(bytes.first(std::min(bytes.size(), touched_bytes)));
        TRY_ASSIGN(touched, call(bytes));
        if (touched != 0) return touched;
        return through_buffer(bytes.first(std::min(bytes.size(), page_size - address % page_size)));
    }

    /// How many bytes could be copied; none is not an error.
    Result<std::size_t> call(std::span<const std::byte> bytes) {
        auto op = domctl(XEN_DOMCTL_gdbsx_guestmemio, domain);
        auto& request = op.u.gdbsx_guest_memio;
        request.pgd3val = to_maddr(root).raw();
        request.gva = address;
        request.uva = reinterpret_cast<std::uint64_t>(bytes.data());
        request.len = request.remain = static_cast<std::uint32_t>(bytes.size());
        request.gwr = true;
        const auto done = hv::run(port, op);
        if (done) return bytes.size();
        if (done.error() != Errno::EFAULT) return fail(done.error());
        return bytes.size() - std::min<std::size_t>(request.remain, bytes.size());
    }

    /// Makes Linux bring pages in.
    static void touch(std::span<const std::byte> bytes) {
        for (std::size_t at = 0; at < bytes.size();
             at += page_size - reinterpret_cast<std::uint64_t>(&bytes[at]) % page_size)
            (void)std::byte(*static_cast<const volatile std::byte*>(&bytes[at]));
    }

    Result<std::size_t> through_buffer(std::span<const std::byte> bytes) {
        const Buffer<std::byte> buffer(port, bytes.size());
        if (!buffer) return fail(Errno::ENOMEM);
        std::ranges::copy(bytes, buffer.data());
        TRY_ASSIGN(done, call(buffer.items()));
        if (done != bytes.size()) return fail(Errno::EFAULT);
        return done;
    }
};

} // namespace

Result<> Hypervisor::write_guest(DomId domain, Mfn root, std::uint64_t address, std::span<const std::byte> bytes) {
    return GuestCopy{port_, domain, root, address}.run(bytes);
}

} // namespace streak::hv
