// What programs do with Docker's own Go client, held against what the kernel says. The argument is
// the daemon's address; the daemon runs on this host.
package main

import (
	"archive/tar"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/containerd/errdefs"
	"github.com/moby/moby/api/pkg/stdcopy"
	"github.com/moby/moby/api/types/container"
	"github.com/moby/moby/api/types/network"
	"github.com/moby/moby/client"
)

var (
	c   *client.Client
	ctx context.Context
)

func main() {
	log.SetFlags(log.Lshortfile)
	var cancel context.CancelFunc
	ctx, cancel = context.WithTimeout(context.Background(), 2*time.Minute)
	defer cancel()
	c = must(client.New(client.WithHost(os.Args[1])))
	began := time.Now()
	daemon()
	foreground()
	id := background()
	inside(id)
	files(id)
	images(id)
	if os.Geteuid() == 0 {
		networks(id)
		limits(id)
	}
	life(id)
	terminal()
	volumes()
	happened(began)
}

// check ends the program with the line of the check that failed.
func check(holds bool, found ...any) {
	if !holds {
		log.Output(2, fmt.Sprintln(found...))
		os.Exit(1)
	}
}

func must[T any](value T, err error) T {
	if err != nil {
		log.Output(2, err.Error())
		os.Exit(1)
	}
	return value
}

// proc reads a file of a process on this host.
func proc(pid int, name string) string {
	return string(must(os.ReadFile(fmt.Sprintf("/proc/%d/%s", pid, name))))
}

// daemon: the client finds a version of the API that both have, and kinds of errors.
func daemon() {
	check(must(c.Ping(ctx, client.PingOptions{NegotiateAPIVersion: true})).OSType == "linux")
	version := must(c.ServerVersion(ctx, client.ServerVersionOptions{}))
	check(c.ClientVersion() == version.APIVersion, c.ClientVersion(), version)
	kernel := strings.TrimSpace(string(must(os.ReadFile("/proc/sys/kernel/osrelease"))))
	check(must(c.Info(ctx, client.InfoOptions{})).Info.KernelVersion == kernel)
	_, err := c.ContainerInspect(ctx, "nosuch", client.ContainerInspectOptions{})
	check(errdefs.IsNotFound(err), err)
	_, err = c.ContainerCreate(ctx, client.ContainerCreateOptions{Image: "nosuch"})
	check(errdefs.IsNotFound(err), err)
	_, err = c.SwarmInit(ctx, client.SwarmInitOptions{})
	check(errdefs.IsNotImplemented(err), err)
	_, err = c.ContainerCreate(ctx, client.ContainerCreateOptions{Image: "tiny", Name: "a b"})
	check(errdefs.IsInvalidArgument(err), err)
}

// alone makes a container without a network.
func alone(name string, config container.Config) string {
	config.Image = "tiny"
	return must(c.ContainerCreate(ctx, client.ContainerCreateOptions{Name: name, Config: &config,
		HostConfig: &container.HostConfig{NetworkMode: "none"}})).ID
}

func start(id string) { must(c.ContainerStart(ctx, id, client.ContainerStartOptions{})) }

// await waits for what a wait has to say.
func await(w client.ContainerWaitResult) int64 {
	select {
	case result := <-w.Result:
		return result.StatusCode
	case err := <-w.Error:
		return must(int64(-1), err)
	}
}

// streams separates the two streams of a connection.
func streams(in io.Reader) (stdout, stderr string) {
	var out, errs bytes.Buffer
	must(stdcopy.StdCopy(&out, &errs, in))
	return out.String(), errs.String()
}

// foreground does what docker run does: attach, wait, start; input that ends, two streams, a status.
func foreground() {
	id := alone("", container.Config{Cmd: []string{"sh", "-c", "cat; echo no >&2; exit 3"}, OpenStdin: true, StdinOnce: true,
		AttachStdin: true, AttachStdout: true, AttachStderr: true})
	attached := must(c.ContainerAttach(ctx, id, client.ContainerAttachOptions{Stream: true, Stdin: true, Stdout: true, Stderr: true}))
	removed := c.ContainerWait(ctx, id, client.ContainerWaitOptions{Condition: container.WaitConditionNextExit})
	start(id)
	must(attached.Conn.Write([]byte("typed\n")))
	must(0, attached.CloseWrite())
	out, errs := streams(attached.Reader)
	attached.Close()
	check(out == "typed\n" && errs == "no\n", out, errs)
	check(await(removed) == 3)
	must(c.ContainerRemove(ctx, id, client.ContainerRemoveOptions{}))
	_, err := c.ContainerInspect(ctx, id, client.ContainerInspectOptions{})
	check(errdefs.IsNotFound(err), err)
}

