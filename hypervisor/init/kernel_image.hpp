// SPDX-License-Identifier: GPL-2.0-only
#pragma once

#include "loader/bytes.hpp"
#include "mm/page.hpp"

namespace streak::init {

/// dom0's kernel, unpacked when it was packed. Uses the decoders of the init segment.
class KernelImage {
public:
    /// Panics with the reason when the file holds no kernel or its payload is damaged.
    explicit KernelImage(loader::Bytes file);
    ~KernelImage();
    KernelImage(const KernelImage&) = delete;
    KernelImage& operator=(const KernelImage&) = delete;

    [[nodiscard]] loader::Bytes elf() const { return elf_; }

private:
    loader::Bytes elf_;
    mm::PageInfo* unpacked_ = nullptr;
    unsigned order_ = 0;
};

} // namespace streak::init
