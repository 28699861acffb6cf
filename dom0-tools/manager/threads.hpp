// SPDX-License-Identifier: GPL-2.0-only
#pragma once

// The standard library's threads, to be included before anything that includes lib/errno.hpp: these headers use errno's
// macros, which that one takes away.

#include <atomic>
#include <condition_variable>
#include <mutex>
#include <thread>
