# SPDX-License-Identifier: GPL-2.0-only
# `make bench`: what the toolstack costs, in instructions, beside fork and exec of a program that does nothing.
. toolstack
check daemons streak-up
kernel=/guest/stub
definition stub 1 nothing 4
sed -i '/<initrd>/d' /tmp/stub.xml
kernel=/guest/vmlinuz
definition debian 2 wait
times=9 # programs are named in full: looking for them is no part of what they cost
count fork_exec_true $times /usr/bin/true # dynamically linked, as Debian has it
cycle() { streak create "/tmp/$1.xml" && streak destroy "$1"; }
cycle stub; cycle stub; cycle debian
measure() { # NAME XML GUEST: creates and destroys in turn
    n=0
    while [ $n -lt $times ]; do
        n=$((n + 1))
        count "create_$1" 1 /usr/bin/streak create "/tmp/$2.xml"
        count "destroy_$1" 1 /usr/bin/streak destroy "$2"
    done
}
measure stub stub
measure debian debian
count list_0 $times /usr/bin/streak list
count store_read $times /usr/bin/streak store read /local/domain/0/name
make_guests() { # FROM TO
    n=$1
    while [ "$n" -lt "$2" ]; do
        n=$((n + 1))
        sed "s/<name>stub/<name>many$n/; /<uuid>/d" /tmp/stub.xml >/tmp/many.xml
        streak create /tmp/many.xml >/dev/null || return 1
    done
}
used() { free | sed -n 's/^Mem: *[0-9]* *\([0-9]*\).*/\1/p'; }
free_before=$(host_number free_memory_kib)
used_before=$(used)
for many in $(argument guests | tr , ' '); do
    check guests-$many make_guests "${made:-0}" $many
    made=$many
    measure stub_with_$many stub
    count list_$many $times /usr/bin/streak list
done
echo "BENCH hypervisor_bytes_per_guest: $(((free_before - $(host_number free_memory_kib) - made * 4096) * 1024 / made))"
echo "BENCH dom0_bytes_per_guest: $((($(used) - used_before) * 1024 / made))"
for daemon in streakd streak-stored streak-consoled; do
    total=0
    for pid in $(pidof $daemon); do
        total=$((total + $(sed -n 's/^VmRSS:[^0-9]*\([0-9]*\).*/\1/p' "/proc/$pid/status")))
    done
    echo "BENCH resident_kib_$daemon: $total"
done
ok bench
