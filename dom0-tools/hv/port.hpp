// SPDX-License-Identifier: GPL-2.0-only
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <utility>

#include "lib/errno.hpp"
#include "lib/ids.hpp"

namespace streak::hv {

/// The way to the hypervisor: Linux's privcmd (privcmd.hpp), or a fake in unit tests (tests/unit/fake_port.hpp).
/// Calls may come from several threads.
class Port {
public:
    virtual ~Port() = default;

    /// Makes a hypercall and gives its result. Pointers among the arguments, and in what they point at, lead into
    /// memory of allocate(), or into memory that is present, where the caller knows what to do when it is not (EFAULT).
    /// Preempted operations are continued by the hypervisor itself.
    [[nodiscard]] virtual Result<std::uint64_t> call(std::uint32_t number, std::array<std::uint64_t, 5> arguments) = 0;

    /// Zeroed memory for hypercalls, never paged out, at least 8-byte aligned. Empty: none left.
    [[nodiscard]] virtual std::span<std::byte> allocate(std::size_t bytes) = 0;
    virtual void release(std::span<std::byte> memory) = 0;

    /// Maps frames of another domain, all or none. `frames` are machine frame numbers of a PV domain.
    [[nodiscard]] virtual Result<std::span<std::byte>> map_foreign(DomId domain, std::span<const std::uint64_t> frames,
                                                                   bool writable) = 0;
    /// XENMEM_acquire_resource: for example the grant table of a domain.
    [[nodiscard]] virtual Result<std::span<std::byte>> map_resource(DomId domain, std::uint32_t type, std::uint32_t id,
                                                                    std::uint64_t first, std::uint64_t count) = 0;
    virtual void unmap(std::span<std::byte> mapping) = 0;
};

/// A mapping that ends with its owner.
class Mapping {
public:
    Mapping() = default;
    Mapping(Port& port, std::span<std::byte> bytes) : port_(&port), bytes_(bytes) {}
    Mapping(Mapping&& other) noexcept : port_(other.port_), bytes_(std::exchange(other.bytes_, {})) {}
    Mapping& operator=(Mapping&& other) noexcept {
        std::swap(port_, other.port_);
        std::swap(bytes_, other.bytes_);
        return *this;
    }
    ~Mapping() {
        if (!bytes_.empty()) port_->unmap(bytes_);
    }

    [[nodiscard]] std::span<std::byte> bytes() const { return bytes_; }
    template <class T> [[nodiscard]] T& as(std::size_t offset = 0) const {
        return *reinterpret_cast<T*>(bytes_.subspan(offset, sizeof(T)).data());
    }

private:
    Port* port_ = nullptr;
    std::span<std::byte> bytes_;
};

/// Hypercall memory for `count` objects, given back with its owner. Empty when there was none.
template <class T> class Buffer {
public:
    Buffer(Port& port, std::size_t count = 1) : port_(port), bytes_(port.allocate(count * sizeof(T))), count_(count) {}
    Buffer(const Buffer&) = delete;
    Buffer& operator=(const Buffer&) = delete;
    ~Buffer() {
        if (!bytes_.empty()) port_.release(bytes_);
    }

    [[nodiscard]] explicit operator bool() const { return !bytes_.empty(); }
    [[nodiscard]] T* data() const { return reinterpret_cast<T*>(bytes_.data()); }
    [[nodiscard]] std::span<T> items() const { return {data(), bytes_.empty() ? 0 : count_}; }
    [[nodiscard]] T& operator*() const { return *data(); }
    [[nodiscard]] T* operator->() const { return data(); }
    [[nodiscard]] std::uint64_t address() const { return reinterpret_cast<std::uint64_t>(data()); }

private:
    Port& port_;
    std::span<std::byte> bytes_;
    std::size_t count_;
};

} // namespace streak::hv
