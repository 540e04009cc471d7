package bench

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
)

// imported is the name under which other engines have the root of tiny.
const imported = "localhost/stagebox-bench"

// here reports whether a peer can be asked: it is installed, and its daemon answers.
func here(ctx context.Context, argv ...string) bool {
	return exec.CommandContext(ctx, argv[0], argv[1:]...).Run() == nil
}

// shell runs a script, untimed.
func shell(ctx context.Context, script string, args ...string) error {
	if out, err := exec.CommandContext(ctx, "sh", append([]string{"-euc", script, "sh"}, args...)...).CombinedOutput(); err != nil {
		return fmt.Errorf("%s: %w: %s", script, err, lastLine(string(out)))
	}
	return nil
}

// label is on every image that a peer gets, and on those that it builds of them.
const label = "stagebox-bench"

// Borrow gives podman a store of its own below b.Dir. It returns what removes the images of the
// benchmark from docker's, whose daemon has only one; its build cache stays.
func (b *Bench) Borrow(ctx context.Context) (giveBack func() error, err error) {
	conf := filepath.Join(b.Dir, "storage.conf")
	text := fmt.Sprintf("[storage]\ndriver = \"overlay\"\ngraphroot = %q\nrunroot = %q\n", b.Dir+"/podman", b.Dir+"/podman-run")
	if err = os.WriteFile(conf, []byte(text), 0o644); err == nil {
		err = os.Setenv("CONTAINERS_STORAGE_CONF", conf)
	}
	ctx = context.WithoutCancel(ctx) // an interrupted run leaves nothing either
	return func() error {
		if !here(ctx, "docker", "version") {
			return nil
		}
		return shell(ctx, `docker images -aq --filter "label=$1" | sort -u | xargs -r docker rmi -f`, label)
	}, err
}

// runners are the OCI runtimes, each with the bundle that it proposes itself.
func (b *Bench) runners(ctx context.Context, root string) (list []Entrant, err error) {
	for _, peer := range []struct{ program, label, option string }{
		{"crun", "crun, without cgroups", "--cgroup-manager=disabled"}, {"runc", "runc", "--debug=false"}} {
		if _, err := exec.LookPath(peer.program); err != nil {
			continue
		}
		bundle, err := b.bundle(ctx, peer.program, root)
		if err != nil {
			return nil, err
		}
		list = append(list, Entrant{Label: peer.label, Each: func(n int) []string {
			return b.runtime(peer.program, peer.option, "run", "-b", bundle, fmt.Sprint("stagebox-bench-", n))
		}})
	}
	return list, nil
}

// runtime is a command line of an OCI runtime that keeps its state beside all else of the benchmark:
// its own place is root's, and another benchmark may be using the same ids there.
func (b *Bench) runtime(program string, args ...string) []string {
	return append([]string{program, "--root", filepath.Join(b.Dir, "state-"+program)}, args...)
}

// engines are docker and podman with a command line; the root of tiny is imported as their image.
func (b *Bench) engines(ctx context.Context, argv ...string) (list []Entrant, err error) {
	root, err := b.root()
	if err != nil {
		return nil, err
	}
	// Podman's own limits are above those that root has without CAP_SYS_RESOURCE.
	conf := filepath.Join(b.Dir, "containers.conf")
	limits := "[containers]\ndefault_ulimits = [\"nofile=1024:1024\", \"nproc=1024:1024\"]\n"
	if err := os.WriteFile(conf, []byte(limits), 0o644); err != nil {
		return nil, err
	}
	for _, engine := range []string{"docker", "podman"} {
		if !here(ctx, engine, "version") {
			continue
		}
		if err := shell(ctx, `tar -C "$1" -c . | "$2" import -c "LABEL $4=1" - "$3"`, root, engine, imported, label); err != nil {
			return nil, err
		}
		list = append(list, Entrant{Label: engine + " " + argv[0], Argv: append([]string{engine}, argv...), Env: []string{"CONTAINERS_CONF=" + conf}})
	}
	return list, nil
}

// builders build a context: docker, podman and buildctl where they are, and the boxes. Run's first
// round, which does not count, fills their caches.
func (b *Bench) builders(ctx context.Context, dir string, flags ...string) ([]Entrant, error) {
	build := append([]string{"build", "-q", "--network", "none"}, flags...)
	list, err := b.engines(ctx, append(slices.Clone(build), "-f", dir+"/Dockerfile.imported", dir)...)
	if err == nil {
		err = b.each(ctx, append(build, dir)...)
	}
	if err != nil {
		return nil, err
	}
	if here(ctx, "buildctl", "debug", "workers") {
		one, err := b.buildctl(ctx, dir, flags)
		if err != nil {
			return nil, err
		}
		list = append(list, one)
	}
	boxes := b.boxes(append(build, dir)...)
	for i := range boxes {
		boxes[i].Label = strings.TrimSuffix(boxes[i].Label, " "+dir)
	}
	return append(list, boxes...), nil
}

