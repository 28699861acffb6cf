// SPDX-License-Identifier: GPL-2.0-only
#pragma once

#include "lib/strong_id.hpp"

namespace streak {

using Mfn = StrongId<struct MfnTag, std::uint64_t>;               ///< machine frame number
using Pfn = StrongId<struct PfnTag, std::uint64_t>;               ///< guest (pseudo-physical) frame number
using Maddr = StrongId<struct MaddrTag, std::uint64_t>;           ///< machine address, bytes
using Vaddr = StrongId<struct VaddrTag, std::uint64_t>;           ///< virtual address chosen by a guest
using DomId = StrongId<struct DomIdTag, std::uint16_t>;           ///< xen/xen.h, domid_t
using VcpuId = StrongId<struct VcpuIdTag, std::uint32_t>;         ///< index of a vCPU in its domain
using CpuId = StrongId<struct CpuIdTag, std::uint32_t>;           ///< index of a physical CPU, dense from 0
using EvtchnPort = StrongId<struct EvtchnPortTag, std::uint32_t>; ///< xen/event_channel.h
using GrantRef = StrongId<struct GrantRefTag, std::uint32_t>;     ///< xen/grant_table.h
using GrantHandle = StrongId<struct GrantHandleTag, std::uint32_t>;
using Irq = StrongId<struct IrqTag, std::uint32_t>;      ///< global system interrupt or MSI slot
using Pirq = StrongId<struct PirqTag, std::uint32_t>;    ///< a guest's name for an Irq
using Vector = StrongId<struct VectorTag, std::uint8_t>; ///< interrupt vector of a CPU
using ApicId = StrongId<struct ApicIdTag, std::uint32_t>;

inline constexpr unsigned page_shift = 12;
inline constexpr std::uint64_t page_size = 1ull << page_shift;

inline constexpr Mfn invalid_mfn{~0ull};

[[nodiscard]] constexpr Maddr to_maddr(Mfn mfn) { return Maddr(mfn.raw() << page_shift); }
[[nodiscard]] constexpr Mfn to_mfn(Maddr address) { return Mfn(address.raw() >> page_shift); }

inline constexpr DomId dom0_id{0};
inline constexpr DomId first_reserved_id{0x7FF0}; ///< DOMID_FIRST_RESERVED
inline constexpr DomId self_id{0x7FF0};           ///< DOMID_SELF
inline constexpr DomId io_id{0x7FF1};             ///< DOMID_IO
inline constexpr DomId xen_id{0x7FF2};            ///< DOMID_XEN: frames the hypervisor shares
inline constexpr DomId invalid_domid{0x7FF4};     ///< DOMID_INVALID
inline constexpr DomId idle_id{0x7FFF};           ///< DOMID_IDLE

} // namespace streak
