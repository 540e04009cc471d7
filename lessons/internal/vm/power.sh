# What the machine of TestPowerCuts runs: images are built on its disk until the power is cut.
mkdir -p /disk /context/bin
cp /bin/busybox /context/bin
for name in sh seq sha256sum; do ln -s busybox /context/bin/$name; done
cat >/context/Dockerfile <<'END'
FROM scratch
COPY bin /bin
ARG n
RUN for i in 1 2 3 4 5 6 7 8 9; do echo $n $i >/$i; done
RUN seq 1 3000 >/numbers; sha256sum /[0-9]* /numbers >/sums
END
export BOX_ROOT=/disk/store

# look NAME... says of each image that was built whether it is whole.
look() {
	mount -t ext4 -o commit=600 /dev/vda /disk || exit 1
	for name in "$@"; do
		box run --rm $name sha256sum -cs /sums && box save $name >/dev/null && echo whole $name || echo torn $name
	done
}

# build PREFIX says the name of each image once it is built.
build() {
	i=0
	while i=$((i+1)); box build -q --build-arg n=$1$i -t $1$i /context >/dev/null; do echo built $1$i; done
}

# cut ends the file system as a power cut would: what is not on the disk is lost, such as a file
# that was written just before (EXT4_IOC_SHUTDOWN without a flush of the journal). Then comes
# another boot.
cut() {
	perl -e 'open(F, ">", "/disk/unsynced"), syswrite(F, "lost"); open(D, "<", "/disk");
		$how = pack("L", 2); ioctl(D, 0x8004587d, $how) or die "shutdown: $!\n"'
	kill -9 $1 2>/dev/null
	wait $1
	until umount /disk 2>/dev/null; do sleep 0.1; done
	cat /proc/sys/kernel/random/uuid >/another
	mount --bind /another /proc/sys/kernel/random/boot_id
}
