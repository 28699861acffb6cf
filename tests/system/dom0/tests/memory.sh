# SPDX-License-Identifier: GPL-2.0-only
# dom0 has the memory it was promised (streak.mib=, within 10 %), can fill most of it, and finds it unchanged.
total=$(($(sed -n 's/MemTotal: *\([0-9]*\) kB/\1/p' /proc/meminfo) / 1024))
echo "MemTotal: $total MiB"
check total [ $total -gt $(($(argument mib) * 85 / 100)) ]
mount -t tmpfs -o size=80% big /mnt
size=$((total * 6 / 10))
check fill dd if=/dev/zero of=/mnt/zero bs=1M count=$size
check zero [ "$(dd if=/mnt/zero bs=1M 2>/dev/null | tr -d '\000' | wc -c)" = 0 ]
rm /mnt/zero
