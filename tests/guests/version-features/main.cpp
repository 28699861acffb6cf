// SPDX-License-Identifier: GPL-2.0-only
//
// The story: kernels choose their code paths by xen_version. A wrong version or a feature bit too many sends
// an unmodified kernel down a path that does not exist. Every command is asked, its answer is held against
// the header, and strings have to end inside their structures. So are the variants that a kernel may choose.

#include "tests/guests/lib/paging.hpp"
#include "tests/guests/lib/verdict.hpp"

using namespace guest;

namespace {

template <unsigned N> bool ends(const char (&text)[N]) {
    for (char c : text)
        if (c == 0) return true;
    return false;
}

void check_strings() {
    xen_extraversion_t extra;
    memset(&extra, 'x', sizeof(extra));
    expect_eq(xen_version(XENVER_extraversion, &extra), 0, "XENVER_extraversion");
    expect(ends(extra) && extra[0] == '.', "the extra version is a string like .0-name");
    Line() << "extraversion " << extra;

    static xen_compile_info_t compile;
    memset(&compile, 'x', sizeof(compile));
    expect_eq(xen_version(XENVER_compile_info, &compile), 0, "XENVER_compile_info");
    expect(ends(compile.compiler) && ends(compile.compile_by) && ends(compile.compile_domain) &&
               ends(compile.compile_date),
           "compile_info holds strings");

    static xen_capabilities_info_t capabilities;
    memset(&capabilities, 'x', sizeof(capabilities));
    expect_eq(xen_version(XENVER_capabilities, &capabilities), 0, "XENVER_capabilities");
    expect(ends(capabilities), "capabilities is a string");
    expect(std::string_view(capabilities).find("xen-3.0-x86_64") != std::string_view::npos,
           "capabilities offer xen-3.0-x86_64");

    static xen_changeset_info_t changeset;
    memset(&changeset, 'x', sizeof(changeset));
    expect_eq(xen_version(XENVER_changeset, &changeset), 0, "XENVER_changeset");
    expect(ends(changeset), "changeset is a string");

    static xen_commandline_t command_line;
    memset(&command_line, 'x', sizeof(command_line));
    expect_eq(xen_version(XENVER_commandline, &command_line), 0, "XENVER_commandline");
    expect(ends(command_line), "the command line is a string");
    expect(std::string_view(command_line).find("dom0_mem=64M") != std::string_view::npos,
           "the command line is the one GRUB passed");
}

void check_features() {
    xen_feature_info_t features = {.submap_idx = 0, .submap = 0};
    expect_eq(xen_version(XENVER_get_features, &features), 0, "XENVER_get_features");
    const auto has = [&](unsigned bit) { return (features.submap >> bit & 1) != 0; };
    expect(has(XENFEAT_pae_pgdir_above_4gb), "page directories above 4 GiB");
    expect(has(XENFEAT_mmu_pt_update_preserve_ad), "PRESERVE_AD updates");
    expect(has(XENFEAT_gnttab_map_avail_bits), "grant map available bits");
    expect(has(XENFEAT_dom0), "this is dom0");
    expect(!has(XENFEAT_writable_page_tables) && !has(XENFEAT_auto_translated_physmap) &&
               !has(XENFEAT_supervisor_mode_kernel) && !has(XENFEAT_hvm_callback_vector) &&
               !has(XENFEAT_hvm_safe_pvclock) && !has(XENFEAT_hvm_pirqs),
           "no features that a PV guest cannot have");
    expect(has(XENFEAT_not_direct_mapped) != has(XENFEAT_direct_mapped), "direct mapped, or not");
    features = {.submap_idx = XENFEAT_NR_SUBMAPS, .submap = 0};
    const long beyond = xen_version(XENVER_get_features, &features);
    expect(beyond == -XEN_EINVAL || (beyond == 0 && features.submap == 0), "no submap beyond the last");
}

long assist(u32 command, u32 type) { return hypercall(__HYPERVISOR_vm_assist, command, type); }

void check_assists() {
    constexpr u32 types[] = {VMASST_TYPE_4gb_segments,        VMASST_TYPE_4gb_segments_notify,
                             VMASST_TYPE_writable_pagetables, VMASST_TYPE_pae_extended_cr3,
                             VMASST_TYPE_architectural_iopl,  VMASST_TYPE_runstate_update_flag};
    for (const u32 type : types) {
        expect_eq(assist(VMASST_CMD_enable, type), 0, "an assist that the header names");
        expect_eq(assist(VMASST_CMD_disable, type), 0, "and disabled");
    }
    expect_eq(assist(VMASST_CMD_enable, 31), -XEN_EINVAL, "one that it does not");
    expect_eq(assist(2, VMASST_TYPE_4gb_segments), -XEN_ENOSYS, "an unknown command");
}

} // namespace

GUEST("version-features") {
    expect_eq(xen_version(XENVER_version), 4 << 16 | 17, "XENVER_version is 4.17");
    check_strings();
    check_features();
    check_assists();

    xen_platform_parameters_t platform = {};
    expect_eq(xen_version(XENVER_platform_parameters, &platform), 0, "XENVER_platform_parameters");
    expect_eq(platform.virt_start, HYPERVISOR_VIRT_START, "the hypervisor's hole");
    expect_eq(xen_version(XENVER_pagesize), 4096, "XENVER_pagesize");

    xen_domain_handle_t handle = {};
    expect_eq(xen_version(XENVER_guest_handle, &handle), 0, "XENVER_guest_handle");

    static union {
        xen_build_id_t header;
        u8 bytes[64];
    } id = {};
    const long length = xen_version(XENVER_build_id);
    expect(length > 0 || length == -XEN_ENODATA, "XENVER_build_id tells its length, or that there is none");
    if (length > 0) {
        id.header.len = 32;
        expect_eq(xen_version(XENVER_build_id, &id), length, "XENVER_build_id fills the buffer");
        id.header.len = 0;
        expect_error(xen_version(XENVER_build_id, &id), "XENVER_build_id with no room");
    }
    expect_eq(xen_version(99), -XEN_ENOSYS, "an unknown command");
    expect_eq(xen_version(XENVER_extraversion, nullptr), -XEN_EFAULT, "no buffer");
}
