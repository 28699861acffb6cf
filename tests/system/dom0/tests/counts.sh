# SPDX-License-Identifier: GPL-2.0-only
# What it takes to create and to destroy a guest with a disk and a network card: requests to the store and hypercalls, counted
# by the store and by probes in dom0's kernel. They are few, and with twenty guests as many as with none.
. toolstack
mount -t tracefs none /sys/kernel/tracing
tracing=/sys/kernel/tracing
cat >$tracing/kprobe_events <<END
p:streak/kernel_request xs_talkv
p:streak/privcmd privcmd_ioctl
p:streak/evtchn evtchn_ioctl
p:streak/map xen_remap_pfn pages=%cx:s32
END
echo 4096 >$tracing/buffer_size_kb
echo 1 >$tracing/events/streak/enable
check probes [ "$(grep -c : $tracing/kprobe_events)" = 4 ]
check daemons streak-up
head -c 1048576 /dev/zero >/tmp/disk.img
kernel=/guest/stub
definition stub 1 nothing 4
definition devices 2 nothing 4 1 "$(disk /tmp/disk.img)$(interface 02)"
kernel=/guest/vmlinux definition linux 3 wait
sed -i '/<initrd>/d' /tmp/stub.xml /tmp/devices.xml

requests() { streak store stats | awk '$1 == "requests" { sum += $3 } END { print sum }'; }
hits() { awk -v name="$1" '$1 == name { print $2 }' $tracing/kprobe_profile; }
# counted COMMAND...: sets `tools` to the requests by others than dom0's kernel, which has its own ideas of how to find a
# device; `kernel` to its requests; `calls` to the hypercalls of privcmd, a mapping being one for 16 pages.
counted() {
    all=$(requests) kernel=$(hits kernel_request) calls=$(hits privcmd) events=$(hits evtchn)
    echo >$tracing/trace
    "$@" >/tmp/command.out 2>&1 || return 1
    sleep 2 # dom0's kernel goes on for a moment
    kernel=$(($(hits kernel_request) - kernel))
    tools=$(($(requests) - all - kernel - 1)) # not the first call of `requests` itself
    maps=$(awk -F 'pages=' '/pages=/ { sum += int(($2 + 15) / 16) } END { print sum + 0 }' $tracing/trace)
    calls=$(($(hits privcmd) - calls + maps)) events=$(($(hits evtchn) - events))
    echo "$*: $tools requests to the store and $kernel of dom0's kernel, $calls hypercalls, $events calls of evtchn"
}
# create_and_destroy NAME: sets `create` and `destroy` to "REQUESTS HYPERCALLS"
create_and_destroy() {
    counted streak create "/tmp/$1.xml" || return 1
    create="$tools $calls"
    counted streak destroy "$1" || return 1
    destroy="$tools $calls"
}
# at_most "REQUESTS HYPERCALLS" REQUESTS HYPERCALLS
at_most() { set -- $1 $2 $3; [ "$1" -gt 0 ] && [ "$1" -le "$3" ] && [ "$2" -gt 0 ] && [ "$2" -le "$4" ]; }

check warm create_and_destroy devices
check counted create_and_destroy devices
check create at_most "$create" 40 100
check destroy at_most "$destroy" 15 100
alone="$create $destroy"
i=0
while [ $i -lt 20 ]; do
    sed "s/<name>stub/&$i/; /<uuid>/d" /tmp/stub.xml >/tmp/one.xml
    streak create /tmp/one.xml >/dev/null || break
    i=$((i + 1))
done
check twenty-guests [ $i = 20 ]
check counted-among-twenty create_and_destroy devices
check flat [ "$create $destroy" = "$alone" ] || echo "alone: $alone; among twenty: $create $destroy"
check linux counted streak create /tmp/linux.xml
check linux-create at_most "$tools $calls" 40 100
