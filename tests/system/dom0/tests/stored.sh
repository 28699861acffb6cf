# SPDX-License-Identifier: GPL-2.0-only
# streak-stored instead of xenstored, under Debian's xl and xenconsoled: it is killed again and again, and neither guests
# nor this kernel notice.
export PATH=$PATH:/usr/lib/xen-4.17/bin
mkdir -p /run/xen /run/lock /var/lib/xen /var/log/xen/console /etc/xen
ln -sfn /run /var/run; ln -sfn /run/lock /var/lock
: >/etc/xen/xl.conf
# xl asks for random numbers before the kernel has any.
dd if=/dev/urandom of=/dev/random bs=512 count=1 2>/dev/null

# wait_for SECONDS COMMAND...
wait_for() { left=$1; shift; while [ $left -gt 0 ]; do "$@" && return 0; sleep 1; left=$((left - 1)); done; return 1; }
answers() { timeout 20 xenstore-read /local/domain/0/domid >/dev/null 2>&1; }
start_store() { streak-stored 2>>/tmp/stored.log & store=$!; wait_for 20 answers; }
kill_store() { kill -9 $store; wait $store 2>/dev/null; start_store; }
start_consoled() { wait_for 10 sh -c '! pidof xenconsoled >/dev/null'; xenconsoled --log=guest --pid-file=/run/xenconsoled.pid; }
store_counts() { xenstore-control stats | grep "^domain "; }
cpu_online() { xl vcpu-list guest | awk -v n="$1" '$3 == n { print $5 }'; }
cpu_is_off() { [ "$(cpu_online "$1")" = "--p" ]; }
cpu_is_on() { ! cpu_is_off "$1"; }
memory_is() { xl list guest | grep -q " $1  "; }

# Without a store, tools would wait for ever.
if ! check start start_store || ! answers; then cat /tmp/stored.log; return; fi
check xenconsoled start_consoled
check test-xenstore sh -c 'timeout 60 test-xenstore >/tmp/xs.log 2>&1; ! grep -qi fail /tmp/xs.log && [ "$(grep -c " ns" /tmp/xs.log)" = 12 ]'
cat /tmp/xs.log

cat >/tmp/guest.cfg <<END
name = "guest"
kernel = "/guest/vmlinux"
ramdisk = "/guest/initramfs"
extra = "console=hvc0 loglevel=4 guest.do=wait"
memory = 128
vcpus = 2
on_poweroff = "destroy"
on_crash = "preserve"
END
log=/var/log/xen/console/guest-guest.log
check create timeout 60 xl create /tmp/guest.cfg
check guest-up wait_for 120 grep -q "GUEST up: .* 2 CPUs" $log
id=$(xl domid guest)

# While nothing happens, nothing changes by a kill.
for round in 1 2 3; do
    xenstore-ls -fp / >/tmp/before; store_counts >/tmp/counts-before
    check kill-$round kill_store
    xenstore-ls -fp / >/tmp/after; store_counts >/tmp/counts-after
    check same-nodes-$round cmp /tmp/before /tmp/after
    check same-watches-$round cmp /tmp/counts-before /tmp/counts-after
done
check guest-watches grep -q "^domain $id nodes [0-9]* watches [1-9]" /tmp/counts-after
check vcpu-set xl vcpu-set guest 1
check vcpu-gone wait_for 20 cpu_is_off 1
check vcpu-add xl vcpu-set guest 2
check vcpu-back wait_for 20 cpu_is_on 1

# While guest and tools are at it.
: >/tmp/go
while [ -e /tmp/go ]; do
    timeout 20 xl vcpu-set guest 1; timeout 20 xl vcpu-set guest 2; timeout 20 xl mem-set guest $((100 + RANDOM % 20))
    timeout 20 xenstore-ls / >/dev/null
done >/dev/null 2>&1 &
traffic=$!
for round in 1 2 3 4 5 6 7 8; do
    sleep 0.$((RANDOM % 10))
    check busy-kill-$round kill_store
done
rm /tmp/go; wait $traffic
check vcpu-set-after xl vcpu-set guest 1
check vcpu-gone-after wait_for 30 cpu_is_off 1
check mem-set-after xl mem-set guest 101
check ballooned-after wait_for 30 memory_is 101

# This kernel's own watches: its balloon, and backends that are plugged in.
info=/sys/devices/system/xen_memory/xen_memory0
target=$(($(cat $info/target_kb) - 8192))
xenstore-write /local/domain/0/memory/target $target
check kernel-watch wait_for 20 sh -c "[ \$(cat $info/target_kb) = $target ]"
modprobe xen-blkback
backend=/local/domain/0/backend/vbd/$id/51712
xenstore-write /local/domain/$id/device/vbd/51712/backend $backend /local/domain/$id/device/vbd/51712/state 1 \
    $backend/frontend /local/domain/$id/device/vbd/51712 $backend/frontend-id $id $backend/online 1 $backend/state 1
check hot-plug wait_for 20 [ -e /sys/bus/xen-backend/devices/vbd-$id-51712 ]
check backend-state wait_for 20 sh -c "[ \"\$(xenstore-read $backend/state)\" = 2 ]"
check kill-with-backend kill_store
xenstore-rm $backend
check hot-unplug wait_for 20 [ ! -e /sys/bus/xen-backend/devices/vbd-$id-51712 ]

check destroy xl destroy guest
check gone sh -c '! xl list guest 2>/dev/null'
check nodes-gone sh -c "! xenstore-exists /local/domain/$id"
check console-again start_consoled
rm -f $log
check create-again timeout 60 xl create /tmp/guest.cfg
check up-again wait_for 120 grep -q "GUEST up: .* 2 CPUs" $log
check shutdown timeout 120 xl shutdown -w guest
# The connection of the dead goes at once, what it had in the store a second later.
check released wait_for 30 sh -c '! xenstore-control stats | grep -q "^domain [1-9]"'
sleep 2
check all-swept sh -c '! xenstore-ls -fp / | grep -E "^/(local/domain|vm)/[1-9a-f]"'
xenstore-control stats
cat /tmp/stored.log
