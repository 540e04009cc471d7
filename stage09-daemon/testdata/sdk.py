# What a program does with the Docker SDK for Python. TestPython runs it: the argument is the
# daemon's address.
import io
import sys
import tarfile
import time

import docker

c = docker.DockerClient(base_url=sys.argv[1], timeout=60)
alone = {"network_mode": "none"}
assert c.containers.run("tiny", "echo hello", remove=True, **alone) == b"hello\n"
try:
    c.containers.run("tiny", ["sh", "-c", "echo no >&2; exit 3"], remove=True, **alone)
    assert False
except docker.errors.ContainerError as e:
    assert (e.exit_status, e.stderr) == (3, b"no\n"), e
try:
    c.containers.get("nosuch")
    assert False
except docker.errors.NotFound:
    pass

# It names the path of a volume twice: in Volumes, and in Binds.
web = c.containers.run("tiny", ["sh", "-c", "echo begun; exec sleep 1000"], detach=True, name="web", labels={"l": "v"},
                       environment={"A": "1"}, volumes={"data": {"bind": "/data", "mode": "rw"}}, **alone)
web.reload()
assert web.status == "running"
assert web.exec_run(["sh", "-c", "echo $A; exit 4"]) == (4, b"1\n")
assert next(web.logs(stream=True)) == b"begun\n"
archive = io.BytesIO()
with tarfile.open(fileobj=archive, mode="w") as t:
    t.addfile(tarfile.TarInfo("file"))
assert web.put_archive("/tmp", archive.getvalue())
assert web.get_archive("/tmp/file")[1]["name"] == "file"
assert {"Path": "/tmp/file", "Kind": 1} in web.diff()
assert any("sleep" in process[-1] for process in web.top()["Processes"])
assert web.commit("made", tag="1").tags == ["made:1"]
web.rename("shop")
web.restart(timeout=0)
assert [x.name for x in c.containers.list(filters={"label": "l=v"})] == ["shop"]
assert "start" in {e["Action"] for e in c.events(since=int(time.time()) - 60, until=int(time.time()) + 1, decode=True)}
web.stop(timeout=0)
assert web.wait()["StatusCode"] == 137
web.remove()
c.volumes.get("data").remove()

image, _ = c.images.build(fileobj=io.BytesIO(b"FROM tiny\nLABEL a=b\n"), tag="built")
saved = b"".join(image.save())
c.images.remove("built")
assert c.images.load(saved)[0].id == image.id
try:
    c.images.build(fileobj=io.BytesIO(b"FROM tiny\nNONSENSE\n"))
    assert False
except docker.errors.BuildError:
    pass
assert {n.name for n in c.networks.list()} >= {"host", "none"}
