// SPDX-License-Identifier: GPL-2.0-only
#include "hv/grants.hpp"

#include "hv/device.hpp"
#include "lib/abi.hpp"

#include <sys/ioctl.h>
#include <sys/mman.h>

#include <xen/sys/gntdev.h>

namespace streak::hv {

namespace {

void forget(int gntdev, std::uint64_t index) {
    ioctl_gntdev_unmap_grant_ref request{.index = index, .count = 1, .pad = 0};
    (void)::ioctl(gntdev, IOCTL_GNTDEV_UNMAP_GRANT_REF, &request);
}

} // namespace

void GrantedPage::Unmap::operator()(std::byte* page) const {
    ::munmap(page, page_size);
    forget(device, index);
}

base::Outcome<GrantDevice> GrantDevice::open() {
    GrantDevice device;
    TRY_ASSIGN(fd, open_device("gntdev"));
    device.fd_ = std::move(fd);
    return device;
}

Result<GrantedPage> GrantDevice::map(DomId domain, GrantRef ref) {
    ioctl_gntdev_map_grant_ref request{};
    request.count = 1;
    request.refs[0] = {.domid = domain.raw(), .ref = ref.raw()};
    if (::ioctl(fd_.get(), IOCTL_GNTDEV_MAP_GRANT_REF, &request) != 0) return last_error();
    const auto at = static_cast<off_t>(request.index);
    void* const memory = ::mmap(nullptr, page_size, PROT_READ | PROT_WRITE, MAP_SHARED, fd_.get(), at);
    if (memory == MAP_FAILED) {
        const auto error = last_error();
        forget(fd_.get(), request.index);
        return error;
    }
    GrantedPage page;
    page.memory_ = {static_cast<std::byte*>(memory), {fd_.get(), request.index}};
    return page;
}

} // namespace streak::hv
