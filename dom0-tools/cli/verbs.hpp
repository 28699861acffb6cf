// SPDX-License-Identifier: GPL-2.0-only
#pragma once

#include "cli/context.hpp"

#include "cli/verb.hpp"

// What each verb takes and does; verbs.cpp puts them into the table.

namespace streak::cli {

Action declare_create(Options&), declare_define(Options&), declare_undefine(Options&), declare_start(Options&),
    declare_pause(Options&), declare_unpause(Options&), declare_shutdown(Options&), declare_reboot(Options&),
    declare_destroy(Options&), declare_rename(Options&), declare_autostart(Options&);

Action declare_list(Options&), declare_info(Options&), declare_dominfo(Options&), declare_dumpxml(Options&),
    declare_validate(Options&), declare_top(Options&), declare_events(Options&), declare_dmesg(Options&),
    declare_debug_keys(Options&), declare_console(Options&), declare_dump(Options&), declare_trace(Options&);

Action declare_set_memory(Options&), declare_set_vcpus(Options&), declare_pin(Options&), declare_schedule(Options&),
    declare_attach_disk(Options&), declare_detach_disk(Options&), declare_attach_interface(Options&),
    declare_detach_interface(Options&);

Action declare_store_ls(Options&), declare_store_read(Options&), declare_store_write(Options&),
    declare_store_rm(Options&), declare_store_watch(Options&), declare_store_stats(Options&),
    declare_store_help(Options&);

Action declare_doctor(Options&), declare_version(Options&), declare_help(Options&), declare_words(Options&);

/// The hypervisor's log up to its last panic, from memory.
[[nodiscard]] Outcome<> show_previous_log(Context& context);

/// `top --hypercalls`: which are made, again and again or once. (debug/)
[[nodiscard]] Outcome<> top_hypercalls(Context& context, bool once, unsigned seconds);

/// Posts JSON to what `verb` names below the domain; prints "DOMAIN: DONE". A terminal shows "DOING DOMAIN" meanwhile.
[[nodiscard]] Outcome<> change(Context& context, const std::string& domain, std::string_view verb, const Json& body,
                               const std::string& doing, const std::string& done,
                               std::chrono::seconds limit = Context::long_limit);

} // namespace streak::cli
