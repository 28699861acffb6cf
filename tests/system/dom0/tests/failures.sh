# SPDX-License-Identifier: GPL-2.0-only
# A create that fails at every step in turn: strace makes streakd's first, second, ... call of each kind fail. Afterwards there
# is either the whole guest, and the command said so, or nothing of it, and the command failed.
. toolstack
check daemons streak-up
head -c 1048576 /dev/zero >/tmp/disk.img
kernel=/guest/stub
definition devices 2 nothing 4 1 "$(disk /tmp/disk.img)$(interface 02)"
sed -i '/<initrd>/d' /tmp/devices.xml

in_use() {
    echo "free $(host_number free_memory_kib)"
    streak store stats | grep "^nodes"
    cat /sys/block/loop*/loop/backing_file 2>/dev/null
    ls /sys/class/net /run/streak/domains
    streak list --leftovers --json
}
as_before() { in_use >/tmp/now && cmp -s /tmp/before /tmp/now; }
# with_failure CALL ERROR NUMBER: creates the guest while that call fails; sets `status`. False: there was no such call.
with_failure() {
    rm -f /tmp/strace
    strace -f -o /tmp/calls -e trace="$1" -e "inject=$1:error=$2:when=$3" -p "$(pidof streakd)" 2>/tmp/strace &
    wait_for 20 grep -qs attached /tmp/strace || return 1
    streak create /tmp/devices.xml >/tmp/create.out 2>&1
    status=$?
    kill $!
    wait $! 2>/dev/null
    grep INJECTED /tmp/calls
}
# consistent: what the command said is what happened
consistent() {
    if [ "$status" = 0 ]; then streak destroy devices >/dev/null; fi
    wait_for 5 as_before
}
# each CALL ERROR: all calls of a kind, one after the other
each() {
    n=1
    wrong=0
    while with_failure "$1" "$2" $n >/tmp/injected; do
        echo "$1 $n: status $status: $(head -n 1 /tmp/create.out)"
        if ! consistent; then
            wrong=$((wrong + 1))
            cat /tmp/injected
            diff /tmp/before /tmp/now
            streak destroy devices
        fi
        n=$((n + 1))
    done
    streak destroy devices >/dev/null # this one nothing happened to
    check "$1" [ $n -gt 1 -a $wrong = 0 ]
}
# The older one of the two processes: the other reads definitions.
pidof() { ps -o pid,comm | awk -v name="$1" '$2 == name { print $1; exit }'; }
for i in 1 2 3; do streak create /tmp/devices.xml && streak destroy devices; done
sleep 1
in_use >/tmp/before
each ioctl ENOMEM
each mmap ENOMEM
each openat EMFILE
each pread64 EIO
each newfstatat EIO
each socket EMFILE
each bind ENOMEM
each sendto ECONNRESET
each recvfrom ECONNRESET
each recvmsg ENOBUFS
each write ENOSPC
each rename ENOSPC
