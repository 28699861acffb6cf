# SPDX-License-Identifier: GPL-2.0-only
# The command line on a real host: what it says about the host, consoles, the store, how much a list costs.
# wait_for SECONDS COMMAND...
wait_for() { left=$1; shift; while [ $left -gt 0 ]; do "$@" && return 0; sleep 1; left=$((left - 1)); done; return 1; }
check doctor-before sh -c '! streak doctor >/tmp/before && grep -q "streakd is not running" /tmp/before'
check daemons streak-up
check doctor streak doctor || streak doctor
check info sh -c 'streak info | grep -q "^free: "'
# The console's input ends once the guest was heard.
heard() { >/tmp/first; wait_for 120 grep -q "GUEST up" /tmp/first | streak create --console /guest/web.xml >>/tmp/first 2>/tmp/note; }
check create-console heard
cat /tmp/note
check guest-heard grep -q "GUEST up" /tmp/first
check list sh -c 'streak list | grep -q "^web "'
check up wait_for 90 sh -c 'streak console --log web | grep -q "GUEST up"'
streak dominfo web
check top sh -c 'streak top --once | grep -q "^web "'
check store-name sh -c '[ "$(streak store read /local/domain/$(streak dominfo web --json | sed "s/.*\"id\":\([0-9]*\).*/\1/")/name)" = web ]'
check store-stats streak store stats
check dumpxml sh -c 'streak dumpxml web | grep -v "<uuid>" | cmp - /guest/web.xml' || streak dumpxml web
check dmesg sh -c 'streak dmesg | grep -q .'
check set-vcpus-refused sh -c '! streak set-vcpus web 64 2>/tmp/refused'
cat /tmp/refused
(sleep 2; streak destroy web) &
gone() { ! streak dominfo web >/dev/null 2>&1; }
wait_for 100 gone | streak console web >/tmp/last 2>&1
check console-ends grep -q "web has ended" /tmp/last
tail -n 2 /tmp/last
check log-by-name sh -c 'streak console --log web | grep -q "GUEST up"'
streak events
# Figures, for a look at the log: what a start of the program costs beside one of the smallest there is.
cost() {
    start=$(cut -d' ' -f1 /proc/uptime)
    n=0
    while [ $n -lt 100 ]; do "$@" >/dev/null 2>&1; n=$((n + 1)); done
    echo "100 times $*: $(cut -d' ' -f1 /proc/uptime | awk -v start=$start '{ print $1 - start }') s"
}
cost /bin/busybox true
cost streak version
cost streak list
