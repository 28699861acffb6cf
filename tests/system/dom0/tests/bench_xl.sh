# SPDX-License-Identifier: GPL-2.0-only
# `make bench`: Debian's xl on either hypervisor. What its commands cost with more and more guests, memory for a guest, and how
# many instructions bytes on their way to a guest's disk and network take. streak.guests=LIST
. xl-up
log=/var/log/xen/console/guest-guest.log
wait_for() { left=$1; shift; while [ "$left" -gt 0 ]; do "$@" && return 0; sleep 1; left=$((left - 1)); done; return 1; }
# configure NAME KERNEL MEMORY REST
configure() { printf 'name = "%s"\nkernel = "%s"\nmemory = %s\n%s\n' "$1" "$2" "$3" "$4" >/tmp/"$1".cfg; }
configure stub /guest/stub 4
# What xl runs for devices: Debian's scripts need more than this image has.
mkdir -p /etc/xen/scripts
for script in block vif-bridge; do
    printf '#!/bin/sh\nexec >>/var/log/xen/hotplug.log 2>&1\n. /etc/xen/scripts/%s.own\n' $script >/etc/xen/scripts/$script
    chmod +x /etc/xen/scripts/$script
done
cat >/etc/xen/scripts/block.own <<'END'
[ "$1" = add ] || exit 0
set -- $(stat -c '%t %T' "$(xenstore-read "$XENBUS_PATH/params")")
xenstore-write "$XENBUS_PATH/physical-device" "$1:$2" "$XENBUS_PATH/hotplug-status" connected
END
cat >/etc/xen/scripts/vif-bridge.own <<'END'
[ "$1" = online ] || [ "$1" = add ] || exit 0
brctl addif br0 "$vif"
ip link set "$vif" up
xenstore-write "$XENBUS_PATH/hotplug-status" connected
END

# Bytes on their way.
modprobe -a xen-blkback xen-netback bridge
modprobe brd rd_size=65536 # KiB
brctl addbr br0
ip address add 10.1.0.1/24 dev br0
ip link set br0 up
mkdir -p /tmp/www
head -c 33554432 /dev/zero >/tmp/www/file
httpd -p 8000 -h /tmp/www
check ram-disk dd if=/dev/zero of=/dev/ram0 bs=1M count=64
configure guest /guest/vmlinux 128 'ramdisk = "/guest/initramfs"
extra = "console=hvc0 loglevel=4 guest.do=throughput"
disk = [ "phy:/dev/ram0,xvda,w" ]
vif = [ "bridge=br0" ]'
check create xl create /tmp/guest.cfg
check moves wait_for 120 grep -q "GUEST serves" $log
grep -a "BENCH\|count:" $log
count net_serve 3 /bin/wget -q -O /dev/null http://10.1.0.2:8000/file
cat /var/log/xen/hotplug.log
check destroy xl destroy guest

times=5
count fork_exec_true 9 /usr/bin/true
measure() { # NAME
    n=0
    while [ $n -lt $times ]; do
        n=$((n + 1))
        count "xl_create$1" 1 $tools/xl create /tmp/stub.cfg
        count "xl_destroy$1" 1 $tools/xl destroy stub
    done
}
measure "" >/dev/null
measure ""
count xl_list_0 $times $tools/xl list
free_kib() { xl info | sed -n 's/^free_memory *: //p'; }
used() { free | sed -n 's/^Mem: *[0-9]* *\([0-9]*\).*/\1/p'; }
free_before=$(free_kib) used_before=$(used)
n_guests=0
for many in $(argument guests | tr , ' '); do
    while [ "$n_guests" -lt "$many" ]; do
        n_guests=$((n_guests + 1))
        configure many$n_guests /guest/stub 4
        xl create /tmp/many$n_guests.cfg >/dev/null 2>&1 || bad many "$n_guests"
    done
    measure _with_"$many"
    count "xl_list_$many" $times $tools/xl list
done
echo "BENCH xl_hypervisor_bytes_per_guest: $((((free_before - $(free_kib)) * 1048576 - n_guests * 4194304) / n_guests))"
echo "BENCH xl_dom0_bytes_per_guest: $((($(used) - used_before) * 1024 / n_guests))"
ok bench
