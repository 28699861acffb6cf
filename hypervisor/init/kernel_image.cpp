// SPDX-License-Identifier: GPL-2.0-only
#include "init/kernel_image.hpp"

#include "arch/msr.hpp"
#include "lib/panic.hpp"
#include "mm/frame_allocator.hpp"

namespace streak::init {

namespace {

mm::PageInfo& room_for(u64 bytes, const char* what) {
    if (mm::order_for(bytes) <= mm::max_order)
        if (mm::PageInfo* pages = mm::alloc_frames(mm::order_for(bytes))) return *pages;
    panic("{}: {} KiB in one piece expected, not found", what, bytes >> 10);
}

/// The decoders were built as parts of ordinary programs: they look for the stack protector's word at %fs:0x28.
class DecoderFs {
public:
    DecoderFs() { arch::write_msr(0xc0000100, reinterpret_cast<u64>(block_.data())); }
    ~DecoderFs() { arch::write_msr(0xc0000100, 0); }

private:
    alignas(16) std::array<u8, loader::decoder_fs_block_bytes> block_{};
};

} // namespace

void refuse_kernel(const loader::LoadError& error) {
    const std::string_view what = loader::describe(error.code);
    if (!error.expected_text.empty())
        panic("dom0's kernel: {} ({}): expected {}, found {}", what, error.item, error.expected_text, error.found_text);
    panic("dom0's kernel: {} ({}): expected {:#x}, found {:#x}", what, error.item, error.expected, error.found);
}

KernelImage::KernelImage(loader::Bytes file) {
    const auto payload = loader::find_payload(file);
    if (!payload) refuse_kernel(payload.error());
    if (payload->format == loader::Format::elf) {
        elf_ = payload->data;
        return;
    }
    const u64 size = payload->decompressed_size;
    log_info("dom0's kernel: {} payload, {} KiB to {} KiB", loader::name_of(payload->format),
             payload->data.size() >> 10, size >> 10);
    order_ = mm::order_for(size);
    unpacked_ = &room_for(size, "unpacking dom0's kernel");
    const u64 work = loader::work_space(payload->format, payload->data);
    mm::PageInfo& work_pages = room_for(work, "work space of the decoder");

    loader::Arena arena({mm::page_memory<std::byte>(work_pages), work});
    const std::span<std::byte> out(mm::page_memory<std::byte>(*unpacked_), size);
    const auto written = [&] {
        const DecoderFs fs;
        return loader::decompress(payload->format, payload->data, out, arena);
    }();
    mm::free_frames(work_pages, mm::order_for(work));
    if (!written) refuse_kernel(written.error());
    elf_ = out.first(*written);
}

KernelImage::~KernelImage() {
    if (unpacked_) mm::free_frames(*unpacked_, order_);
}

} // namespace streak::init
