// SPDX-License-Identifier: GPL-2.0-only
#include "store/xen_machine.hpp"

#include <array>
#include <cstdlib>

#include <fcntl.h>
#include <sys/mman.h>

#include <xen/grant_table.h>
#include <xen/xen.h>

namespace streak::store {

namespace {

using base::ErrorKind;

constexpr const char* kernel_page_file = "/proc/xen/xsd_kva";
constexpr const char* kernel_port_file = "/proc/xen/xsd_port";

[[nodiscard]] std::unexpected<base::Error> proc_error(const char* file, int code) {
    return base::error(ErrorKind::unavailable, std::string(file) + " can't be used: " + base::system_error(code), {},
                       {}, "It is there in the control domain once xenfs is mounted: mount -t xenfs xenfs /proc/xen");
}

/// A ring and its port. The page is the kernel's, or a domain's that granted it.
class XenLink final : public Link {
public:
    XenLink(hv::EventChannels& channels, EvtchnPort port, xenstore_domain_interface& page, hv::GrantedPage granted)
        : channels_(channels), port_(port), page_(page), granted_(std::move(granted)) {}
    ~XenLink() override { (void)channels_.close(port_); }

    xenstore_domain_interface& page() override { return page_; }
    EvtchnPort port() const override { return port_; }
    void notify() override { (void)channels_.notify(port_); } // who has gone needs no bell

private:
    hv::EventChannels& channels_;
    EvtchnPort port_;
    xenstore_domain_interface& page_;
    hv::GrantedPage granted_;
};

} // namespace

base::Outcome<std::unique_ptr<XenMachine>> XenMachine::open() {
    TRY_ASSIGN(privcmd, hv::Privcmd::open());
    TRY_ASSIGN(channels, hv::EventChannels::open());
    TRY_ASSIGN(grants, hv::GrantDevice::open());
    std::unique_ptr<XenMachine> machine(new XenMachine(std::move(privcmd), std::move(channels), std::move(grants)));
    TRY(machine->open_kernel_ring());
    const auto deaths = machine->channels_.bind_virq(VIRQ_DOM_EXC);
    if (!deaths)
        return base::error(ErrorKind::conflict,
                           "the signal for ended domains can't be had: " + base::describe(deaths.error()), {}, {},
                           "Another store daemon, such as xenstored, has to be stopped first");
    machine->deaths_port_ = *deaths;
    return machine;
}

base::Outcome<> XenMachine::open_kernel_ring() {
    const base::Fd page(::open(kernel_page_file, O_RDWR | O_CLOEXEC));
    void* memory = page ? ::mmap(nullptr, page_size, PROT_READ | PROT_WRITE, MAP_SHARED, page.get(), 0) : MAP_FAILED;
    if (memory == MAP_FAILED) return proc_error(kernel_page_file, errno);
    kernel_page_ = static_cast<xenstore_domain_interface*>(memory);
    const base::Fd port(::open(kernel_port_file, O_RDONLY | O_CLOEXEC));
    std::array<char, 16> text{};
    if (!port || ::read(port.get(), text.data(), text.size() - 1) <= 0) return proc_error(kernel_port_file, errno);
    kernel_port_ = EvtchnPort(static_cast<std::uint32_t>(std::strtoul(text.data(), nullptr, 10)));
    return {};
}

Result<std::unique_ptr<Link>> XenMachine::connect(DomId domain, EvtchnPort remote) {
    hv::GrantedPage granted;
    xenstore_domain_interface* page = kernel_page_;
    if (domain != dom0_id) {
        TRY_ASSIGN(mapped, grants_.map(domain, GrantRef(GNTTAB_RESERVED_XENSTORE)));
        granted = std::move(mapped);
        page = reinterpret_cast<xenstore_domain_interface*>(granted.data());
    }
    TRY_ASSIGN(port, channels_.bind_interdomain(domain, remote));
    return std::make_unique<XenLink>(channels_, port, *page, std::move(granted));
}

std::optional<EvtchnPort> XenMachine::next_port() {
    const auto port = channels_.next();
    if (!port || !*port) return std::nullopt;
    (void)channels_.unmask(**port);
    return **port;
}

Result<std::vector<DomainState>> XenMachine::domains() {
    TRY_ASSIGN(infos, hypervisor_.list());
    std::vector<DomainState> states;
    states.reserve(infos.size());
    for (const hv::DomainInfo& d : infos) states.push_back({d.id, d.dying, d.shut_down});
    return states;
}

} // namespace streak::store