// pid is that of the container's first process.
func pid(id string) int {
	return must(c.ContainerInspect(ctx, id, client.ContainerInspectOptions{})).Container.State.Pid
}

// background starts the container of the checks that follow.
func background() string {
	id := alone("web", container.Config{Cmd: []string{"sh", "-c", "echo begun; exec sleep 1000"}, Env: []string{"A=1"},
		Labels: map[string]string{"l": "v"}, Hostname: "shop"})
	_, err := c.ContainerCreate(ctx, client.ContainerCreateOptions{Image: "tiny", Name: "web"})
	check(errdefs.IsConflict(err), err)
	start(id)
	logs := must(c.ContainerLogs(ctx, id, client.ContainerLogsOptions{ShowStdout: true, Follow: true}))
	line := make([]byte, 8+len("begun\n"))
	must(io.ReadFull(logs, line))
	check(string(line[8:]) == "begun\n", string(line))
	must(0, logs.Close())
	check(proc(pid(id), "cmdline") == "sleep\x001000\x00", proc(pid(id), "cmdline"))
	list := must(c.ContainerList(ctx, client.ContainerListOptions{Filters: make(client.Filters).Add("label", "l=v")})).Items
	check(len(list) == 1 && list[0].ID == id && list[0].State == container.StateRunning, list)
	list = must(c.ContainerList(ctx, client.ContainerListOptions{Filters: make(client.Filters).Add("label", "l=w")})).Items
	check(len(list) == 0, list)
	return id
}

// inside: exec joins the container's namespaces, and none of this program's.
func inside(id string) {
	created := must(c.ExecCreate(ctx, id, client.ExecCreateOptions{AttachStdout: true, AttachStderr: true, WorkingDir: "/tmp", Env: []string{"B=2"},
		Cmd: []string{"sh", "-c", "echo $A$B $PWD; hostname; readlink /proc/self/ns/pid; exit 4"}}))
	attached := must(c.ExecAttach(ctx, created.ID, client.ExecAttachOptions{}))
	out, _ := streams(attached.Reader)
	attached.Close()
	theirs := must(os.Readlink(fmt.Sprintf("/proc/%d/ns/pid", pid(id))))
	check(out == "12 /tmp\nshop\n"+theirs+"\n", out)
	check(theirs != must(os.Readlink("/proc/self/ns/pid")), theirs)
	state := must(c.ExecInspect(ctx, created.ID, client.ExecInspectOptions{}))
	check(state.ExitCode == 4 && !state.Running && state.ContainerID == id, state)

	created = must(c.ExecCreate(ctx, id, client.ExecCreateOptions{Cmd: []string{"sleep", "1001"}}))
	must(c.ExecStart(ctx, created.ID, client.ExecStartOptions{Detach: true}))
	for state.PID = 0; state.PID == 0; time.Sleep(10 * time.Millisecond) { // until it has begun
		state = must(c.ExecInspect(ctx, created.ID, client.ExecInspectOptions{}))
	}
	check(state.Running && proc(state.PID, "cmdline") == "sleep\x001001\x00", state)
	check(len(must(c.ContainerTop(ctx, id, client.ContainerTopOptions{})).Processes) == 2)
	must(c.ContainerKill(ctx, id, client.ContainerKillOptions{Signal: "WINCH"})) // which sleep ignores
}

// archive makes one of a file.
func archive(name, content string) io.Reader {
	var out bytes.Buffer
	w := tar.NewWriter(&out)
	must(0, w.WriteHeader(&tar.Header{Name: name, Mode: 0o640, Size: int64(len(content))}))
	must(w.Write([]byte(content)))
	must(0, w.Close())
	return &out
}

