// SPDX-License-Identifier: GPL-2.0-only
#include "hv/hypervisor.hpp"

#include <algorithm>
#include <cstring>

#include "hv/calls.hpp"

// A guest's memory by its virtual addresses. The hypervisor reads and writes the caller's memory through the caller's
// own page tables and can't wait for a page that Linux has yet to bring in: it fails with EFAULT and says how far it came.

namespace streak::hv {

namespace {

constexpr std::size_t most_bytes = 1u << 30;     ///< of one call
constexpr std::size_t touched_bytes = 256 << 10; ///< after each page that was not there

class GuestCopy {
public:
    GuestCopy(Port& port, DomId domain, Mfn root, std::uint64_t address, bool write)
        : port_(port), domain_(domain), root_(root), address_(address), write_(write) {}

    Result<> run(std::byte* bytes, std::size_t size) {
        while (size != 0) {
            TRY_ASSIGN(done, some(bytes, std::min(size, most_bytes)));
            bytes += done;
            address_ += done;
            size -= done;
        }
        return {};
    }

private:
    /// Copies at least one byte, and returns how many.
    Result<std::size_t> some(std::byte* bytes, std::size_t size) {
        TRY_ASSIGN(done, call(bytes, size));
        if (done != 0) return done;
        touch(bytes, std::min(size, touched_bytes));
        TRY_ASSIGN(touched, call(bytes, size));
        if (touched != 0) return touched;
        return through_buffer(bytes, std::min(size, page_size - address_ % page_size));
    }

    /// How many bytes could be copied; none is not an error.
    Result<std::size_t> call(std::byte* bytes, std::size_t size) {
        auto op = domctl(XEN_DOMCTL_gdbsx_guestmemio, domain_);
        auto& request = op.u.gdbsx_guest_memio;
        request.pgd3val = to_maddr(root_).raw();
        request.gva = address_;
        request.uva = reinterpret_cast<std::uint64_t>(bytes);
        request.len = request.remain = static_cast<std::uint32_t>(size);
        request.gwr = write_;
        const auto done = hv::run(port_, op);
        if (done) return size;
        if (done.error() != Errno::EFAULT) return fail(done.error());
        return size - std::min<std::size_t>(request.remain, size);
    }

    /// Makes Linux bring pages in. What is to be read may be overwritten, since it will be.
    void touch(std::byte* bytes, std::size_t size) const {
        for (std::size_t at = 0; at < size;
             at = at + page_size - (reinterpret_cast<std::uint64_t>(bytes) + at) % page_size) {
            volatile std::byte& byte = bytes[at];
            if (write_) (void)std::byte(byte);
            else byte = std::byte{};
        }
    }

    Result<std::size_t> through_buffer(std::byte* bytes, std::size_t size) {
        const Buffer<std::byte> buffer(port_, size);
        if (!buffer) return fail(Errno::ENOMEM);
        if (write_) std::memcpy(buffer.data(), bytes, size);
        TRY_ASSIGN(done, call(buffer.data(), size));
        if (done != size) return fail(Errno::EFAULT);
        if (!write_) std::memcpy(bytes, buffer.data(), size);
        return size;
    }

    Port& port_;
    DomId domain_;
    Mfn root_;
    std::uint64_t address_;
    bool write_;
};

} // namespace

Result<> Hypervisor::write_guest(DomId domain, Mfn root, std::uint64_t address, std::span<const std::byte> bytes) {
    // The copy only reads what it writes to a guest.
    return GuestCopy(port_, domain, root, address, true).run(const_cast<std::byte*>(bytes.data()), bytes.size());
}

Result<> Hypervisor::read_guest(DomId domain, Mfn root, std::uint64_t address, std::span<std::byte> bytes) {
    return GuestCopy(port_, domain, root, address, false).run(bytes.data(), bytes.size());
}

} // namespace streak::hv
