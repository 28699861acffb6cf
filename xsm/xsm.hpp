// SPDX-License-Identifier: GPL-2.0-only
#pragma once

#include "lib/errno.hpp"
#include "lib/ids.hpp"
#include "lib/types.hpp"

namespace streak::xsm {

/// Who asks, or whom it concerns: all that a policy may look at.
struct Subject {
    DomId id{};
    bool privileged = false;
    DomId target = invalid_domid; ///< a domain this one serves (device model, stub domain)
    u32 sid = 0;                  ///< security identifier of a loaded policy
};

/// The built-in policy: `self` anybody on itself (or privileged on anybody), `target` on itself or on the
/// domain it serves, `privileged` the control domain only, `any` everybody (still asked, a policy may refuse).
enum class Default : u8 { any, self, target, privileged };

/// One hook for each operation of the hypercall interface; the list is hooks.def.
enum class Hook : u16 {
#define XSM_HOOK(name, policy, meaning) name,
#include "xsm/hooks.def"
#undef XSM_HOOK
    count_
};

/// The built-in policy of each hook.
inline constexpr Default defaults[] = {
#define XSM_HOOK(name, policy, meaning) Default::policy,
#include "xsm/hooks.def"
#undef XSM_HOOK
};

[[nodiscard]] constexpr bool allowed(Default policy, const Subject& subject, const Subject& object) {
    switch (policy) {
    case Default::any: return true;
    case Default::self: return subject.privileged || subject.id == object.id;
    case Default::target: return subject.privileged || subject.id == object.id || subject.target == object.id;
    case Default::privileged: return subject.privileged;
    }
    return false;
}

/// May `subject` do this to `object`? EPERM. Inline: a call names its hook, and only that policy remains.
[[nodiscard, gnu::always_inline]] inline Result<> check(Hook hook, const Subject& subject, const Subject& object) {
    if (!allowed(defaults[static_cast<unsigned>(hook)], subject, object)) [[unlikely]]
        return fail(Errno::EPERM);
    return {};
}

} // namespace streak::xsm
