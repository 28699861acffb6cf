// SPDX-License-Identifier: GPL-2.0-only
#include "builder/kernel_loader.hpp"

#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>

#include "base/log.hpp"
#include "builder/load_errors.hpp"
#include "builder/unpack.hpp"

namespace streak::builder {

namespace {

constexpr std::size_t most_known = 32;

/// A copy in memory that no one can write: for images that have no file of their own, or one that is not to be trusted.
base::Outcome<base::Fd> sealed_copy(loader::Bytes image, std::span<const Run> runs) {
    base::Fd fd(::memfd_create("kernel", MFD_CLOEXEC | MFD_ALLOW_SEALING));
    bool good = fd && ::ftruncate(fd.get(), static_cast<off_t>(image.size())) == 0;
    for (const auto& run : runs)
        good = good && ::pwrite(fd.get(), image.data() + run.offset, run.bytes, static_cast<off_t>(run.offset)) ==
                           static_cast<ssize_t>(run.bytes);
    constexpr int seals = F_SEAL_WRITE | F_SEAL_GROW | F_SEAL_SHRINK | F_SEAL_SEAL;
    if (!good || ::fcntl(fd.get(), F_ADD_SEALS, seals) != 0)
        return base::errno_error("an unpacked kernel can't be kept in memory", errno);
    return fd;
}

} // namespace

base::Outcome<std::shared_ptr<const Kernel>> KernelLoader::load(const std::filesystem::path& path) {
    TRY_ASSIGN(file, open_kernel(path, tick_ns_));
    if (auto kernel = find_known(file)) return kernel;
    const std::lock_guard guard(loading_);
    open_cache();
    if (auto kernel = find_known(file)) return kernel; // someone else has just loaded it
    return load_new(std::move(file), path.string());
}

void KernelLoader::open_cache() {
    if (std::exchange(cache_tried_, true)) return;
    const auto opened = cache_.open();
    cache_usable_ = opened.has_value();
    if (!opened) base::log(base::LogLevel::warning, opened.error().text());
}

std::shared_ptr<const Kernel> KernelLoader::find_known(KernelFile& file) {
    if (!file.stable) return nullptr;
    const std::lock_guard guard(looking_);
    const auto known = std::ranges::find(known_, file.identity, &Known::file);
    if (known == known_.end()) return nullptr;
    const bool original = known->cached.empty();
    base::Fd image = original ? std::move(file.fd) : cache_.find(known->cached);
    if (!image) { // someone removed it from the cache
        known_.erase(known);
        return nullptr;
    }
    known_.splice(known_.begin(), known_, known);
    return std::make_shared<Kernel>(known->plan, std::move(image),
                                    original ? std::optional(file.identity) : std::nullopt);
}

void KernelLoader::remember(const KernelFile& file, const std::string& cached, std::shared_ptr<const KernelPlan> plan) {
    if (!file.stable) return;
    const std::lock_guard guard(looking_);
    known_.push_front({file.identity, cached, std::move(plan)});
    if (known_.size() > most_known) known_.pop_back();
    if (!cached.empty()) cache_.remember(file.identity, cached);
}

std::shared_ptr<const Kernel> KernelLoader::find_cached(const KernelFile& file, const std::string& path,
                                                        const std::string& hash) {
    base::Fd image = cache_.find(hash);
    if (!image) return nullptr;
    const auto content = cache_.load(hash, image.get());
    if (!content) return nullptr;
    const auto plan = plan_kernel(path, content->headers.bytes(), content->runs);
    if (!plan) return nullptr; // another version's idea of a kernel: unpacking it anew gives the reason
    remember(file, hash, *plan);
    return std::make_shared<Kernel>(*plan, std::move(image));
}

KernelLoader::Loaded KernelLoader::load_new(KernelFile file, const std::string& path) {
    if (cache_usable_ && file.stable)
        if (const auto hash = cache_.name_of(file.identity))
            if (auto kernel = find_cached(file, path, *hash)) return kernel;
    TRY_ASSIGN(content, read_whole(file.fd.get(), file.identity.bytes, path));
    if (identity_of(file.fd.get()) != file.identity)
        return base::error(base::ErrorKind::conflict, path + " was written while it was read");
    const loader::Bytes bytes = content.bytes();
    const auto payload = loader::find_payload(bytes);
    if (!payload) return std::unexpected(explain(path, payload.error(), bytes));
    const bool is_elf = payload->format == loader::Format::elf && payload->data.data() == bytes.data();
    return is_elf ? load_elf(std::move(file), path, bytes) : unpack_new(file, path, bytes, *payload);
}

KernelLoader::Loaded KernelLoader::load_elf(KernelFile file, const std::string& path, loader::Bytes content) {
    const auto runs = nonzero_runs(content);
    TRY_ASSIGN(plan, plan_kernel(path, content, runs));
    remember(file, {}, plan);
    if (file.stable) return std::make_shared<Kernel>(std::move(plan), std::move(file.fd), file.identity);
    TRY_ASSIGN(copy, sealed_copy(content, runs));
    return std::make_shared<Kernel>(std::move(plan), std::move(copy));
}

KernelLoader::Loaded KernelLoader::unpack_new(const KernelFile& file, const std::string& path, loader::Bytes content,
                                              const loader::KernelPayload& payload) {
    const auto hash = content_hash(content);
    const auto held = cache_usable_ ? cache_.lock() : base::Fd();
    if (cache_usable_)
        if (auto kernel = find_cached(file, path, hash)) return kernel;
    ++unpacked_;
    TRY_ASSIGN(image, unpack(path, payload));
    const auto runs = nonzero_runs(image.bytes());
    TRY_ASSIGN(plan, plan_kernel(path, image.bytes(), runs));
    if (cache_usable_) {
        const auto inserted = cache_.insert(hash, image.bytes(), runs);
        if (!inserted) base::log(base::LogLevel::warning, inserted.error().text());
        if (base::Fd kept = inserted ? cache_.find(hash) : base::Fd()) {
            remember(file, hash, plan);
            return std::make_shared<Kernel>(std::move(plan), std::move(kept));
        }
    }
    TRY_ASSIGN(copy, sealed_copy(image.bytes(), runs));
    return std::make_shared<Kernel>(std::move(plan), std::move(copy));
}

base::Outcome<std::shared_ptr<const Kernel>> load_kernel(const std::filesystem::path& file) {
    static KernelLoader loader{KernelCache(base::rooted("/var/cache/streak/kernels"))};
    return loader.load(file);
}

} // namespace streak::builder
