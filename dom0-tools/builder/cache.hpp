// SPDX-License-Identifier: GPL-2.0-only
#pragma once

#include <filesystem>
#include <optional>
#include <string>

#include "base/error.hpp"
#include "builder/kernel_file.hpp"

namespace streak::builder {

/// Unpacked kernels on disk, by the SHA-256 of the files they were in. The directory is its owner's alone; a file
/// appears whole (by rename) and is never written again. Next to the kernels, `by-file-IDENTITY` are symbolic links
/// from files that were hashed before to their hashes.
///
/// A file is the ELF image, with holes where it is zero, and behind it a list of what is not, with a check sum, which the
/// first load of each process verifies: against damage, for who can write here can write a check sum as well.
class KernelCache {
public:
    static constexpr std::uint64_t default_limit = 512ull << 20;

    explicit KernelCache(std::filesystem::path directory, std::uint64_t limit = default_limit)
        : directory_(std::move(directory)), limit_(limit) {}

    /// Makes the directory when it isn't there. Errors: refused (not its owner's alone), as mkdir(2).
    [[nodiscard]] base::Outcome<> open();

    /// Nobody else adds or removes kernels until the descriptor is closed. Waits.
    [[nodiscard]] base::Fd lock() const;

    /// The hash of a file that was looked at before, if it is still the same.
    [[nodiscard]] std::optional<std::string> name_of(const FileIdentity& file) const;
    void remember(const FileIdentity& file, const std::string& name) const;

    /// An entry to read from; counts as its use. Nothing when it is not there, or not fit to be trusted.
    [[nodiscard]] base::Fd find(const std::string& name) const;
    /// An entry's headers, notes and runs, when its check sum is right; otherwise the entry is removed and logged.
    struct Image {
        PageBuffer headers;
        std::vector<Run> runs;
    };
    [[nodiscard]] std::optional<Image> load(const std::string& name, int fd) const;

    /// Adds an image and makes room for it; call it under lock(). Errors: as write(2).
    [[nodiscard]] base::Outcome<> insert(const std::string& name, loader::Bytes image, std::span<const Run> runs) const;

private:
    void make_room(const std::string& newest) const;

    std::filesystem::path directory_;
    std::uint64_t limit_;
    base::Fd fd_;
};

/// SHA-256 in hexadecimal digits.
[[nodiscard]] std::string content_hash(loader::Bytes data);

} // namespace streak::builder
