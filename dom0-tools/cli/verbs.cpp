// SPDX-License-Identifier: GPL-2.0-only
#include "cli/verbs.hpp"

#include <algorithm>

namespace streak::cli {
namespace {

// name, summary, schema of --json, examples, what it takes and does
constexpr Verb table[] = {
    {"create", "Creates a domain from a definition and starts it; it is gone when it ends", "streak.domain/1",
     "streak create web.xml\nstreak create --console web.xml\nstreak create --paused - < web.xml", declare_create},
    {"define", "Keeps a definition, or replaces the one of the same UUID or name", "streak.domain/1",
     "streak define web.xml && streak start web", declare_define},
    {"undefine", "Forgets a definition; a running domain goes on", "streak.done/1", "streak undefine web",
     declare_undefine},
    {"start", "Starts a defined domain", "streak.domain/1", "streak start web\nstreak start --console web",
     declare_start},
    {"list", "Lists domains", "streak.domains/1",
     "streak list\nstreak list --all\nstreak list --json | jq -r '.domains[].name'\nstreak list --leftovers",
     declare_list},
    {"dominfo", "Shows what is known about a domain", "streak.domain/1", "streak dominfo web", declare_dominfo},
    {"dumpxml", "Prints the definition of a domain, as it was given", "streak.xml/1", "streak dumpxml web > web.xml",
     declare_dumpxml},
    {"console", "Connects the terminal to a domain's console, or shows the console's log", "streak.console/1",
     "streak console web\nstreak console --log web\nstreak console --log --follow web", declare_console},
    {"pause", "Stops a domain's vCPUs", "streak.done/1", "streak pause web", declare_pause},
    {"unpause", "Lets a paused domain go on", "streak.done/1", "streak unpause web", declare_unpause},
    {"shutdown", "Asks a domain to power itself off", "streak.done/1",
     "streak shutdown web\nstreak shutdown --wait=120 web || streak destroy web", declare_shutdown},
    {"reboot", "Asks a domain to reboot itself", "streak.done/1", "streak reboot --wait web", declare_reboot},
    {"destroy", "Ends a domain at once, without its consent", "streak.done/1", "streak destroy web", declare_destroy},
    {"rename", "Gives a domain another name", "streak.done/1", "streak rename web web2", declare_rename},
    {"autostart", "Starts a domain whenever the host starts, or no more", "streak.done/1",
     "streak autostart web\nstreak autostart --off web", declare_autostart},
    {"set-memory", "Changes the memory of a running domain, by its balloon", "streak.domain/1",
     "streak set-memory web 256M\nstreak set-memory --wait=60 web 1.5G", declare_set_memory},
    {"set-vcpus", "Changes the number of vCPUs of a running domain", "streak.done/1", "streak set-vcpus web 2",
     declare_set_vcpus},
    {"pin", "Says on which CPUs a domain's vCPUs may run", "streak.done/1",
     "streak pin web 0-1\nstreak pin web 3 --vcpu 0\nstreak pin web all", declare_pin},
    {"schedule", "Changes a domain's share of the CPUs", "streak.done/1",
     "streak schedule web --weight 512\nstreak schedule web --cap 50", declare_schedule},
    {"attach-disk", "Adds a disk to a running domain", "streak.done/1",
     "streak attach-disk web /srv/data.img xvdb\nstreak attach-disk web /dev/vg/data xvdc --read-only\n"
     "streak attach-disk web --xml disk.xml",
     declare_attach_disk},
    {"detach-disk", "Takes a disk away from a running domain", "streak.done/1",
     "streak detach-disk web xvdb\nstreak detach-disk web xvdb --force", declare_detach_disk},
    {"attach-interface", "Adds a network interface to a running domain", "streak.done/1",
     "streak attach-interface web --bridge br0\nstreak attach-interface web --bridge br0 --mac 00:16:3e:00:00:07\n"
     "streak attach-interface web --xml nic.xml",
     declare_attach_interface},
    {"detach-interface", "Takes a network interface away from a running domain", "streak.done/1",
     "streak detach-interface web 00:16:3e:00:00:07", declare_detach_interface},
    {"validate", "Says what becomes of each element of a definition, and what the host lacks for it",
     "streak.validation/1", "streak validate web.xml\nstreak validate --quiet web.xml && streak define web.xml",
     declare_validate},
    {"events", "Shows what happened to domains", "streak.events/1",
     "streak events\nstreak events --follow\nstreak events --follow --json | jq -r .event", declare_events},
    {"top", "Shows what domains use, again and again", "streak.stats/1",
     "streak top\nstreak top --once\nstreak top --hypercalls", declare_top},
    {"info", "Shows the host: version, CPUs, memory; or a domain", "streak.host/1", "streak info\nstreak info web",
     declare_info},
    {"dmesg", "Prints the hypervisor's log", "streak.log/1",
     "streak dmesg\nstreak dmesg --clear\nstreak dmesg --previous", declare_dmesg},
    {"debug-keys", "Presses the hypervisor's debug keys; `h` lists them in its log", "streak.done/1",
     "streak debug-keys h && streak dmesg", declare_debug_keys},
    {"dump", "Writes a core file of a running domain, for gdb or crash; the domain stands still meanwhile",
     "streak.dump/1", "streak dump web web.core\nstreak dump web web.core --for crash", declare_dump},
    {"trace", "Shows what the hypervisor does: hypercalls, exceptions, who runs where", "streak.trace/1",
     "streak trace --seconds 5\nstreak trace --domain web --events hypercall,trap\n"
     "streak trace --json --seconds 5 --output web.json",
     declare_trace},
    {"store ls", "Lists the children of a node of the store", "streak.store/1",
     "streak store ls\nstreak store ls /local/domain/0\nstreak store ls --recursive /local/domain/3", declare_store_ls},
    {"store read", "Prints the value of a node of the store", "streak.store/1",
     "streak store read /local/domain/3/name", declare_store_read},
    {"store write", "Writes a node of the store", "streak.store/1", "streak store write /tool/test value",
     declare_store_write},
    {"store rm", "Removes a node of the store and all below it", "streak.store/1", "streak store rm /tool/test",
     declare_store_rm},
    {"store watch", "Prints the paths below a node that change, as they change", "streak.store-event/1",
     "streak store watch /local/domain\nstreak store watch --count 1 @introduceDomain", declare_store_watch},
    {"store stats", "Shows the store's own figures", "streak.store/1", "streak store stats", declare_store_stats},
    {"store help", "", "", "", declare_store_help},
    {"doctor", "Checks the host and says what to fix", "streak.doctor/1", "streak doctor", declare_doctor},
    {"version", "Shows the version of this program", "streak.version/1", "streak version", declare_version},
    {"help", "Shows all commands", "", "streak help\nstreak help create", declare_help},
    {"complete", "", "", "", declare_words},
};

} // namespace

std::span<const Verb> verbs() { return table; }

const Verb* find_verb(std::string_view name) {
    const auto* found = std::ranges::find(table, name, &Verb::name);
    return found == std::end(table) ? nullptr : found;
}

} // namespace streak::cli
