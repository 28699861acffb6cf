# SPDX-License-Identifier: GPL-2.0-only
# The demonstration of `make run` without a terminal: a guest from its definition to its end.
show() { echo; echo "dom0# $*"; "$@"; }
# wait_for SECONDS COMMAND...
wait_for() { left=$1; shift; while [ $left -gt 0 ]; do "$@" && return 0; sleep 1; left=$((left - 1)); done; return 1; }
dmesg -n 4 # the kernel is quiet from here on
show uname -a
show cat /sys/hypervisor/properties/capabilities
check daemons streak-up
show cat /guest/web.xml
show streak validate /guest/web.xml
check create show streak create /guest/web.xml
show streak list
log=$(ls /var/log/streak/console/*.log)
check guest-up wait_for 60 grep -q "GUEST up" $log
check guest-disk wait_for 30 grep -q "GUEST disk: The disk of guest web" $log
check guest-network wait_for 30 grep -q "GUEST network: .* [1-3] packets received" $log
show streak console --log web
show streak dominfo web
show streak list
check shutdown show streak shutdown web --wait
check written sh -c 'dd if=/guest/web.img bs=512 skip=1 count=1 2>/dev/null | grep -q "written by the guest"'
show streak list
show streak console --log web
check all-gone sh -c '! streak list | grep -q web'
echo
ok demo
