# SPDX-License-Identifier: GPL-2.0-only
# The life of guests with disks and a network; then streakd is killed again and again while it works. In the end all is as it was.
mkdir -p /data
for disk in one two three; do dd if=/dev/zero of=/data/$disk.img bs=64k count=64 2>/dev/null; done
dd if=/dev/urandom of=/data/one.img bs=64k count=64 2>/dev/null
cp /data/one.img /data/data
sum=$(md5sum </data/one.img | cut -c1-32)
check daemons streak-up
httpd -p 10.1.0.1:8000 -h /data

# wait_for SECONDS COMMAND...
wait_for() { left=$1; shift; while [ $left -gt 0 ]; do "$@" && return 0; sleep 1; left=$((left - 1)); done; return 1; }
# says DOMAIN TEXT: whether the report about it holds the text
says() { streak dominfo --json $1 2>&1 | grep -q -- "$2"; }
# is DOMAIN STATE [OTHER]: one look, as a guest that is alive changes between running and blocked at any time
is() { says $1 "\"state\":\"\($2\|${3:-$2}\)\",\"reason\""; }
free_memory() { streak info --json | sed -n 's/.*"free_memory_kib":\([0-9]*\).*/\1/p'; }
memory_back() { [ "$(free_memory)" = "$free_before" ]; }
nothing_left() { streak list --leftovers --json | grep -q '"leftovers":\[\]'; }
start_streakd() { streakd 2>>/var/log/streak/streakd.log & wait_for 20 streak info >/dev/null 2>&1; }

uuid=11111111-2222-3333-4444-555555555555
log=/var/log/streak/console/$uuid.log
# definition NAME UUID WHAT DEVICES
definition() {
    cat <<EOT
<domain type='xen'><name>$1</name><uuid>$2</uuid><memory unit='MiB'>192</memory><vcpu>2</vcpu>
<os><type arch='x86_64' machine='xenpv'>linux</type><kernel>/guest/vmlinuz</kernel><initrd>/guest/initramfs</initrd>
<cmdline>console=hvc0 loglevel=4 guest.do=$3 guest.ip=10.1.0.2/24 guest.peer=10.1.0.1</cmdline></os>
<on_poweroff>destroy</on_poweroff><on_reboot>restart</on_reboot><on_crash>destroy</on_crash>
<devices>$4<console type='pty'/></devices></domain>
EOT
}
disk() { echo "<disk type='file' device='disk'><driver name='phy' type='raw'/><source file='$1'/><target dev='$2' bus='xen'/></disk>"; }
nic="<interface type='bridge'><source bridge='br0'/><mac address='00:16:3e:00:00:01'/></interface>"
definition bang 33333333-2222-3333-4444-555555555555 crash "" >/tmp/bang.xml
check define streak define /tmp/bang.xml
check start streak start bang
check crashed wait_for 120 is bang shut-off
check reason says bang '"reason":"crash"'
check undefine streak undefine bang

definition web $uuid io "$(disk /data/one.img xvda)$(disk /data/two.img xvdb)$nic" >/tmp/web.xml
check create streak create /tmp/web.xml
check guest-up wait_for 120 grep -q "GUEST up" $log
check disk-read wait_for 60 grep -q "GUEST read: $sum" $log
check disk-written wait_for 60 grep -q "GUEST wrote: $sum" $log
check network wait_for 60 grep -q "GUEST heard: $sum" $log
check on-bridge [ -d /sys/class/net/br0/brif/vif2.0 ]
check connected says web '"state":"connected".*"state":"connected".*"state":"connected"'
check pause streak pause web
check paused is web paused
check unpause streak unpause web
check balloon streak set-memory web 160M --wait=60
check ballooned says web '"memory_kib":163840'
check vcpus streak set-vcpus web 1
check one-vcpu wait_for 30 says web '"vcpus":1,'
check rename streak rename web shop
check attach streak attach-disk shop /data/three.img xvdc || tail -n 60 $log
check attached wait_for 20 sh -c "tail -n 2 $log | grep -q 'disks: 3'"
check detach streak detach-disk shop xvdc
check detached wait_for 20 sh -c "tail -n 2 $log | grep -q 'disks: 2'"
definition thief 22222222-2222-3333-4444-555555555555 wait "$(disk /data/one.img xvda)" >/tmp/thief.xml
check shared-disk sh -c '! streak create /tmp/thief.xml 2>/tmp/refused && grep -q "in use by shop" /tmp/refused'
kill -9 $(pidof streakd)
check streakd-again start_streakd
check adopted is shop running blocked
check reboot streak reboot --wait=100 shop
check up-again wait_for 120 sh -c '[ $(grep -c "GUEST up" '$log') = 2 ]'
check disks-again wait_for 60 sh -c '[ $(grep -c "GUEST wrote: '$sum'" '$log') = 2 ]'
check shutdown streak shutdown --wait=100 shop
check gone sh -c '! streak dominfo shop 2>/dev/null'
check nothing-left wait_for 20 nothing_left || streak list --leftovers
# The hypervisor's heap keeps what the first domains needed: later ones give all back.
free_before=$(free_memory)

# At ever later moments of a create, of a destroy, and at last of neither.
round=0
while [ $round -lt 10 ]; do
    round=$((round + 1))
    streak create /tmp/web.xml >/dev/null 2>&1 &
    usleep $((round * 350000))
    kill -9 $(pidof streakd)
    wait $!
    start_streakd || break
    streak destroy $uuid >/dev/null 2>&1 &
    usleep $((round * 15000))
    kill -9 $(pidof streakd)
    wait $!
    start_streakd || break
    streak destroy $uuid || break
done
check killed-often [ $round = 10 ]
check nothing-left-then wait_for 20 nothing_left || streak list --leftovers
check memory-back wait_for 20 memory_back || echo "free memory: $free_before KiB before, $(free_memory) KiB now"
check no-loops [ -z "$(cat /sys/block/loop*/loop/backing_file 2>/dev/null)" ]
check no-vifs sh -c '! ls /sys/class/net | grep -q vif'
tail -n 12 /var/log/streak/streakd.log