// buildctl is BuildKit's command. It exports no image; tiny comes from the store of box, which is
// an OCI image layout.
func (b *Bench) buildctl(ctx context.Context, dir string, flags []string) (Entrant, error) {
	images := filepath.Join(b.Dir, "box", "images")
	text, err := os.ReadFile(filepath.Join(images, "index.json"))
	if err != nil {
		return Entrant{}, err
	}
	var index struct {
		Manifests []struct {
			Digest      string
			Annotations map[string]string
		}
	}
	if err := json.Unmarshal(text, &index); err != nil {
		return Entrant{}, fmt.Errorf("%s/index.json: %w", images, err)
	}
	argv := append([]string{"buildctl", "build", "--progress=plain", "--frontend=dockerfile.v0", "--local=context=" + dir, "--local=dockerfile=" + dir,
		"--opt=force-network-mode=none", "--oci-layout=box=" + images}, flags...)
	for _, m := range index.Manifests {
		if strings.Contains(m.Annotations["org.opencontainers.image.ref.name"], "tiny") {
			argv = append(argv, "--opt=context:tiny=oci-layout://box@"+m.Digest)
		}
	}
	return Entrant{Label: "buildctl build " + strings.Join(flags, " "), Argv: argv}, nil
}

// pull takes an image with the Go distribution's sources from a registry that runs meanwhile: where
// docker's daemon finds it, if there is one.
func (b *Bench) pull(ctx context.Context) (list []Entrant, err error) {
	var in []string // what a command line begins with
	withDocker := false
	if here(ctx, "docker", "version") {
		if ns, err := dockerNet(ctx); err == nil {
			withDocker, in = true, []string{"nsenter", "--net=" + ns}
		}
	}
	address, err := b.registry(ctx, in)
	if err != nil {
		return nil, err
	}
	image := address + "/large"
	if err := b.push(ctx, in, image); err != nil {
		return nil, err
	}
	for _, engine := range []struct {
		name string
		is   bool
		argv []string
	}{{"docker", withDocker, nil}, {"podman", here(ctx, "podman", "version"), []string{"--tls-verify=false"}}} {
		if engine.is {
			list = append(list, Entrant{Label: engine.name + " pull -q", Argv: slices.Concat(in, []string{engine.name, "pull", "-q"}, engine.argv, []string{image}),
				Reset: func() error { return shell(ctx, `"$1" rmi -f "$2" || :; sync`, engine.name, image) }})
		}
	}
	for _, e := range b.boxes("pull", "-q", image) {
		store := filepath.Join(b.Dir, "pulled-"+filepath.Base(e.Argv[0]))
		e.Argv, e.Env, e.Reset = slices.Concat(in, e.Argv), []string{"BOX_ROOT=" + store}, fresh(ctx, store)
		list = append(list, e)
	}
	return list, nil
}

// push gives the registry the image that is pulled.
func (b *Bench) push(ctx context.Context, in []string, image string) error {
	layer, err := b.large(ctx)
	if err != nil {
		return err
	}
	return shell(ctx, `export BOX_ROOT=$1; box=$2 layer=$3 image=$4 label=$5; shift 5; "$box" import --change "LABEL $label=1" "$layer" "$image"; "$@" "$box" push -q "$image"`,
		append([]string{filepath.Join(b.Dir, "box"), b.Last, layer, image, label}, in...)...)
}

// listens is how docker-registry says at which port it is.
var listens = regexp.MustCompile(`listening on (127\.0\.0\.1:\d+)`)

// registry starts Debian's docker-registry at a free port, which ends with the context, and returns
// its address.
func (b *Bench) registry(ctx context.Context, in []string) (string, error) {
	config := filepath.Join(b.Dir, "registry.yml")
	text := fmt.Sprintf("version: 0.1\nstorage: {filesystem: {rootdirectory: %s/registry}}\nhttp: {addr: '127.0.0.1:0'}\n", b.Dir)
	if err := os.WriteFile(config, []byte(text), 0o644); err != nil {
		return "", err
	}
	if len(in) == 0 && os.Geteuid() == 0 { // the network namespace is new, and ours
		if err := shell(ctx, "ip link set lo up"); err != nil {
			return "", err
		}
	}
	argv := slices.Concat(in, []string{"docker-registry", "serve", config})
	registry := exec.CommandContext(ctx, argv[0], argv[1:]...)
	registry.Env = append(os.Environ(), "OTEL_TRACES_EXPORTER=none")
	log, err := registry.StderrPipe()
	if err == nil {
		err = registry.Start()
	}
	if err != nil {
		return "", fmt.Errorf("a registry to pull from: %w (Debian's package docker-registry)", err)
	}
	lines := bufio.NewScanner(log)
	for lines.Scan() {
		if found := listens.FindStringSubmatch(lines.Text()); found != nil {
			go io.Copy(io.Discard, log)
			return found[1], nil
		}
	}
	return "", errors.New("docker-registry ended before it listened")
}

// advice says how each peer comes to be timed, and asks it for something that it does when it is here.
var advice = map[string]struct {
	ask []string
	how string
}{
	"crun":     {[]string{"crun", "--version"}, "crun: install it"},
	"runc":     {[]string{"runc", "--version"}, "runc: install it"},
	"podman":   {[]string{"podman", "version"}, "podman: install it"},
	"docker":   {[]string{"docker", "version"}, "docker: start dockerd, and name its socket in DOCKER_HOST"},
	"buildctl": {[]string{"buildctl", "debug", "workers"}, "buildctl: start buildkitd, and name its socket in BUILDKIT_HOST"},
}

// Missing says which peers a row could have besides, and how.
func (b *Bench) Missing(ctx context.Context, row Row) (list []string) {
	for _, peer := range strings.Fields(row.Peers) {
		switch {
		case peer == "base" && b.Base == "":
			list = append(list, "an older box: --base COMMIT")
		case peer != "base" && !here(ctx, advice[peer].ask...):
			list = append(list, advice[peer].how)
		case peer == "docker" && row.Name == "pull":
			if _, err := dockerNet(ctx); err != nil {
				list = append(list, err.Error())
			}
		}
	}
	return list
}