// files: what is copied into the container is in its root, and comes back.
func files(id string) {
	must(c.CopyToContainer(ctx, id, client.CopyToContainerOptions{DestinationPath: "/tmp", Content: archive("file", "copied")}))
	check(proc(pid(id), "root/tmp/file") == "copied")
	copied := must(c.CopyFromContainer(ctx, id, client.CopyFromContainerOptions{SourcePath: "/tmp/file"}))
	check(copied.Stat.Name == "file" && copied.Stat.Size == 6 && copied.Stat.Mode == 0o640, copied.Stat)
	in := tar.NewReader(copied.Content)
	check(must(in.Next()).Name == "file" && string(must(io.ReadAll(in))) == "copied")
	must(0, copied.Content.Close())
	_, err := c.ContainerStatPath(ctx, id, client.ContainerStatPathOptions{Path: "/nosuch"})
	check(errdefs.IsNotFound(err), err)
	changes := must(c.ContainerDiff(ctx, id, client.ContainerDiffOptions{})).Changes
	check(slices.Contains(changes, container.FilesystemChange{Kind: container.ChangeAdd, Path: "/tmp/file"}), changes)
}

// run is the output of a container of the image.
func run(image string) string {
	id := must(c.ContainerCreate(ctx, client.ContainerCreateOptions{Image: image, HostConfig: &container.HostConfig{NetworkMode: "none"}})).ID
	wait := c.ContainerWait(ctx, id, client.ContainerWaitOptions{Condition: container.WaitConditionNextExit})
	start(id)
	check(await(wait) == 0)
	out, _ := streams(must(c.ContainerLogs(ctx, id, client.ContainerLogsOptions{ShowStdout: true})))
	must(c.ContainerRemove(ctx, id, client.ContainerRemoveOptions{Force: true}))
	return out
}

// images: of a container, of a Dockerfile, and of an archive.
func images(id string) {
	made := must(c.ContainerCommit(ctx, id, client.ContainerCommitOptions{Reference: "made:1", Comment: "why", Changes: []string{`CMD ["cat", "/tmp/file"]`}})).ID
	check(run("made:1") == "copied")
	check(must(c.ImageInspect(ctx, "made:1")).ID == made)
	check(must(c.ImageHistory(ctx, made)).Items[0].Comment == "why")

	answer := must(c.ImageBuild(ctx, archive("Dockerfile", "FROM made:1\nARG A\nRUN echo $A >/tmp/arg\nCMD [\"cat\", \"/tmp/file\", \"/tmp/arg\"]\n"),
		client.ImageBuildOptions{Tags: []string{"built"}, Remove: true, NetworkMode: "none", BuildArgs: map[string]*string{"A": new("given")}}))
	check(last(answer.Body) == "Successfully tagged built:latest\n")
	check(run("built") == "copiedgiven\n", run("built"))
	answer = must(c.ImageBuild(ctx, archive("Dockerfile", "FROM made:1\nRUN exit 5\n"), client.ImageBuildOptions{Remove: true, NetworkMode: "none"}))
	check(strings.Contains(last(answer.Body), "5"))

	saved := must(io.ReadAll(must(c.ImageSave(ctx, []string{"built"}))))
	built := must(c.ImageInspect(ctx, "built")).ID
	for _, name := range []string{"built", "made:1"} {
		must(c.ImageRemove(ctx, name, client.ImageRemoveOptions{}))
	}
	_, err := c.ImageInspect(ctx, built)
	check(errdefs.IsNotFound(err), err)
	check(strings.Contains(last(must(c.ImageLoad(ctx, bytes.NewReader(saved)))), "built:latest"))
	must(c.ImageTag(ctx, client.ImageTagOptions{Source: built, Target: "other:2"}))
	list := must(c.ImageList(ctx, client.ImageListOptions{Filters: make(client.Filters).Add("reference", "other")})).Items
	check(len(list) == 1 && list[0].ID == built && slices.Contains(list[0].RepoTags, "other:2"), list)
	for _, name := range []string{"other:2", "built"} {
		must(c.ImageRemove(ctx, name, client.ImageRemoveOptions{}))
	}
}

