# SPDX-License-Identifier: GPL-2.0-only
# streak-consoled and streak-stored with Debian's xl: consoles are logged from the first to the last byte, whatever happens.
tools=/usr/lib/xen-4.17/bin
export PATH=$PATH:$tools
mkdir -p /var/lib/xen /var/lib/xenstored /var/log/xen/console /run/xenstored /run/xen /run/lock /var/lock /etc/xen
ln -sfn /run /var/run 2>/dev/null
: >/etc/xen/xl.conf
dd if=/dev/urandom of=/dev/random bs=512 count=1 2>/dev/null # xl asks for random numbers before the kernel has any

logs=/var/log/streak/console
start_consoled() { streak-consoled --log-kib=64 2>>/tmp/consoled.log & consoled=$!; }
# wait_for SECONDS COMMAND...
wait_for() { left=$1; shift; while [ $left -gt 0 ]; do "$@" && return 0; sleep 1; left=$((left - 1)); done; return 1; }
# create NAME UUID-DIGIT WHAT
create() {
    cat >/tmp/$1.cfg <<EOF
name = "$1"
uuid = "00000000-0000-4000-8000-00000000000$2"
kernel = "/guest/vmlinux"
ramdisk = "/guest/initramfs"
extra = "console=hvc0 loglevel=4 guest.do=$3"
memory = 96
on_poweroff = "destroy"
EOF
    xl create /tmp/$1.cfg
}
log_of() { echo "$logs/00000000-0000-4000-8000-00000000000$1.log"; }
terminal_of() { xenstore-read /local/domain/$(xl domid $1)/console/tty; }
gone() { ! xl domid $1 >/dev/null 2>&1; }

streak-stored 2>/tmp/stored.log &
check stored wait_for 20 [ -S /run/xenstored/socket ]
check xen-init-dom0 xen-init-dom0
start_consoled

# Typing, and a guest that was there before the daemon was started anew.
check create create talk 1 echo
check up wait_for 60 grep -q "GUEST up" $(log_of 1)
check first-byte sh -c 'sed -n 1p '$(log_of 1)' | grep -q "domain 1 \"talk\" started"'
terminal=$(terminal_of talk)
(cat $terminal >/tmp/terminal) & reader=$!
sleep 1
echo hello >$terminal
check heard wait_for 20 grep -q "GUEST heard: hello" $(log_of 1)
check terminal-output wait_for 20 grep -q "GUEST heard: hello" /tmp/terminal
kill -9 $consoled
kill $reader
start_consoled
check goes-on wait_for 20 grep -q "goes on" $(log_of 1)
echo again >$(terminal_of talk)
check heard-again wait_for 20 grep -q "GUEST heard: again" $(log_of 1)

# A flood: others are served, its log is bounded.
check create-flood create flood 2 flood
check flood wait_for 60 [ -e $(log_of 2).3 ]
echo through the flood >$(terminal_of talk)
check not-blocked wait_for 10 grep -q "GUEST heard: through the flood" $(log_of 1)
check bounded sh -c '[ $(ls '$logs' | grep -c "0002\.log") = 4 ] && [ $(cat '$(log_of 2)'* | wc -c) -le $((4 * 64 * 1024)) ]'
check destroy-flood xl destroy flood
check destroyed wait_for 20 grep -q '"flood" ended: destroyed' $(log_of 2)
check pages-given-back wait_for 20 sh -c '[ $(xl list | wc -l) = 3 ]'

# The daemon dies again and again while a guest writes; no line is missing.
check create-count create count 3 count
wait_for 60 grep -q "GUEST line 1 " $(log_of 3)
for kill in 1 2 3; do
    kill -9 $consoled
    start_consoled
    wait_for 20 sh -c '[ $(grep -c "goes on" '$(log_of 1)') = '$((kill + 1))' ]'
done
check last-line wait_for 60 grep -q "GUEST line 2000 of 2000" $(log_of 3)
echo end >$(terminal_of count)
check powered-off wait_for 60 gone count
check last-byte wait_for 20 grep -q "GUEST heard: end" $(log_of 3)
check end-of-life wait_for 20 grep -q '"count" ended: powered off' $(log_of 3)
numbers_said "GUEST line" $(log_of 3).1 $(log_of 3) >/tmp/lines
check no-line-lost [ "$(wc -l </tmp/lines) $(tail -n 1 /tmp/lines)" = "2000 2000" ] || {
    for line in $(seq 2000 | grep -vxFf /tmp/lines); do
        cat $(log_of 3).1 $(log_of 3) | grep -a -A 3 -B 3 -e "line $((line - 1)) of" -e "line $((line + 1)) of"
    done
}
check daemon-lives kill -0 $consoled
check destroy-talk xl destroy talk
cat /tmp/consoled.log /tmp/stored.log; ls -l $logs; grep -ah "^.--- " $logs/*
