// SPDX-License-Identifier: GPL-2.0-only
#include "hv/privcmd.hpp"

#include <vector>

#include "hv/device.hpp"
#include "lib/abi.hpp"

#include <sys/ioctl.h>
#include <sys/mman.h>

#include <xen/sys/privcmd.h>

namespace streak::hv {

namespace {

/// A place for a mapping; taken back unless it is kept.
class Window {
public:
    Window(int device, std::uint64_t pages, bool writable)
        : bytes_(pages * page_size),
          memory_(::mmap(nullptr, bytes_, writable ? PROT_READ | PROT_WRITE : PROT_READ, MAP_SHARED, device, 0)) {}
    Window(const Window&) = delete;
    Window& operator=(const Window&) = delete;
    ~Window() {
        if (*this) ::munmap(memory_, bytes_);
    }

    explicit operator bool() const { return memory_ != MAP_FAILED; }
    [[nodiscard]] std::uint64_t address() const { return reinterpret_cast<std::uint64_t>(memory_); }
    [[nodiscard]] std::span<std::byte> keep() {
        return {static_cast<std::byte*>(std::exchange(memory_, MAP_FAILED)), bytes_};
    }

private:
    std::size_t bytes_;
    void* memory_;
};

} // namespace

base::Outcome<std::unique_ptr<Privcmd>> Privcmd::open() {
    TRY_ASSIGN(calls, open_device("privcmd"));
    TRY_ASSIGN(memory, open_device("hypercall")); // of the same module
    return std::unique_ptr<Privcmd>(new Privcmd(std::move(calls), std::move(memory)));
}

Privcmd::Privcmd(base::Fd calls, base::Fd memory)
    : calls_(std::move(calls)), memory_(std::move(memory)),
      pool_([this](std::size_t bytes) { return map_buffer(bytes); },
            [](std::span<std::byte> bytes) { ::munmap(bytes.data(), bytes.size()); }) {}

std::span<std::byte> Privcmd::map_buffer(std::size_t bytes) const {
    Window window(memory_.get(), bytes / page_size, true);
    return window ? window.keep() : std::span<std::byte>{};
}

Result<std::uint64_t> Privcmd::call(std::uint32_t number, std::array<std::uint64_t, 5> arguments) {
    privcmd_hypercall_t request{.op = number, .arg = {}};
    std::ranges::copy(arguments, request.arg);
    const int result = ::ioctl(calls_.get(), IOCTL_PRIVCMD_HYPERCALL, &request);
    if (result < 0) return last_error();
    return static_cast<std::uint64_t>(result);
}

Result<std::span<std::byte>> Privcmd::map_foreign(DomId domain, std::span<const std::uint64_t> frames, bool writable) {
    if (frames.empty()) return fail(Errno::EINVAL);
    Window window(calls_.get(), frames.size(), writable);
    if (!window) return last_error();
    std::vector<int> errors(frames.size());
    privcmd_mmapbatch_v2_t request{.num = static_cast<unsigned>(frames.size()),
                                   .dom = domain.raw(),
                                   .addr = window.address(),
                                   .arr = frames.data(),
                                   .err = errors.data()};
    if (::ioctl(calls_.get(), IOCTL_PRIVCMD_MMAPBATCH_V2, &request) != 0) return last_error();
    // The call succeeds when some frames could not be mapped.
    for (const int error : errors)
        if (error != 0) return fail(static_cast<Errno>(-error));
    return window.keep();
}

Result<std::span<std::byte>> Privcmd::map_resource(DomId domain, std::uint32_t type, std::uint32_t id,
                                                   std::uint64_t first, std::uint64_t count) {
    Window window(calls_.get(), count, true);
    if (!window) return last_error();
    privcmd_mmap_resource_t request{.dom = domain.raw(),
                                    .type = type,
                                    .id = id,
                                    .idx = static_cast<std::uint32_t>(first),
                                    .num = count,
                                    .addr = window.address()};
    if (::ioctl(calls_.get(), IOCTL_PRIVCMD_MMAP_RESOURCE, &request) != 0) return last_error();
    return window.keep();
}

void Privcmd::unmap(std::span<std::byte> mapping) { ::munmap(mapping.data(), mapping.size()); }

} // namespace streak::hv
