# SPDX-License-Identifier: GPL-2.0-only
# What becomes of guests that end by themselves, on which CPUs they run, how much they get, and which start with the host.
. toolstack
check daemons streak-up
kernel=/guest/vmlinux
# says DOMAIN TEXT: whether the report about it holds the text
says() { streak dominfo --json "$1" 2>&1 | grep -q -- "$2"; }
# crashes NAME DIGIT ON-CRASH: a guest that crashes as soon as it runs
crashes() {
    kernel=/guest/stub on_crash=$3 definition "$1" "$2" nothing 4
    sed -i '/<initrd>/d; s/<cmdline>.*</<cmdline>crash</' "/tmp/$1.xml"
    streak define "/tmp/$1.xml" && streak start "$1"
}
# events_of NAME EVENT: how many
events_of() { streak events --json | tr '{' '\n' | grep -c "\"name\":\"$1\",\"event\":\"$2\""; }
not_again() { streak events | grep "$1" | grep -q "not started again"; }

# on_crash
check preserve crashes kept 1 preserve
check preserved wait_for 20 says kept '"state":"crashed"' || streak dominfo kept
check destroy-preserved streak destroy kept
check restart crashes loop 2 restart
check not-for-ever wait_for 60 not_again loop
check five-starts [ "$(events_of loop started)" = 5 ] || streak events
check rename-restart crashes heir 3 rename-restart
check heirs-end wait_for 60 not_again heir
heirs=$(streak list | sed -n 's/^\(heir-[0-9]*\).*/\1/p')
streak list
check four-heirs [ "$(echo "$heirs" | wc -l)" = 4 ]
check heirs-are-kept says "$(echo "$heirs" | head -n 1)" '"state":"crashed"'
for heir in $heirs; do streak destroy "$heir"; done
check undefine sh -c 'for name in kept loop heir; do streak undefine $name || exit 1; done'

# CPUs
definition pinned 4 load 96
sed -i "s|<os>|<cputune><vcpupin vcpu='0' cpuset='1'/><shares>512</shares></cputune>&|" /tmp/pinned.xml
check create-pinned streak create /tmp/pinned.xml
check pinned wait_for 60 said 4 "GUEST alive 2"
check on-cpu-1 says pinned '"cpu":1'
check pin streak pin pinned 0
sleep 1
check on-cpu-0 says pinned '"cpu":0'
check weight says pinned '"weight":512'
# cpu_share DOMAIN: percent of a CPU in some ten seconds
cpu_ns() { streak dominfo --json "$1" | sed 's/.*"vcpus_list".*"cpu_time_ns":\([0-9]*\).*/\1/'; }
centiseconds() { sed 's/^\([0-9]*\)\.\([0-9]*\) .*/\1\2/' /proc/uptime; }
cpu_share() {
    from=$(cpu_ns "$1") start=$(centiseconds)
    sleep 10
    echo $((($(cpu_ns "$1") - from) / ($(centiseconds) - start) / 100000))
}
streak pin pinned 1
share=$(cpu_share pinned)
echo "without a cap: $share %"
check all-of-it [ "$share" -gt 80 ]
check cap streak schedule pinned --cap 25
share=$(cpu_share pinned)
echo "cap of 25 %: $share %"
check capped [ "$share" -gt 10 -a "$share" -lt 40 ]
check end-pinned streak destroy pinned

# Interfaces come and go
definition net 5 net 96 1 "$(interface 05)"
check create-net streak create /tmp/net.xml
check one wait_for 60 said 5 "interfaces: 1"
check attach streak attach-interface net --bridge br0 --mac 00:16:3e:00:00:06
check two wait_for 20 said 5 "interfaces: 2"
check detach streak detach-interface net 00:16:3e:00:00:06
check one-again wait_for 20 sh -c "[ \$(grep -c 'interfaces: 1' $(log_of 5)) = 2 ]"
check on-bridge [ "$(ls /sys/class/net/br0/brif | wc -l)" = 1 ]
check detach-absent sh -c '! streak detach-interface net 00:16:3e:00:00:06 2>/dev/null'
check end-net streak destroy net

# Rough edge 2 of xl: who looks after a guest is no process of its own that can be lost. A guest that is suspended, which
# nobody here asks for, can be ended; one that reboots after streakd was killed is started again.
definition asleep 8 net 96 1 "$(interface 08)"
check create-asleep streak create /tmp/asleep.xml
check awake wait_for 60 said 8 "interfaces: 1"
kill -9 $(pidof streakd)
streakd 2>>/var/log/streak/streakd.log &
check watched-again wait_for 20 streak info >/dev/null
check rough-edge-02-reboot streak reboot --wait=60 asleep
check awake-again wait_for 60 sh -c "[ \$(grep -c 'interfaces: 1' $(log_of 8)) -ge 2 ]"
streak store write "/local/domain/$(streak dominfo --json asleep | sed -n 's/.*"id":\([0-9]*\).*/\1/p')/control/shutdown" suspend
check suspended wait_for 20 says asleep '"state":"suspended"'
check rough-edge-02-destroy streak destroy asleep
check asleep-gone wait_for 20 gone asleep

# Rough edge 26 of xl: no script can hang; one that isn't Xen's own is refused at once, with nothing made.
definition scripted 9 net 96 1 "$(interface 09 | sed "s,</interface>,<script path='/tmp/hangs'/></interface>,")"
printf '#!/bin/sh\ntouch /tmp/ran\nsleep 1000\n' >/tmp/hangs
chmod +x /tmp/hangs
check rough-edge-26-refused sh -c '! streak create /tmp/scripted.xml 2>/tmp/refused'
check rough-edge-26-reason grep -q "Streak runs no scripts" /tmp/refused || cat /tmp/refused
check rough-edge-26-not-run [ ! -e /tmp/ran ]
check scripted-not-made gone scripted

# A host that starts: what streakd has in /run is gone.
definition auto 6 wait 96
definition manual 7 wait 96
check autostart sh -c 'streak define /tmp/auto.xml && streak autostart auto && streak define /tmp/manual.xml'
kill -9 $(pidof streakd)
rm -rf /run/streak
mkdir -p /run/streak/domains
streakd 2>>/var/log/streak/streakd.log &
check auto-up wait_for 60 said 6 "GUEST alive 1"
check manual-off says manual '"state":"shut-off"'
kill -9 $(pidof streakd)
streak destroy auto 2>/dev/null
streakd 2>>/var/log/streak/streakd.log &
check again wait_for 20 streak info >/dev/null
check once-a-boot sh -c 'streak destroy auto && sleep 2 && streak dominfo auto | grep -q shut-off'
check no-leftovers sh -c 'streak list --leftovers --json | grep -qE "\"leftovers\": *\[ *\]"'
