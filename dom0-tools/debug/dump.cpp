// SPDX-License-Identifier: GPL-2.0-only
#include "debug/dump.hpp"

#include <algorithm>
#include <cstdio>
#include <cstring>
#include <set>

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fd.hpp"
#include "base/io.hpp"
#include "debug/core_file.hpp"
#include "debug/guest.hpp"

namespace streak::debug {
namespace {

constexpr std::size_t pages_at_once = 512;
// What a walk looks at and finds at most, besides a part of the guest's memory: Linux' espfix area alone has thousands of
// tables, which lead to one page. Not more than 50 MB for a small guest.
constexpr std::size_t tables_beside_memory = 16384, mappings_beside_memory = 2 << 20;

/// A domain that stands still while this lives.
class Paused {
public:
    Paused(hv::Hypervisor& hypervisor, DomId domain) : hypervisor_(hypervisor), domain_(domain) {}
    Paused(const Paused&) = delete;
    Paused& operator=(const Paused&) = delete;
    ~Paused() { (void)hypervisor_.unpause(domain_); }

private:
    hv::Hypervisor& hypervisor_;
    DomId domain_;
};

/// A file that is there as a whole, or not at all.
class NewFile {
public:
    explicit NewFile(std::string path) : path_(std::move(path)), partial_(path_ + ".partial") {
        // Somebody else's file of that name must not get what guests keep to themselves.
        ::unlink(partial_.c_str());
        file_ = base::Fd(::open(partial_.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600));
    }
    NewFile(const NewFile&) = delete;
    NewFile& operator=(const NewFile&) = delete;
    ~NewFile() {
        if (file_) ::unlink(partial_.c_str());
    }

    [[nodiscard]] explicit operator bool() const { return static_cast<bool>(file_); }
    [[nodiscard]] std::unexpected<base::Error> failure() const {
        return base::errno_error("can't write " + partial_, errno);
    }
    base::Outcome<> write(std::span<const std::byte> bytes, std::uint64_t offset) {
        if (!base::write_all_at(file_.get(), bytes, offset)) return failure();
        return {};
    }
    base::Outcome<> finish(std::uint64_t bytes, bool replace) {
        if (::ftruncate(file_.get(), static_cast<off_t>(bytes)) != 0 || ::fsync(file_.get()) != 0) return failure();
        if (::renameat2(AT_FDCWD, partial_.c_str(), AT_FDCWD, path_.c_str(), replace ? 0 : RENAME_NOREPLACE) != 0)
            return base::errno_error("can't put " + path_ + " in place", errno);
        file_.reset();
        return {};
    }

private:
    std::string path_, partial_;
    base::Fd file_;
};

std::unexpected<base::Error> failed(const char* what, Errno code) {
    return base::hypercall_error(std::string("the guest can't be dumped: ") + what, code);
}

class Dumper {
public:
    Dumper(hv::Hypervisor& hypervisor, const hv::DomainInfo& info) : hypervisor_(hypervisor), info_(info) {}

    /// All but the bytes of the pages.
    base::Outcome<CoreImage> look() {
        CoreImage image;
        auto vcpus = contexts(hypervisor_.port(), info_);
        if (!vcpus) return failed("its registers can't be read", vcpus.error());
        image.vcpus = std::move(*vcpus);
        image.shared_info.resize(page_size);
        if (const auto page = map({info_.shared_info.raw()}))
            std::ranges::copy(page->bytes(), image.shared_info.begin());
        image.mapped = walk(image.vcpus);
        auto pages = number(image.mapped);
        if (!pages) return failed("what its frames are can't be told", pages.error());
        image.pages = std::move(*pages);
        result_.pages = image.pages.size();
        result_.vcpus = image.vcpus.size();
        return image;
    }

    base::Outcome<> write_pages(NewFile& file, std::uint64_t offset, std::span<const CorePage> pages,
                                const std::function<void(std::uint64_t, std::uint64_t)>& progress) {
        for (std::size_t done = 0; done < pages.size();) {
            const auto some = pages.subspan(done, std::min(pages_at_once, pages.size() - done));
            TRY(write_some(file, offset + done * page_size, some));
            done += some.size();
            progress(done, pages.size());
        }
        return {};
    }

