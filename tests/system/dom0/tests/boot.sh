# SPDX-License-Identifier: GPL-2.0-only
# dom0 comes up and powers off.
check processors [ "$(grep -c ^processor /proc/cpuinfo)" = "$(argument cpus)" ]
check online [ "$(cat /sys/devices/system/cpu/online)" = "$( [ "$(argument cpus)" = 1 ] && echo 0 || echo "0-$(($(argument cpus) - 1))")" ]
