# SPDX-License-Identifier: GPL-2.0-only
# 200 guests come and go; then memory, store, event channels, grants and file descriptors are exactly as before.
. toolstack
check daemons streak-up
head -c 1048576 /dev/zero >/tmp/a.img
kernel=/guest/stub
definition stub 1 nothing 4
sed -i '/<initrd>/d' /tmp/stub.xml
definition devices 2 nothing 4 1 "$(disk /tmp/a.img)$(interface 02)"
sed -i '/<initrd>/d' /tmp/devices.xml

# What is in use: the hypervisor's own list of event channels and grants of dom0, free memory, nodes, descriptors.
in_use() {
    sleep 1
    echo "free $(host_number free_memory_kib)"
    echo "nodes $(streak store stats | sed -n 's/.*nodes[^0-9]*\([0-9]*\).*/\1/p' | head -n 1)"
    for daemon in streakd streak-stored streak-consoled; do
        for pid in $(pidof $daemon); do ls /proc/"$pid"/fd; done >/tmp/fds
        echo "$daemon $(wc -l </tmp/fds)"
    done
    echo "loops $(cat /sys/block/loop*/loop/backing_file 2>/dev/null | wc -l)"
    echo "interfaces $(ls /sys/class/net | wc -l)"
    streak dmesg --clear >/dev/null 2>&1
    streak debug-keys eg >/dev/null
    echo "ports and grants $(streak dmesg | sed 's/^[^]]*\] *//' | md5sum)"
}
once() { streak create "/tmp/$1.xml" >/tmp/create.out 2>&1 && streak destroy "$1" >/tmp/destroy.out 2>&1; }
# The first guests make room that is kept.
for i in 1 2 3; do once stub && once devices; done
in_use >/tmp/before
i=0
good=0
while [ $i -lt 100 ]; do
    i=$((i + 1))
    once stub && once devices && good=$((good + 2))
done
cat /tmp/create.out /tmp/destroy.out
check cycles [ $good = 200 ]
in_use >/tmp/after
cat /tmp/after
check as-before cmp /tmp/before /tmp/after
diff /tmp/before /tmp/after
check no-leftovers sh -c 'streak list --leftovers --json | grep -qE "\"leftovers\": *\[ *\]"'
ps -o pid,rss,comm | grep streak
