// SPDX-License-Identifier: GPL-2.0-only
#include "hypercall/cpu_bitmap.hpp"

#include <algorithm>

namespace streak::hypercall {

namespace {

constexpr u32 mask_bytes = max_cpus / 8;
constexpr u32 most_bytes = 4096; ///< of a tool's bitmap that are filled

[[nodiscard]] u32 bytes_of(const xenctl_bitmap& map) { return (map.nr_bits + 7u) / 8; }

} // namespace

Result<CpuMask> read_bitmap(const xenctl_bitmap& from) {
    std::array<u8, mask_bytes> bytes{};
    const GuestHandle<u8> in(reinterpret_cast<u64>(from.bitmap.p));
    TRY(in.read_array(std::span(bytes).first(std::min(bytes_of(from), mask_bytes))));
    CpuMask mask;
    for (u32 cpu = 0; cpu < std::min(from.nr_bits, max_cpus); ++cpu)
        if ((bytes[cpu / 8] >> (cpu % 8)) & 1) mask.set(CpuId(cpu));
    return mask;
}

Result<> write_bitmap(const xenctl_bitmap& to, const CpuMask& mask) {
    const GuestHandle<u8> out(reinterpret_cast<u64>(to.bitmap.p));
    const u32 bytes = std::min(bytes_of(to), most_bytes);
    for (u32 i = 0; i < bytes; ++i) {
        u8 byte = 0;
        for (u32 cpu = i * 8; cpu < std::min({i * 8 + 8, max_cpus, to.nr_bits}); ++cpu)
            byte |= static_cast<u8>(mask.test(CpuId(cpu)) << (cpu % 8));
        TRY(out.write(byte, i));
    }
    return {};
}

} // namespace streak::hypercall
