// SPDX-License-Identifier: GPL-2.0-only
#include "xsm/xsm.hpp"

namespace streak::xsm {

namespace {

constexpr Default defaults[] = {
#define XSM_HOOK(name, policy, meaning) Default::policy,
#include "xsm/hooks.def"
#undef XSM_HOOK
};

bool allowed(Default policy, const Subject& subject, const Subject& object) {
    switch (policy) {
    case Default::any:
        return true;
    case Default::self:
        return subject.privileged || subject.id == object.id;
    case Default::target:
        return subject.privileged || subject.id == object.id || subject.target == object.id;
    case Default::privileged:
        return subject.privileged;
    }
    return false;
}

} // namespace

Result<> check(Hook hook, const Subject& subject, const Subject& object) {
    if (!allowed(defaults[static_cast<unsigned>(hook)], subject, object)) [[unlikely]]
        return fail(Errno::EPERM);
    return {};
}

} // namespace streak::xsm
