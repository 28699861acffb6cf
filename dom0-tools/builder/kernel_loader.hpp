// SPDX-License-Identifier: GPL-2.0-only
#pragma once

#include <list>
#include <mutex>

#include "builder/cache.hpp"
#include "builder/kernel.hpp"
#include "loader/bzimage.hpp"

namespace streak::builder {

/// Kernels by path, as quickly as possible: a file that was seen before costs its opening. Threads may share it.
class KernelLoader {
public:
    /// @param tick_ns how far apart changes of a file must be to be told apart by its times
    explicit KernelLoader(KernelCache cache, std::int64_t tick_ns = longest_tick_ns)
        : cache_(std::move(cache)), tick_ns_(tick_ns) {}

    /// Errors: as open_kernel(), plan_kernel(), unpack(). Trouble with the cache is logged, never an error.
    [[nodiscard]] base::Outcome<std::shared_ptr<const Kernel>> load(const std::filesystem::path& file);

    /// How many kernels were unpacked so far.
    [[nodiscard]] unsigned unpacked() const { return unpacked_; }

private:
    /// A file that was seen, and what came of it.
    struct Known {
        FileIdentity file;
        std::string cached; ///< name in the cache; empty: the file itself is the image
        std::shared_ptr<const KernelPlan> plan;
    };
    using Loaded = base::Outcome<std::shared_ptr<const Kernel>>;

    [[nodiscard]] std::shared_ptr<const Kernel> find_known(KernelFile& file);
    [[nodiscard]] std::shared_ptr<const Kernel> find_cached(const KernelFile& file, const std::string& path,
                                                            const std::string& hash);
    [[nodiscard]] Loaded load_new(KernelFile file, const std::string& path);
    [[nodiscard]] Loaded load_elf(KernelFile file, const std::string& path, loader::Bytes content);
    [[nodiscard]] Loaded unpack_new(const KernelFile& file, const std::string& path, loader::Bytes content,
                                    const loader::KernelPayload& payload);
    void remember(const KernelFile& file, const std::string& cached, std::shared_ptr<const KernelPlan> plan);
    void open_cache();

    KernelCache cache_;
    std::int64_t tick_ns_;
    bool cache_tried_ = false, cache_usable_ = false;
    std::mutex loading_;     ///< one new kernel at a time
    std::mutex looking_;     ///< of known_; held shortly, taken last
    std::list<Known> known_; ///< most recently used first
    unsigned unpacked_ = 0;
};

} // namespace streak::builder
