# Two servers and a client on a network of their own, and a published port, in the machine.
set -e
export BOX_ROOT=/tmp/store
box=$1
ip link set lo up
serve='mkdir /w; echo page of $0 >/w/index.html; exec httpd -f -p 80 -h /w'
$box network create shop
for name in one two; do
	$box run -d --name $name --network shop -m 64m tiny sh -c "$serve" $name >/tmp/$name
	cat /sys/fs/cgroup/box-*/memory.max | sort -u
done
$box run -d --name public -p 8080:80 tiny sh -c "$serve" public >/tmp/public
fetch='until wget -qO- $0; do sleep 0.2; done'
$box run --rm --network shop tiny sh -c "$fetch" http://one/
$box run --rm --network shop tiny sh -c "$fetch" http://two/
sh -c "$fetch" http://127.0.0.1:8080/
$box rm -f one two public >/tmp/removed
$box network rm shop
ls -d /sys/fs/cgroup/box-* 2>/dev/null || echo no cgroup is left
