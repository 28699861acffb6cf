# SPDX-License-Identifier: GPL-2.0-only
# Cores of guests. Two go onto the disk, one behind the other, and the host's gdb looks at them (cores.py).
. toolstack
check daemons streak-up
modprobe -a virtio_pci virtio_blk
says() { streak dominfo --json "$1" | grep -q -- "$2"; }
# status N COMMAND...: it ends with that status
status() { wanted=$1; shift; "$@" 2>/tmp/error; [ $? = "$wanted" ]; }

definition web 1 echo 96 2
check create streak create /tmp/web.xml
check up wait_for 60 said 1 "GUEST up"
for format in gdb crash; do
    check "dump-$format" streak dump web "/tmp/web.$format" --for "$format"
    ls -ls "/tmp/web.$format"
done
check small-and-private sh -c 'stat -c %a /tmp/web.gdb | grep -qx 600'
check told sh -c 'streak dump --json --force web /tmp/web.gdb | grep -q "\"schema\":\"streak.dump/1\".*\"vcpus\":2"'
check runs-on sh -c 'streak list | grep web | grep -qE "running|idle|blocked"' || streak list
echo "a line" >"$(streak console --json web | sed 's/.*"tty":"\([^"]*\)".*/\1/')"
check still-alive wait_for 20 said 1 "GUEST heard: a line"

check exists status 5 streak dump web /tmp/web.gdb
check exists-says grep -q -- "--force" /tmp/error
check nobody status 4 streak dump nobody /tmp/none
check no-number status 4 streak dump 4000 /tmp/none
check no-format status 2 streak dump web /tmp/none --for windbg
check no-folder status 4 streak dump web /nowhere/none
check nothing-left [ -z "$(ls /tmp/none* /tmp/*.partial 2>/dev/null)" ]
check control-domain status 2 streak dump 0 /tmp/none

# One that has crashed and is kept.
on_crash=preserve definition fallen 2 crash 96
check create-fallen streak create /tmp/fallen.xml
check crashed wait_for 60 says fallen '"state":"crashed"'
check dump-fallen streak dump fallen /tmp/fallen.gdb
# put FILE MIB: on the disk from there on
put() { dd if="$1" of=/dev/vda bs=1M seek="$2" conv=fsync 2>/dev/null; }
check put-web put /tmp/web.gdb 0
check put-crash put /tmp/web.crash 128
check put-fallen put /tmp/fallen.gdb 256
check destroy sh -c 'streak destroy web && streak destroy fallen'
