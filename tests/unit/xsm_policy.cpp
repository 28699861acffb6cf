// SPDX-License-Identifier: GPL-2.0-only
#include <catch2/catch_test_macros.hpp>

#include <algorithm>
#include <string>
#include <string_view>
#include <vector>

#include "xsm/xsm.hpp"

using namespace streak;
using namespace streak::xsm;

namespace {

constexpr std::string_view names[] = {
#define XSM_HOOK(name, policy, meaning) #name,
#include "xsm/hooks.def"
#undef XSM_HOOK
};
constexpr unsigned hooks = static_cast<unsigned>(Hook::count_);
static_assert(std::size(names) == hooks && std::size(defaults) == hooks);

constexpr Subject control{.id = DomId(0), .privileged = true};
constexpr Subject guest{.id = DomId(3)}, neighbour{.id = DomId(4)};
constexpr Subject device_model{.id = DomId(5), .target = DomId(3)};

std::vector<std::string> allowed_for(const Subject& subject, const Subject& object) {
    std::vector<std::string> list;
    for (unsigned i = 0; i < hooks; ++i)
        if (check(static_cast<Hook>(i), subject, object)) list.emplace_back(names[i]);
    return list;
}

} // namespace

TEST_CASE("the control domain may do everything", "[xsm]") {
    CHECK(allowed_for(control, control).size() == hooks);
    CHECK(allowed_for(control, guest).size() == hooks);
}

TEST_CASE("all that a guest may do to another one needs that one's consent", "[xsm]") {
    // Connecting to an offered port, and using what was granted, are checked against the offer itself; the rest
    // concerns nobody.
    CHECK(allowed_for(guest, neighbour) ==
          std::vector<std::string>{"multicall", "xen_version", "evtchn_bind_interdomain", "grant_map", "grant_unmap",
                                   "grant_copy", "grant_transfer", "grant_cache_flush"});
    CHECK(allowed_for(guest, control) == allowed_for(guest, neighbour));
    CHECK(check(Hook::map_foreign, guest, neighbour).error() == Errno::EPERM);
}

TEST_CASE("what a guest may not even do to itself", "[xsm]") {
    for (unsigned i = 0; i < hooks; ++i) {
        INFO(names[i]);
        CHECK(check(static_cast<Hook>(i), guest, guest).has_value() == (defaults[i] != Default::privileged));
    }
    for (const Hook hook : {Hook::console_write, Hook::memory_machine, Hook::memory_claim, Hook::sched_remote_shutdown})
        CHECK_FALSE(check(hook, guest, guest));
}

TEST_CASE("a domain that serves another may do what targets allow, and only to that one", "[xsm]") {
    CHECK(check(Hook::map_foreign, device_model, guest));
    CHECK(check(Hook::evtchn_alloc_unbound, device_model, guest));
    CHECK_FALSE(check(Hook::map_foreign, device_model, neighbour));
    CHECK_FALSE(check(Hook::mmu_update, device_model, guest));
    CHECK_FALSE(check(Hook::map_foreign, guest, device_model));
}