// last is the last text or error of a stream of messages.
func last(body io.ReadCloser) (text string) {
	defer body.Close()
	for messages := json.NewDecoder(body); ; {
		var message struct{ Stream, Error string }
		if err := messages.Decode(&message); err == io.EOF {
			return text
		} else if must(0, err); message.Stream+message.Error != "" {
			text = message.Stream + message.Error
		}
	}
}

// interfaces are those of a process, as the kernel lists them.
func interfaces(pid int) (names []string) {
	for line := range strings.Lines(proc(pid, "net/dev")) {
		if name, _, ok := strings.Cut(line, ":"); ok {
			names = append(names, strings.TrimSpace(name))
		}
	}
	return names
}

// networks: a container is connected to two, and the kernel shows its interfaces.
func networks(id string) {
	var ids []string
	for _, name := range []string{"front", "back"} {
		ids = append(ids, must(c.NetworkCreate(ctx, name, client.NetworkCreateOptions{Driver: "bridge", Internal: true, Labels: map[string]string{"l": name}})).ID)
	}
	_, err := c.NetworkCreate(ctx, "front", client.NetworkCreateOptions{Driver: "bridge"})
	check(errdefs.IsConflict(err), err)
	shop := must(c.ContainerCreate(ctx, client.ContainerCreateOptions{Name: "shop", Config: &container.Config{Image: "tiny", Cmd: []string{"sleep", "1000"}},
		HostConfig:       &container.HostConfig{NetworkMode: "front"},
		NetworkingConfig: &network.NetworkingConfig{EndpointsConfig: map[string]*network.EndpointSettings{"front": {Aliases: []string{"store"}}}}})).ID
	start(shop)
	check(len(interfaces(pid(shop))) == 2, interfaces(pid(shop)))
	must(c.NetworkConnect(ctx, "back", client.NetworkConnectOptions{Container: shop}))
	check(len(interfaces(pid(shop))) == 3, interfaces(pid(shop)))
	at := must(c.ContainerInspect(ctx, shop, client.ContainerInspectOptions{})).Container.NetworkSettings.Networks
	check(strings.Contains(proc(pid(shop), "net/fib_trie"), at["back"].IPAddress.String()), at["back"])
	check(slices.Contains(at["front"].Aliases, "store"), at["front"])
	check(len(must(c.NetworkInspect(ctx, ids[1], client.NetworkInspectOptions{})).Network.Containers) == 1)
	_, err = c.NetworkRemove(ctx, "back", client.NetworkRemoveOptions{})
	check(err != nil, "a network in use was removed")
	must(c.NetworkDisconnect(ctx, "back", client.NetworkDisconnectOptions{Container: shop}))
	check(len(interfaces(pid(shop))) == 2, interfaces(pid(shop)))
	must(c.ContainerRemove(ctx, shop, client.ContainerRemoveOptions{Force: true}))
	check(len(must(c.NetworkList(ctx, client.NetworkListOptions{Filters: make(client.Filters).Add("label", "l")})).Items) == 2)
	for _, id := range ids {
		must(c.NetworkRemove(ctx, id, client.NetworkRemoveOptions{}))
	}
}

// limits: of the container's own group, which pause freezes.
func limits(id string) {
	limit := int64(50)
	must(c.ContainerUpdate(ctx, id, client.ContainerUpdateOptions{Resources: &container.Resources{PidsLimit: &limit}}))
	var stats container.StatsResponse
	body := must(c.ContainerStats(ctx, id, client.ContainerStatsOptions{})).Body
	must(0, json.NewDecoder(body).Decode(&stats))
	must(0, body.Close())
	check(stats.PidsStats.Limit == 50 && stats.PidsStats.Current == 2 && stats.MemoryStats.Usage > 0, stats.PidsStats)
	must(c.ContainerPause(ctx, id, client.ContainerPauseOptions{}))
	check(must(c.ContainerInspect(ctx, id, client.ContainerInspectOptions{})).Container.State.Paused)
	must(c.ContainerUnpause(ctx, id, client.ContainerUnpauseOptions{}))
}

