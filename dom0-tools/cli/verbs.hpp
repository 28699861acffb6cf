// SPDX-License-Identifier: GPL-2.0-only
#pragma once

#include "cli/context.hpp"

#include "cli/verb.hpp"

// What each verb takes and does; verbs.cpp puts them into the table.

namespace streak::cli {

Action declare_create(Options& options);
Action declare_define(Options& options);
Action declare_undefine(Options& options);
Action declare_start(Options& options);
Action declare_pause(Options& options);
Action declare_unpause(Options& options);
Action declare_shutdown(Options& options);
Action declare_reboot(Options& options);
Action declare_destroy(Options& options);
Action declare_rename(Options& options);
Action declare_autostart(Options& options);

Action declare_list(Options& options);
Action declare_info(Options& options);
Action declare_dominfo(Options& options);
Action declare_dumpxml(Options& options);
Action declare_validate(Options& options);
Action declare_top(Options& options);
Action declare_events(Options& options);
Action declare_dmesg(Options& options);
Action declare_debug_keys(Options& options);

Action declare_set_memory(Options& options);
Action declare_set_vcpus(Options& options);
Action declare_pin(Options& options);
Action declare_schedule(Options& options);

Action declare_attach_disk(Options& options);
Action declare_detach_disk(Options& options);
Action declare_attach_interface(Options& options);
Action declare_detach_interface(Options& options);

Action declare_console(Options& options);

Action declare_store_ls(Options& options);
Action declare_store_read(Options& options);
Action declare_store_write(Options& options);
Action declare_store_rm(Options& options);
Action declare_store_watch(Options& options);
Action declare_store_stats(Options& options);
Action declare_store_help(Options& options);

Action declare_doctor(Options& options);
Action declare_version(Options& options);
Action declare_help(Options& options);
Action declare_words(Options& options);

} // namespace streak::cli