    [[nodiscard]] Dumped result() const { return result_; }

private:
    Result<hv::Mapping> map(const std::vector<std::uint64_t>& frames) {
        return hypervisor_.map(info_.id, frames, false);
    }

    std::vector<MappedPage> walk(const std::vector<vcpu_guest_context_t>& vcpus) {
        PageWalk pages(
            [this](std::uint64_t frame) -> std::optional<Table> {
                const auto mapping = map({frame});
                return mapping ? std::optional(mapping->as<Table>()) : std::nullopt;
            },
            tables_beside_memory + info_.pages / 16, mappings_beside_memory + 4 * info_.pages);
        std::set<std::uint64_t> roots;
        for (const auto& vcpu : vcpus) roots.insert(xen_cr3_to_pfn(vcpu.ctrlreg[3]));
        for (const auto root : roots) pages.add(root);
        result_.complete = pages.complete();
        return pages.take();
    }

    /// The guest's own frames, each once, in the order of its own numbers, so that the file has few segments.
    Result<std::vector<CorePage>> number(const std::vector<MappedPage>& mapped) {
        std::vector<std::uint64_t> frames;
        for (const auto& page : mapped) frames.push_back(page.frame);
        std::ranges::sort(frames);
        const auto twice = std::ranges::unique(frames);
        frames.erase(twice.begin(), twice.end());
        TRY_ASSIGN(own, owned(hypervisor_.port(), info_.id, frames));
        TRY_ASSIGN(list, MachineToPhysical::open(hypervisor_.port()));
        std::vector<CorePage> pages;
        for (std::size_t i = 0; i < frames.size(); ++i) {
            if (!own[i]) continue;
            TRY_ASSIGN(pfn, list.pfn(frames[i]));
            pages.push_back({frames[i], pfn});
        }
        result_.skipped = frames.size() - pages.size();
        std::ranges::stable_sort(pages, {}, &CorePage::pfn);
        return pages;
    }

    base::Outcome<> write_some(NewFile& file, std::uint64_t offset, std::span<const CorePage> pages) {
        std::vector<std::uint64_t> frames;
        for (const auto& page : pages) frames.push_back(page.frame);
        const auto mapping = map(frames);
        if (!mapping) return failed("its memory can't be mapped", mapping.error());
        for (std::size_t at = 0; at < mapping->bytes().size(); at += page_size) {
            const auto page = mapping->bytes().subspan(at, page_size);
            const bool zeros = page[0] == std::byte{} && std::memcmp(&page[0], &page[1], page.size() - 1) == 0;
            if (!zeros) TRY(file.write(page, offset + at));
        }
        return {};
    }

    hv::Hypervisor& hypervisor_;
    const hv::DomainInfo& info_;
    Dumped result_;
};

} // namespace

base::Outcome<Dumped> dump(hv::Hypervisor& hypervisor, DomId domain, CoreFormat format, const std::string& path,
                           bool replace, const std::function<void(std::uint64_t, std::uint64_t)>& progress) {
    if (domain == dom0_id)
        return base::error(base::ErrorKind::usage, "the control domain can't stop itself for a core of its own",
                           "a guest");
    if (::access(path.c_str(), F_OK) == 0 && !replace)
        return base::error(base::ErrorKind::conflict, path + " exists", "a new file", {}, "--force replaces it");
    if (const auto paused = hypervisor.pause(domain); !paused) return failed("it can't be paused", paused.error());
    const Paused standing(hypervisor, domain);
    const auto info = hypervisor.info(domain);
    if (!info) return failed("it can't be looked at", info.error());
    NewFile file(path);
    if (!file) return file.failure();

    Dumper dumper(hypervisor, *info);
    TRY_ASSIGN(image, dumper.look());
    const auto head = format == CoreFormat::gdb ? gdb_head(image) : crash_head(image);
    TRY(file.write(head, 0));
    TRY(dumper.write_pages(file, head.size(), image.pages, progress));
    TRY(file.finish(head.size() + image.pages.size() * page_size, replace));
    return dumper.result();
}

} // namespace streak::debug
