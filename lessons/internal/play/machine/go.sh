#!/bin/sh
# There is no Go toolchain in this machine. The programs that the lessons build were built on the
# host: go build copies them, and go run runs them. A stage of which play watches the student's copy
# is that copy's.
built() {
	case $1 in
	./stage0[1-9]-*)
		dir=${1#./stage0}
		dir=/usr/lib/stagebox/${dir%%-*}
		[ ! -x "$dir/yours" ] || { echo "$dir/yours"; return; }
		echo "$dir/box"
		;;
	./lessons/*) echo "/usr/lib/stagebox/programs/${1#./lessons/}" ;;
	esac
}
say() { echo "go: $*" >&2; }

verb=$1 out=
[ $# -gt 0 ] && shift
if [ "$verb" = build ] && [ "$1" = -o ]; then
	out=$2
	shift 2
fi
program=$(built "$1")
if [ -z "$program" ] || [ ! -x "$program" ]; then
	say "there is no Go toolchain in this machine: type this on the host, in the repository's directory"
	exit 1
fi
case $verb in
build)
	from=$1
	[ "$program" = "${program%/yours}" ] || { from="your copy of $1"; : "${out:=box}"; }
	say "there is no toolchain in this machine; ${out:=${program##*/}} is a copy of what play has built from $from"
	rm -f "$out"
	exec cp "$program" "$out"
	;;
run)
	shift
	exec "$program" "$@"
	;;
esac
say "this machine has only go build and go run, for the lessons' programs"
exit 1