// life: another name, another process, and an end.
func life(id string) {
	must(c.ContainerRename(ctx, id, client.ContainerRenameOptions{NewName: "market"}))
	before, now := pid("market"), 0
	must(c.ContainerRestart(ctx, id, client.ContainerRestartOptions{Timeout: &now}))
	check(before != pid(id), before)
	must(c.ContainerUpdate(ctx, id, client.ContainerUpdateOptions{RestartPolicy: &container.RestartPolicy{Name: "unless-stopped"}}))
	_, err := c.ContainerRemove(ctx, id, client.ContainerRemoveOptions{})
	check(errdefs.IsConflict(err), err)
	wait := c.ContainerWait(ctx, id, client.ContainerWaitOptions{Condition: container.WaitConditionRemoved})
	must(c.ContainerStop(ctx, id, client.ContainerStopOptions{Timeout: &now}))
	state := must(c.ContainerInspect(ctx, id, client.ContainerInspectOptions{})).Container.State
	check(state.Status == container.StateExited && state.ExitCode == 137, state)
	must(c.ContainerRemove(ctx, id, client.ContainerRemoveOptions{}))
	check(await(wait) == 137)
}

// terminal: a container has one, with the size that the client has set.
func terminal() {
	id := alone("screen", container.Config{Cmd: []string{"sh", "-c", "read line; stty size; tty"}, Tty: true, OpenStdin: true})
	attached := must(c.ContainerAttach(ctx, id, client.ContainerAttachOptions{Stream: true, Stdin: true, Stdout: true}))
	start(id)
	must(c.ContainerResize(ctx, id, client.ContainerResizeOptions{Height: 31, Width: 107}))
	must(attached.Conn.Write([]byte("\n")))
	text := string(must(io.ReadAll(attached.Reader)))
	attached.Close()
	check(strings.Contains(text, "31 107\r\n/dev/pts/0\r\n"), text)
	check(await(c.ContainerWait(ctx, id, client.ContainerWaitOptions{})) == 0)
	must(c.ContainerPrune(ctx, client.ContainerPruneOptions{}))
	check(len(must(c.ContainerList(ctx, client.ContainerListOptions{All: true})).Items) == 0)
}

// volumes outlive a container, and are in use meanwhile.
func volumes() {
	made := must(c.VolumeCreate(ctx, client.VolumeCreateOptions{Name: "data", Labels: map[string]string{"l": "v"}})).Volume
	id := must(c.ContainerCreate(ctx, client.ContainerCreateOptions{Config: &container.Config{Image: "tiny", Cmd: []string{"sh", "-c", "echo kept >/data/file"}},
		HostConfig: &container.HostConfig{NetworkMode: "none", Binds: []string{"data:/data"}}})).ID
	wait := c.ContainerWait(ctx, id, client.ContainerWaitOptions{Condition: container.WaitConditionNextExit})
	start(id)
	check(await(wait) == 0)
	check(string(must(os.ReadFile(made.Mountpoint+"/file"))) == "kept\n")
	_, err := c.VolumeRemove(ctx, "data", client.VolumeRemoveOptions{})
	check(errdefs.IsConflict(err), err)
	must(c.ContainerRemove(ctx, id, client.ContainerRemoveOptions{}))
	check(len(must(c.VolumeList(ctx, client.VolumeListOptions{Filters: make(client.Filters).Add("label", "l=v")})).Items) == 1)
	must(c.VolumeRemove(ctx, "data", client.VolumeRemoveOptions{}))
	must(c.DiskUsage(ctx, client.DiskUsageOptions{Containers: true, Images: true, Volumes: true, BuildCache: true}))
}

// happened: the events of the container that is gone, in order.
func happened(since time.Time) {
	events := c.Events(ctx, client.EventsListOptions{Since: fmt.Sprint(since.Unix()), Until: fmt.Sprint(time.Now().Unix() + 1),
		Filters: make(client.Filters).Add("label", "l=v").Add("type", "container")})
	var actions []string
	for {
		select {
		case event := <-events.Messages:
			actions = append(actions, string(event.Action))
			continue
		case err := <-events.Err:
			check(err == io.EOF, err)
		}
		break
	}
	rest := slices.Clone(actions)
	for _, action := range []string{"create", "start", "rename", "die", "start", "die", "destroy"} {
		at := slices.Index(rest, action)
		check(at >= 0, action, actions)
		rest = rest[at+1:]
	}
}
