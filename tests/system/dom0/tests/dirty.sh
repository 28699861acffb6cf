# SPDX-License-Identifier: GPL-2.0-only
# Dirty pages of running guests: with much to do, on one processor and on two, with nothing to do, and until their end.
. toolstack
check daemons streak-up
kernel=/guest/vmlinux
id() { streak dominfo "$1" --json | tr ',{}' '\n\n\n' | sed -n 's/.*"id": *\([0-9]*\).*/\1/p' | head -n 1; }
free_before=$(host_number free_memory_kib)
# busy NAME DIGIT VCPUS
busy() {
    definition "$1" "$2" churn 96 "$3"
    check "$1" streak create "/tmp/$1.xml"
    check "$1-works" wait_for 60 said "$2" "GUEST churn 2"
    check "$1-probe" log-probe "$1" "$(id "$1")" busy
    check "$1-still-works" hears "$2" 60 "GUEST churn"
    check "$1-right" sh -c "! grep -q WRONG $(log_of "$2")"
    grep WRONG "$(log_of "$2")" | head -n 3
}
busy one 1 1
busy two 2 2
check destroy-one streak destroy one
check two-again log-probe two "$(id two)" leave
check two-logged hears 2 60 "GUEST churn"
count() { grep -c "GUEST churn" "$(log_of 2)"; }
a=$(count); sleep 10; b=$(count); log-probe two "$(id two)" off; sleep 10; echo "rounds: $((b - a)) logged, $(($(count) - b)) not"
log-probe two "$(id two)" leave
check destroy-logged streak destroy two
definition idle 3 echo 96 1
check idle streak create /tmp/idle.xml
check idle-up wait_for 60 said 3 "GUEST up"
sleep 3
check idle-probe log-probe idle "$(id idle)" idle
check destroy-idle streak destroy idle
streak list
host_number free_memory_kib
tail -n 3 /var/log/streak/*.log
