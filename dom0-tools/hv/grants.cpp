// SPDX-License-Identifier: GPL-2.0-only
#include "hv/grants.hpp"

#include "hv/device.hpp"
#include "lib/abi.hpp"

#include <sys/ioctl.h>
#include <sys/mman.h>

#include <xen/sys/gntalloc.h>
#include <xen/sys/gntdev.h>

namespace streak::hv {

namespace {

/// Null: `errno` says why.
std::byte* map_page(int device, std::uint64_t index) {
    void* const memory =
        ::mmap(nullptr, page_size, PROT_READ | PROT_WRITE, MAP_SHARED, device, static_cast<off_t>(index));
    return memory == MAP_FAILED ? nullptr : static_cast<std::byte*>(memory);
}

void forget(int gntdev, std::uint64_t index) {
    ioctl_gntdev_unmap_grant_ref request{.index = index, .count = 1, .pad = 0};
    (void)::ioctl(gntdev, IOCTL_GNTDEV_UNMAP_GRANT_REF, &request);
}

} // namespace

void GrantedPage::Unmap::operator()(std::byte* page) const {
    ::munmap(page, page_size);
    forget(device, index);
}

Result<GrantDevice> GrantDevice::open() {
    GrantDevice device;
    TRY_ASSIGN(fd, open_device("/dev/xen/gntdev"));
    device.fd_ = std::move(fd);
    return device;
}

Result<GrantedPage> GrantDevice::map(DomId domain, GrantRef ref) {
    ioctl_gntdev_map_grant_ref request{};
    request.count = 1;
    request.refs[0] = {.domid = domain.raw(), .ref = ref.raw()};
    if (::ioctl(fd_.get(), IOCTL_GNTDEV_MAP_GRANT_REF, &request) != 0) return last_error();
    GrantedPage page;
    page.memory_ = {map_page(fd_.get(), request.index), {fd_.get(), request.index}};
    if (page) return page;
    const auto error = last_error();
    forget(fd_.get(), request.index);
    return error;
}

Result<SharedPage> SharedPage::grant(DomId domain, bool writable) {
    SharedPage page;
    TRY_ASSIGN(fd, open_device("/dev/xen/gntalloc"));
    ioctl_gntalloc_alloc_gref request{};
    request.domid = domain.raw();
    request.flags = writable ? GNTALLOC_FLAG_WRITABLE : 0;
    request.count = 1;
    if (::ioctl(fd.get(), IOCTL_GNTALLOC_ALLOC_GREF, &request) != 0) return last_error();
    page.fd_ = std::move(fd); // closing it takes the page back
    page.ref_ = GrantRef(request.gref_ids[0]);
    page.memory_.reset(map_page(page.fd_.get(), request.index));
    if (!page.memory_) return last_error();
    return page;
}

void SharedPage::Unmap::operator()(std::byte* page) const { ::munmap(page, page_size); }

} // namespace streak::hv
