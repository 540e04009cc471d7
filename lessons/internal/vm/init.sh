#!/bin/busybox sh
# The first process of the virtual machine. It runs /run/command, and says behind all that
# was printed how that has ended. Then it waits: whoever reads along switches the machine
# off, because what is still on its way would be lost if it did so itself.
export PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin HOME=/root TMPDIR=/tmp

# pivot_root(2) refuses the root file system that the kernel unpacks at first. So that
# containers can have roots of their own, everything moves to a tmpfs.
if [ "$1" != again ]; then
	/bin/busybox --install -s /bin
	mkdir /new
	mount -t tmpfs -o mode=755 tmpfs /new
	for d in /*; do [ "$d" = /new ] || cp -a "$d" /new/; done
	exec switch_root /new /init again
fi

mkdir -p /proc /sys /dev /root /var/tmp /etc
mkdir -p -m 1777 /tmp
mount -t proc proc /proc
mount -t sysfs sysfs /sys
mount -t devtmpfs dev /dev
mkdir -p /dev/pts /dev/shm
mount -t devpts -o ptmxmode=666 devpts /dev/pts
mount -t tmpfs -o mode=1777 tmpfs /dev/shm
mount -t cgroup2 cgroup2 /sys/fs/cgroup
mount --make-rshared /
echo 'root:x:0:0:root:/root:/bin/sh
nobody:x:65534:65534:nobody:/:/bin/sh' >/etc/passwd
echo 'root:x:0:
nogroup:x:65534:' >/etc/group
hostname stagebox-vm
ip link set lo up
for m in $(cat /run/modules); do modprobe "$m"; done

# What is printed must arrive as it is: no carriage returns, no echo. A terminal forgets
# its settings when the last who has it open closes it.
until [ -c /dev/hvc0 ] && (true >>/dev/hvc0) 2>/dev/null; do sleep 0.1; done # its driver takes a moment
exec 3>/dev/hvc0
stty -F /dev/hvc0 raw -echo
cd /root
# Once a minute the list of processes goes to the kernel's log, which is what is left of a machine that hangs.
while ps -o pid,ppid,stat,args; do sleep 60; done >/dev/ttyS0 2>&1 3>&- &
setsid sh /run/command </dev/null >&3 2>&1 3>&-
printf '\004exit %d\004' $? >&3
sleep 60
poweroff -f
