// SPDX-License-Identifier: GPL-2.0-only
#pragma once

#include <stdlib.h>

#include <filesystem>
#include <fstream>
#include <string>

#include "lib/abi.hpp"
#include "loader_test_elf.hpp"

/// Kernels and folders for the builder's tests.
namespace builder_test {

namespace fs = std::filesystem;
using loader_test::Blob;
using loader_test::ElfBuilder;

/// A folder that goes with its owner.
struct Folder {
    Folder() {
        char name[] = "/tmp/streak-builder-XXXXXX";
        path = ::mkdtemp(name);
    }
    ~Folder() {
        std::error_code ignored;
        fs::remove_all(path, ignored);
    }
    Folder(const Folder&) = delete;
    Folder& operator=(const Folder&) = delete;

    fs::path write(const char* name, const Blob& data) const {
        std::ofstream(path / name, std::ios::binary)
            .write(reinterpret_cast<const char*>(data.data()), static_cast<std::streamsize>(data.size()));
        return path / name;
    }
    fs::path path;
};

/// Text that tells its place, `bytes` long, with a hole of zeros in its middle third.
inline std::string pattern(std::size_t bytes, unsigned seed = 1) {
    std::string data(bytes, '\0');
    for (std::size_t i = 0; i < bytes; ++i)
        if (i < bytes / 3 || i >= bytes / 3 * 2) data[i] = static_cast<char>((i * 31 + (i >> 8) * seed) % 255 + 1);
    return data;
}

/// A kernel laid out like Linux: text, per-CPU data at virtual address 0, data with a bss.
inline ElfBuilder linux_like(std::uint64_t base = 0xffffffff80000000, unsigned seed = 1) {
    ElfBuilder elf;
    elf.load(base + 0x100000, 0x100000, 0x90000, pattern(0x90000, seed))
        .load(0, 0x190000, 0x3000, pattern(0x3000, seed + 1))
        .load(base + 0x193000, 0x193000, 0x20000, pattern(0x5123, seed + 2));
    elf.text(XEN_ELFNOTE_GUEST_OS, "linux")
        .text(XEN_ELFNOTE_GUEST_VERSION, "2.6")
        .text(XEN_ELFNOTE_XEN_VERSION, "xen-3.0")
        .text(XEN_ELFNOTE_LOADER, "generic")
        .number(XEN_ELFNOTE_VIRT_BASE, base)
        .number(XEN_ELFNOTE_ENTRY, base + 0x100010);
    return elf;
}

} // namespace builder_test
