#!/bin/sh
# probe.sh says what a container lets a program see and do: run it in one, as root, beside
# the same in another runtime, and compare. Each line is a question and the answer.
say() { printf '%-32s %s\n' "$1" "$2"; }
can() { what=$1; shift; if "$@" >/dev/null 2>&1; then say "$what" allowed; else say "$what" denied; fi; }
field() { sed -n "s/^$1:[[:space:]]*//p" /proc/self/status; }

for name in CapInh CapPrm CapEff CapBnd CapAmb NoNewPrivs Seccomp; do say "$name" "$(field $name)"; done
say "descriptors above 2" "$(ls /proc/self/fd | awk '$1 > 3' | wc -l)" # 3 is the directory that ls reads
say "/dev" "$(echo $(ls /dev))"
say "process 1" "$$"
say "umask" "$(umask)"

for path in /proc/kcore /proc/keys /proc/timer_list /proc/sched_debug /proc/interrupts /proc/acpi /proc/scsi /sys/firmware; do
	[ -e $path ] || continue
	if [ -d $path ]; then content=$(ls -A $path); else content=$(head -c 10 $path 2>/dev/null | tr -d '\0'); fi
	if [ -z "$content" ]; then say $path empty; else say $path "has content"; fi
done
for path in /proc/bus /proc/fs /proc/irq /proc/sys /sys /sys/fs/cgroup; do
	awk -v p=$path '$5 == p { last = $6 } END { print last ~ /(^|,)ro(,|$)/ ? "read-only" : "to be written" }' /proc/self/mountinfo | while read -r how; do say "$path" "$how"; done
done

can "sysrq-trigger" sh -c 'echo h >/proc/sysrq-trigger'
can "core_pattern" sh -c 'echo core >/proc/sys/kernel/core_pattern'
can "a sysctl of the network" sh -c 'echo 1 >/proc/sys/net/ipv4/ip_forward'
can "mkdir in the cgroup tree" sh -c 'mkdir /sys/fs/cgroup/x || mkdir /sys/fs/cgroup/memory/x'
can "mount a tmpfs" mount -t tmpfs none /tmp
can "umount /proc" umount /proc
can "remount /sys" mount -o remount,rw /sys
can "unshare -U" unshare -U true
can "mknod of null" sh -c 'mknod /tmp/null c 1 3; : >/tmp/null'
can "mknod and open a disk" sh -c 'mknod /tmp/disk b 254 0; head -c 1 /tmp/disk'
can "mknod and open /dev/kmem" sh -c 'mknod /tmp/kmem c 1 2; head -c 1 /tmp/kmem'
can "mknod and open /dev/mem" sh -c 'mknod /tmp/mem c 1 1; head -c 1 /tmp/mem'
can "dmesg" dmesg
can "set the time" sh -c '[ -z "$(date -s "$(date "+%Y-%m-%d %H:%M:%S")" 2>&1 >/dev/null)" ]'
can "set the host name" hostname probe
can "add an address" ip addr add 192.0.2.1/32 dev lo
can "priority -5" sh -c '[ "$(nice -n -5 nice)" = -5 ]'
can "chroot" chroot / true
can "chown" sh -c 'touch /tmp/file; chown 1:1 /tmp/file'
can "ping" ping -c 1 127.0.0.1
rm -f /tmp/null /tmp/disk /tmp/kmem /tmp/mem /tmp/file
