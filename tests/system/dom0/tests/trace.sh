# SPDX-License-Identifier: GPL-2.0-only
# Tracing and counting of hypercalls, by streak and by Debian's tools. What is JSON goes onto the disk, for the host (traces.py).
. toolstack
check daemons streak-up
modprobe -a virtio_pci virtio_blk
# status N COMMAND...: it ends with that status
status() { wanted=$1; shift; "$@" 2>/tmp/error; [ $? = "$wanted" ]; }
# put FILE MIB: on the disk from there on
put() { dd if="$1" of=/dev/vda bs=1M seek="$2" conv=fsync 2>/dev/null; }

definition web 1 echo 96 2
check create streak create /tmp/web.xml
check up wait_for 60 said 1 "GUEST up"
id=$(streak dominfo --json web | sed 's/.*"id":\([0-9]*\).*/\1/')
tty=$(streak console --json web | sed 's/.*"tty":"\([^"]*\)".*/\1/')
# The guest hears a line four times a second.
while :; do echo "a line"; usleep 250000; done >"$tty" &
talker=$!

check trace status 0 streak trace --seconds 4 --output /tmp/all.txt
check summary grep -qE "^[1-9][0-9]+ records, [0-9]+ lost$" /tmp/error
cat /tmp/error
for line in 'd0v0 +event_channel_op\(send, 0x[0-9a-f]+\)' 'd0v0 +sched_op\((block|poll)' 'd0v0 +sched_op = 0, [0-9]+\.[0-9]+ us' \
    "d${id}v[01] +(sched_op|event_channel_op|set_timer_op|iret)" "d0v0 +#PF at 0x[0-9a-f]+, address 0x" "switch to d${id}v[01]" \
    "switch to idle" "d${id}v[01] +wakes" "d${id}v[01] +blocks" '   [a-z_]+ = '; do
    check "line $(echo "$line" | tr -dc 'a-zA-Z')" grep -qE "$line" /tmp/all.txt
done
grep -E "d${id}v" /tmp/all.txt | head -n 8
check only-calls status 0 streak trace --seconds 2 --domain web --events hypercall --output /tmp/web.txt
check only-there sh -c "grep -q 'd${id}v' /tmp/web.txt && ! grep -vE 'd${id}v[01] +[a-z_ ]+(\(| = )|records lost' /tmp/web.txt" || head -n 5 /tmp/web.txt
check json status 0 streak trace --json --seconds 2 --output /tmp/trace.json
check json-put put /tmp/trace.json 0
ls -l /tmp/all.txt /tmp/trace.json

streak trace >/tmp/interrupted.txt 2>/tmp/interrupted &
tracer=$!
sleep 2
kill -INT $tracer
wait $tracer
check interrupted [ $? = 0 ]
check interrupted-tells grep -q "records, " /tmp/interrupted
check pipe sh -c 'timeout 20 streak trace 2>/dev/null | head -n 3 | grep -c . | grep -qx 3'

check events-unknown status 2 streak trace --events weather
check events-told grep -q "hypercall, trap, sched" /tmp/error
check seconds-none status 2 streak trace --seconds 0
check nobody status 4 streak trace --seconds 1 --domain nobody
check no-input status 4 streak trace --input /tmp/nothing
check no-output status 4 streak trace --seconds 1 --output /nowhere/trace

# Debian's xentrace, and its file.
check xentrace /usr/lib/xen-4.17/bin/xentrace -D -e all -T 2 /tmp/xentrace.bin
ls -l /tmp/xentrace.bin
check xentrace-read status 0 streak trace --input /tmp/xentrace.bin --output /tmp/xentrace.txt
cat /tmp/error
check xentrace-kinds grep -qE "^[1-9][0-9]+ records, [0-9]+ lost$" /tmp/error
check xentrace-calls grep -qE "d0v0 +sched_op\(" /tmp/xentrace.txt
check xentrace-guest grep -q "switch to d${id}v" /tmp/xentrace.txt
head -c 1001 /tmp/xentrace.bin >/tmp/torn.bin
check torn status 0 streak trace --input /tmp/torn.bin --output /dev/null
check torn-tells grep -q "ends within a record" /tmp/error

# Counters.
check top status 0 streak top --hypercalls --once --interval 3
streak top --hypercalls --once | tee /tmp/top.txt
for name in sched_op event_channel_op sysctl mmuext_op; do check "top-$name" grep -qE "^$name +[0-9]+ +[0-9.]+ +[0-9.]+" /tmp/top.txt; done
check top-json sh -c 'streak top --hypercalls --once --json >/tmp/top.json' && put /tmp/top.json 64
check top-seconds status 2 streak top --hypercalls --interval 0
check xenperf sh -c '/usr/lib/xen-4.17/bin/xenperf >/tmp/xenperf.txt'
head -c 600 /tmp/xenperf.txt
for name in "hypercalls" "hypercalls: TSC ticks / 1024" "hypercalls by length"; do
    check "xenperf $name" grep -qE "^$name.*T= *[1-9][0-9]*" /tmp/xenperf.txt
done
check xenperf-reset /usr/lib/xen-4.17/bin/xenperf -r
kill $talker
check alive sh -c 'streak list | grep -q web'
check destroy streak destroy web
