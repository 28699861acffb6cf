// SPDX-License-Identifier: GPL-2.0-only
#pragma once

#include "loader/decompress.hpp"
#include "mm/page.hpp"

namespace streak::init {

/// Panics with what is wrong with dom0's kernel.
[[noreturn]] void refuse_kernel(const loader::LoadError& error);

/// dom0's kernel, unpacked when it was packed. Uses the decoders of the init segment.
class KernelImage : NotCopyable {
public:
    /// Panics with the reason when the file holds no kernel or its payload is damaged.
    explicit KernelImage(loader::Bytes file);
    ~KernelImage();

    [[nodiscard]] loader::Bytes elf() const { return elf_; }

private:
    loader::Bytes elf_;
    mm::PageInfo* unpacked_ = nullptr;
    unsigned order_ = 0;
};

} // namespace streak::init
