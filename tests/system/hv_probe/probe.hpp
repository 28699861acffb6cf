// SPDX-License-Identifier: GPL-2.0-only
#pragma once

#include <string>
#include <thread> // before lib/errno.hpp, which takes the names it uses

#include "calls.hpp"
#include "hv/grants.hpp"
#include "hv/privcmd.hpp"

// The hypercall library on a real hypervisor: each check prints a verdict as tests/system/run.py reads it.

namespace streak::probe {

/// Prints `TEST name: ok`, or what was wrong.
void verdict(const char* name, bool good, const std::string& detail = {});

template <class T> void check(const char* name, const Result<T>& result) {
    verdict(name, result.has_value(), result ? "" : base::describe(result.error()));
}
template <class T> void check(const char* name, const base::Outcome<T>& result) {
    verdict(name, result.has_value(), result ? "" : result.error().text());
}
template <class T> void refused(const char* name, const Result<T>& result, Errno with) {
    verdict(name, !result && result.error() == with, result ? "it was done" : base::describe(result.error()));
}
template <class T> void equal(const char* name, const T& found, const T& expected) {
    verdict(name, found == expected, "expected " + std::to_string(expected) + ", found " + std::to_string(found));
}

void machine(hv::Hypervisor& hypervisor);
void events(hv::Hypervisor& hypervisor);
void grants();
/// From create to destroy.
void domain(hv::Hypervisor& hypervisor);
/// Many at once, many one after the other: nothing is lost.
void cycles(hv::Hypervisor& hypervisor);
/// A domain that ends while a tool maps its memory.
void nobody(hv::Hypervisor& hypervisor);

} // namespace streak::probe
