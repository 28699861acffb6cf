# SPDX-License-Identifier: GPL-2.0-only
# What the hypervisor says of itself, and the modules that the tools need.
for file in type version/major version/minor version/extra compilation/compiler properties/capabilities \
            properties/features properties/changeset properties/pagesize uuid properties/buildid start_flags/initdomain; do
    [ -e /sys/hypervisor/$file ] && echo "/sys/hypervisor/$file: $(cat /sys/hypervisor/$file)"
done
check type [ "$(cat /sys/hypervisor/type)" = xen ]
check version [ "$(cat /sys/hypervisor/version/major).$(cat /sys/hypervisor/version/minor)" = 4.17 ]
extra=$(argument extra)
check extraversion [ -z "$extra" -o "$(cat /sys/hypervisor/version/extra)" = "$extra" ]
check pv grep -q xen-3.0-x86_64 /sys/hypervisor/properties/capabilities
check pagesize [ "$(cat /sys/hypervisor/properties/pagesize)" = 1000 -o "$(cat /sys/hypervisor/properties/pagesize)" = 4096 ]
check build-id [ -n "$(cat /sys/hypervisor/properties/buildid)" ]
check capabilities grep -q control_d /proc/xen/capabilities
for module in xen_evtchn xen_privcmd xen_gntdev xen_gntalloc xenfs; do
    check "module-$module" grep -q "^$module " /proc/modules
done
for module in xen-blkback xen-netback loop bridge; do
    check "load-$module" modprobe $module
done
for node in evtchn gntdev gntalloc privcmd; do
    check "node-$node" [ -c /dev/xen/$node ]
done
check xsd-port [ "$(cat /proc/xen/xsd_port)" -gt 0 ]
check clocksource grep -q -e xen -e tsc /sys/devices/system/clocksource/clocksource0/current_clocksource
