# SPDX-License-Identifier: GPL-2.0-only
# kill -9 of each daemon, at any moment, while guests read and write: nothing is lost and guests notice nothing.
. toolstack
check daemons streak-up
kernel=/guest/vmlinux
head -c 1048576 /dev/zero >/tmp/io.img
definition io 1 blocks 128 1 "$(disk /tmp/io.img)"
definition count 2 count
check create streak create /tmp/io.xml
check io wait_for 60 said 1 "GUEST block 3"
check create-count streak create /tmp/count.xml

# restart NAME: kills the daemon and starts it again, as systemd would
restart() {
    kill -9 "$(pidof "$1")"
    "$1" >>/var/log/streak/"$1".log 2>&1 &
}
n=0
for name in streak-stored streak-consoled streakd streak-stored streakd streak-consoled streak-stored streak-consoled streakd; do
    n=$((n + 1))
    usleep $((($(od -An -N2 -tu2 /dev/urandom) % 900 + 50) * 1000))
    restart $name
    [ $((n % 3)) = 0 ] && check io-after-$n hears 1 30 "GUEST block [0-9]"
done
check api wait_for 20 streak list
streak list
check both-there sh -c '[ "$(streak list | grep -cE "^(io|count) | (io|count) ")" = 2 ]'
check no-wrong-block sh -c "! grep -q WRONG $(log_of 1)"
# The blocks are numbered by the guest, so a line that was lost would show.
numbers_said "GUEST block" "$(log_of 1)" >/tmp/blocks
check no-line-lost sh -c "awk '\$1 != ++n { exit 1 } END { exit n < 10 }' /tmp/blocks"
check all-lines wait_for 30 said 2 "GUEST line 2000 of 2000"
numbers_said "GUEST line" "$(log_of 2)" >/tmp/lines
check no-count-lost [ "$(wc -l </tmp/lines) $(tail -n 1 /tmp/lines)" = "2000 2000" ]

# The kernels on both sides still have their watches.
head -c 1048576 /dev/urandom >/tmp/second.img
check attach-after streak attach-disk io /tmp/second.img xvdb
check detach-after streak detach-disk io xvdb
check shutdown-after streak shutdown --wait=40 io
check destroy-after streak destroy count
check nothing-left sh -c 'streak list --leftovers; streak list --leftovers --json | grep -qE "\"leftovers\": *\[ *\]"'

tail -n 20 /var/log/streak/*.log
