// SPDX-License-Identifier: GPL-2.0-only
#pragma once

// The guest and tool ABI, from Debian's libxen-dev. Nothing of it is retyped here.

#include <cstdint>

#define __XEN_TOOLS__             1
#define __XEN_INTERFACE_VERSION__ 0x00041100

// Some public headers use anonymous structures, which they only allow outside strict mode.
#pragma push_macro("__STRICT_ANSI__")
#undef __STRICT_ANSI__

extern "C" {
#include <xen/xen.h>

#include <xen/arch-x86/cpuid.h>
#include <xen/arch-x86/xen-mca.h>
#include <xen/callback.h>
#include <xen/domctl.h>
#include <xen/elfnote.h>
#include <xen/event_channel.h>
#include <xen/features.h>
#include <xen/grant_table.h>
#include <xen/memory.h>
#include <xen/nmi.h>
#include <xen/physdev.h>
#include <xen/platform.h>
#include <xen/pmu.h>
#include <xen/sched.h>
#include <xen/sysctl.h>
#include <xen/trace.h>
#include <xen/vcpu.h>
#include <xen/version.h>
}

#pragma pop_macro("__STRICT_ANSI__")
