// SPDX-License-Identifier: GPL-2.0-only
#include "arch/cpu.hpp"

#include <cstring>

#include "arch/cr.hpp"
#include "arch/descriptor.hpp"
#include "arch/image.hpp"
#include "arch/msr.hpp"
#include "arch/speculation.hpp"

namespace streak::arch {

constinit CpuFeatures cpu_features{};

namespace {

extern "C" {
extern const char syscall_entry[], syscall32_entry[], sysenter_entry[];
extern const char xpti_syscall_entry[], xpti_syscall32_entry[], xpti_sysenter_entry[];
extern const i32 __clac_sites_start[], __clac_sites_end[], __stac_sites_start[], __stac_sites_end[];
}

constexpr u64 xcr0_known = 0xe7; ///< x87, SSE, AVX, AVX-512: what guests get switched

[[nodiscard]] bool bit(u32 word, unsigned number) { return (word >> number) & 1; }

CpuVendor find_vendor() {
    const auto text = cpu_vendor_name();
    const std::string_view name(text.data(), text.size());
    if (name == "GenuineIntel") return CpuVendor::intel;
    if (name == "AuthenticAMD" || name == "HygonGenuine") return CpuVendor::amd;
    return CpuVendor::other;
}

void read_basic_leaves(CpuFeatures& f) {
    const CpuidLeaf one = cpuid(1);
    f.stepping = one.eax & 0xf;
    f.family = one.eax >> 8 & 0xf;
    f.model = one.eax >> 4 & 0xf;
    if (f.family == 0xf || f.family == 6) f.model |= one.eax >> 12 & 0xf0;
    if (f.family == 0xf) f.family += one.eax >> 20 & 0xff;
    f.mce = bit(one.edx, 7);
    f.sep = bit(one.edx, 11);
    f.pge = bit(one.edx, 13);
    f.pat = bit(one.edx, 16);
    f.monitor = bit(one.ecx, 3);
    f.pcid = bit(one.ecx, 17);
    f.x2apic = bit(one.ecx, 21);
    f.tsc_deadline = bit(one.ecx, 24);
    f.xsave = bit(one.ecx, 26);
    f.under_hypervisor = bit(one.ecx, 31);
    if (f.max_leaf >= 7) {
        const CpuidLeaf seven = cpuid(7);
        f.fsgsbase = bit(seven.ebx, 0);
        f.smep = bit(seven.ebx, 7);
        f.smap = bit(seven.ebx, 20);
        f.umip = bit(seven.ecx, 2);
        f.md_clear = bit(seven.edx, 10);
        f.ibpb = bit(seven.edx, 26);
        f.arch_capabilities = bit(seven.edx, 29);
    }
}

void read_extended_leaves(CpuFeatures& f) {
    const CpuidLeaf one = cpuid(0x80000001);
    f.rdtscp = bit(one.edx, 27);
    f.physical_address_bits = 36;
    if (f.max_extended_leaf >= 0x80000007) f.invariant_tsc = bit(cpuid(0x80000007).edx, 8);
    if (f.max_extended_leaf < 0x80000008) return;
    const CpuidLeaf eight = cpuid(0x80000008);
    f.physical_address_bits = eight.eax & 0xff;
    f.ibpb = f.ibpb || bit(eight.ebx, 12);
}

void find_xsave(CpuFeatures& f) {
    if (!f.xsave) return;
    const CpuidLeaf leaf = cpuid(0xd);
    f.xcr0 = (leaf.eax | static_cast<u64>(leaf.edx) << 32) & xcr0_known;
    if ((f.xcr0 & 0xe0) != 0xe0 || !(f.xcr0 & 4)) f.xcr0 &= 7;
    f.xsaveopt = bit(cpuid(0xd, 1).eax, 0);
    f.xsave_bytes = 512 + 64;
    for (unsigned component = 2; component < 64; ++component)
        if (f.xcr0 >> component & 1) {
            const CpuidLeaf part = cpuid(0xd, component);
            f.xsave_bytes = f.xsave_bytes > part.ebx + part.eax ? f.xsave_bytes : part.ebx + part.eax;
        }
}

bool is_qemu_tcg() {
    const CpuidLeaf leaf = cpuid(0x40000000);
    const u32 name[3] = {leaf.ebx, leaf.ecx, leaf.edx};
    return std::memcmp(name, "TCGTCGTCGTCG", 12) == 0;
}

void patch(const i32* site, const i32* end, u8 last_byte) {
    for (; site != end; ++site) {
        const u64 at = reinterpret_cast<u64>(site) + static_cast<u64>(static_cast<i64>(*site));
        const u8 instruction[3] = {0x0f, 0x01, last_byte};
        patch_text(reinterpret_cast<const void*>(at), instruction, sizeof instruction);
    }
}

/// Turns the three-byte NOPs around guest accesses and at entries into STAC and CLAC.
void patch_smap() {
    patch(__clac_sites_start, __clac_sites_end, 0xca);
    patch(__stac_sites_start, __stac_sites_end, 0xcb);
}

void init_system_calls() {
    using namespace rflags;
    constexpr u64 cleared = tf | if_ | df | iopl | nt | rf | ac;
    constexpr u64 sysret_base = selector::guest_cs32; // SS is 8 above, 64-bit CS 16
    static_assert(selector::guest_ss == sysret_base + 8 && selector::guest_cs64 == sysret_base + 16);
    static_assert(selector::hypervisor_ds == selector::hypervisor_cs + 8);
    write_msr(msr::star, sysret_base << 48 | static_cast<u64>(selector::hypervisor_cs) << 32);
    const bool own = measures.own_entries;
    write_msr(msr::lstar, reinterpret_cast<u64>(own ? xpti_syscall_entry : syscall_entry));
    write_msr(msr::cstar, reinterpret_cast<u64>(own ? xpti_syscall32_entry : syscall32_entry));
    write_msr(msr::sfmask, cleared);
    if (cpu_features.sep) {
        write_msr(msr::sysenter_cs, selector::hypervisor_cs);
        write_msr(msr::sysenter_esp, this_cpu().stack_top);
        write_msr(msr::sysenter_eip, reinterpret_cast<u64>(own ? xpti_sysenter_entry : sysenter_entry));
    }
}

} // namespace

void patch_text(const void* at, const u8* instructions, u64 bytes) {
    // The text itself is read-only once memory management runs.
    std::memcpy(direct_map(image_maddr(at)), instructions, bytes);
    (void)cpuid(0); // serialises
}

void detect_cpu_features() {
    CpuFeatures& f = cpu_features;
    f = {};
    f.vendor = find_vendor();
    f.max_leaf = cpuid(0).eax;
    f.max_extended_leaf = cpuid(0x80000000).eax;
    read_basic_leaves(f);
    read_extended_leaves(f);
    find_xsave(f);
    f.qemu_tcg = f.under_hypervisor && is_qemu_tcg();
    if (f.qemu_tcg) f.smap = false;
    if (f.smap) patch_smap();
}

void limit_protection(bool smep, bool smap) {
    cpu_features.smep = cpu_features.smep && smep;
    cpu_features.smap = cpu_features.smap && smap;
}

u64 host_cr4() {
    const CpuFeatures& f = cpu_features;
    u64 value = cr4::pae | cr4::de | cr4::osfxsr | cr4::osxmmexcpt;
    value |= f.mce ? cr4::mce : 0;
    // Global translations would outlive the tables that isolation takes away.
    value |= f.pge && !measures.xpti() ? cr4::pge : 0;
    value |= measures.pcid ? cr4::pcide : 0;
    value |= f.xsave ? cr4::osxsave : 0;
    value |= f.fsgsbase ? cr4::fsgsbase : 0;
    value |= f.smep ? cr4::smep : 0;
    value |= f.smap ? cr4::smap : 0;
    return value;
}

void init_cpu() {
    write_cr4(host_cr4());
    this_cpu().keep_tlb = measures.pcid ? 1ull << 63 : 0;
    write_cr0(cr0::pg | cr0::wp | cr0::ne | cr0::et | cr0::mp | cr0::pe | cr0::am);
    if (cpu_features.xsave) {
        write_xcr0(cpu_features.xcr0);
        this_cpu().xcr0 = cpu_features.xcr0;
    }
    asm volatile("fninit");
    write_msr(msr::efer, read_msr(msr::efer) | efer::sce | efer::nxe);
    if (cpu_features.pat) write_msr(msr::pat, pat_value);
    if (cpu_features.rdtscp) write_msr(msr::tsc_aux, 0);
    init_system_calls();
}

void idle_halt() {
    if (this_cpu().work.load(std::memory_order_relaxed) == 0) asm volatile("sti\n\thlt\n\tcli" ::: "memory");
}

} // namespace streak::arch
