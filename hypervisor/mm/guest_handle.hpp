// SPDX-License-Identifier: GPL-2.0-only
#pragma once

#include <span>

#include "arch/uaccess.hpp"
#include "lib/errno.hpp"

namespace streak::mm {

/// A pointer that a guest handed in. It can't be dereferenced or compared with a host pointer:
/// elements are copied, once, and bounded.
template <class T> class GuestHandle {
    static_assert(std::is_trivially_copyable_v<T> || std::is_void_v<T>);

public:
    constexpr GuestHandle() = default;
    constexpr explicit GuestHandle(u64 address) : address_(address) {}

    [[nodiscard]] constexpr bool is_null() const { return address_ == 0; }
    [[nodiscard]] constexpr Vaddr address() const { return Vaddr(address_); }
    template <class U> [[nodiscard]] constexpr GuestHandle<U> as() const { return GuestHandle<U>(address_); }
    [[nodiscard]] constexpr GuestHandle offset(u64 elements) const {
        return GuestHandle(address_ + elements * sizeof(T));
    }

    /// Element `index`, copied in. EFAULT.
    [[nodiscard]] Result<T> read(u64 index = 0) const {
        T value;
        if (!read_into(value, index)) return fail(Errno::EFAULT);
        return value;
    }
    /// The same into a value at hand. False: EFAULT.
    [[nodiscard]] bool read_into(T& value, u64 index = 0) const {
        return arch::copy_from_guest(&value, at(index), sizeof(T));
    }
    /// Copies `value` out to element `index`. EFAULT.
    [[nodiscard]] Result<> write(const T& value, u64 index = 0) const {
        if (!arch::copy_to_guest(at(index), &value, sizeof(T))) return fail(Errno::EFAULT);
        return {};
    }
    [[nodiscard]] Result<> read_array(std::span<T> to, u64 first = 0) const {
        if (!arch::copy_from_guest(to.data(), at(first), to.size_bytes())) return fail(Errno::EFAULT);
        return {};
    }
    [[nodiscard]] Result<> write_array(std::span<const T> from, u64 first = 0) const {
        if (!arch::copy_to_guest(at(first), from.data(), from.size_bytes())) return fail(Errno::EFAULT);
        return {};
    }

private:
    [[nodiscard]] constexpr Vaddr at(u64 index) const { return Vaddr(address_ + index * sizeof(T)); }

    u64 address_ = 0;
};

/// The typed handle of an ABI structure's XEN_GUEST_HANDLE member.
#define GUEST_HANDLE(member)                                                                                           \
    ::streak::mm::GuestHandle<std::remove_pointer_t<decltype((member).p)>>(reinterpret_cast<::streak::u64>((member).p))

/// For handlers of void pointers (sub-operation dependent).
using RawHandle = GuestHandle<u8>;

} // namespace streak::mm
