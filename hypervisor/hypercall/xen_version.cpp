// SPDX-License-Identifier: GPL-2.0-only
#include <cstring>

#include "hypercall/handlers.hpp"
#include "lib/build_info.hpp"

namespace streak::hypercall {

namespace {

template <std::size_t N> void put(char (&to)[N], std::string_view text) {
    const std::size_t n = text.size() < N - 1 ? text.size() : N - 1;
    std::memset(to, 0, N);
    std::memcpy(to, text.data(), n);
}

template <std::size_t N> Return give_text(RawHandle to, std::string_view text) {
    struct {
        char buffer[N];
    } out;
    put(out.buffer, text);
    return answer(to.as<decltype(out)>().write(out));
}

Return give_compile_info(RawHandle to) {
    xen_compile_info_t info{};
    put(info.compiler, build_info::compiler);
    put(info.compile_by, build_info::by);
    put(info.compile_domain, build_info::domain);
    put(info.compile_date, build_info::date);
    return answer(to.as<xen_compile_info_t>().write(info));
}

/// Feature bits of a 64-bit PV guest (xen/features.h).
u32 features(const Domain& d) {
    const auto bit = [](unsigned n) { return 1u << n; };
    u32 map = bit(XENFEAT_pae_pgdir_above_4gb) | bit(XENFEAT_mmu_pt_update_preserve_ad) | bit(XENFEAT_highmem_assist) |
              bit(XENFEAT_gnttab_map_avail_bits) | bit(XENFEAT_memory_op_vnode_supported) | bit(XENFEAT_direct_mapped);
    if (d.privileged) map |= bit(XENFEAT_dom0);
    return map;
}

Return give_features(RawHandle to) {
    auto handle = to.as<xen_feature_info_t>();
    TRY_ASSIGN(info, handle.read());
    info.submap = info.submap_idx == 0 ? features(caller()) : 0;
    if (info.submap_idx >= XENFEAT_NR_SUBMAPS) return fail(Errno::EINVAL);
    return answer(handle.write(info));
}

Return give_build_id(RawHandle to) {
    const std::span<const u8> id = build_info::build_id();
    if (id.empty()) return fail(Errno::ENODATA);
    if (to.is_null()) return static_cast<i64>(id.size());
    TRY_ASSIGN(header, to.as<xen_build_id_t>().read());
    if (header.len == 0) return fail(Errno::EINVAL);
    if (header.len < id.size()) return fail(Errno::ENOBUFS);
    TRY(to.offset(offsetof(xen_build_id_t, buf)).write_array(id));
    return static_cast<i64>(id.size());
}

} // namespace

[[gnu::noinline]] static Return other_version_op(i32 command, RawHandle argument) {
    TRY(may(xsm::Hook::xen_version, caller()));
    switch (command) {
    case XENVER_extraversion: return give_text<sizeof(xen_extraversion_t)>(argument, build_info::extra);
    case XENVER_compile_info: return give_compile_info(argument);
    case XENVER_capabilities: return give_text<sizeof(xen_capabilities_info_t)>(argument, "xen-3.0-x86_64 ");
    case XENVER_changeset: return give_text<sizeof(xen_changeset_info_t)>(argument, build_info::changeset);
    case XENVER_platform_parameters:
        return answer(argument.as<xen_platform_parameters_t>().write({.virt_start = HYPERVISOR_VIRT_START}));
    case XENVER_get_features: return give_features(argument);
    case XENVER_pagesize: return page_size;
    case XENVER_guest_handle: TRY(argument.as<xen_domain_handle_t>().write_array({&caller().handle, 1})); return 0;
    case XENVER_commandline:
        TRY(may(xsm::Hook::xen_version_privileged, caller()));
        return give_text<sizeof(xen_commandline_t)>(argument, build_info::command_line());
    case XENVER_build_id: return give_build_id(argument);
    default: return fail(Errno::ENOSYS);
    }
}

/// Version, features and build of the hypervisor. ENOSYS for an unknown command; EPERM for texts that only
/// the control domain may read. (xen/version.h)
Return xen_version(i32 command, RawHandle argument) {
    // Guests use it as the cheapest call there is.
    if (command == XENVER_version) return (build_info::major << 16) | build_info::minor;
    return other_version_op(command, argument);
}

} // namespace streak::hypercall
