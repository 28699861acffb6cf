# SPDX-License-Identifier: GPL-2.0-only
# Debian's xenstored, xenconsoled and xl, unmodified: a guest of Debian's kernel is created, looked at and destroyed.
. xl-up
check test-xenstore sh -c 'test-xenstore >/tmp/xs.log 2>&1; ! grep -qi fail /tmp/xs.log'
grep -i fail /tmp/xs.log
xl info | grep -E "^(xen_version|xen_caps|free_memory|nr_cpus|xen_scheduler)" >/tmp/info
check xl-info [ "$(wc -l </tmp/info)" = 5 ]
xl list
free_before=$(xl info | sed -n 's/^free_memory.*: //p')

kernel=/guest/vmlinuz
# configure WHAT: what the guest does once it is up
configure() {
    cat >/tmp/guest.cfg <<EOF
name = "guest"
kernel = "$kernel"
ramdisk = "/guest/initramfs"
extra = "console=hvc0 loglevel=4 guest.do=$1"
memory = 128
vcpus = 2
on_poweroff = "destroy"
on_reboot = "restart"
on_crash = "preserve"
EOF
}
log=/var/log/xen/console/guest-guest.log
# wait_for SECONDS COMMAND...
wait_for() { left=$1; shift; while [ $left -gt 0 ]; do "$@" && return 0; sleep 1; left=$((left - 1)); done; return 1; }
configure wait
check create xl create /tmp/guest.cfg
xl list
check guest-up wait_for 60 grep -q "GUEST up" $log
check guest-lives wait_for 20 grep -q "GUEST alive 2" $log
xl list
xl vcpu-list
check two-cpus grep -q "GUEST up: .* 2 CPUs" $log
check pause xl pause guest
check paused sh -c 'xl list guest | grep -q " [r-][b-]p--- "'
check unpause xl unpause guest
check vcpu-set xl vcpu-set guest 1
check vcpu-gone wait_for 20 grep -q "GUEST CPUs: 1" $log
check vcpu-add xl vcpu-set guest 2
check vcpu-back wait_for 20 sh -c 'sed "1,/GUEST CPUs: 1/d" '$log' | grep -q "GUEST CPUs: 2"'
check mem-set xl mem-set guest 100
check ballooned wait_for 20 sh -c 'xl list guest | grep -q " 100  "'
check sysrq xl sysrq guest h
check weight xl sched-credit2 -d guest -w 512
check pin xl vcpu-pin guest 0 0
check destroy xl destroy guest
check gone sh -c '! xl list guest 2>/dev/null'

# The stock image takes long to unpack.
kernel=/guest/vmlinux
configure wait
check create-again xl create /tmp/guest.cfg
check up-again wait_for 60 sh -c '[ "$(grep -c "GUEST up" '$log')" = 2 ]'
check reboot xl reboot guest
check rebooted wait_for 60 sh -c '[ "$(grep -c "GUEST up" '$log')" = 3 ]'
check shutdown timeout 60 xl shutdown -w guest
configure poweroff
check create-to-poweroff xl create /tmp/guest.cfg
check powered-off wait_for 60 sh -c '! xl list guest >/dev/null 2>&1'
configure crash
check create-to-crash xl create /tmp/guest.cfg
check crashed wait_for 60 sh -c 'xl list guest | grep -q -- "c- "'
check destroy-crashed xl destroy guest
free_after=$(xl info | sed -n 's/^free_memory.*: //p')
check memory-back [ "$free_before" = "$free_after" ]
tail -20 $log; cat /var/log/xen/xl-guest.log | tail -5
