package bench

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
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
			return []string{peer.program, peer.option, "run", "-b", bundle, fmt.Sprint("stagebox-bench-", n)}
		}})
	}
	return list, nil
}

// engines are docker and podman with a command line; the root of tiny is imported as their image.
func (b *Bench) engines(ctx context.Context, argv ...string) (list []Entrant, err error) {
	root, err := b.root()
	if err != nil {
		return nil, err
	}
	for _, engine := range []string{"docker", "podman"} {
		if !here(ctx, engine, "version") {
			continue
		}
		if err := shell(ctx, `tar -C "$1" -c . | "$2" import - "$3"`, root, engine, imported); err != nil {
			return nil, err
		}
		list = append(list, Entrant{Label: engine + " " + argv[0], Argv: append([]string{engine}, argv...)})
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

// pull takes an image with the Go distribution's sources from a registry that runs meanwhile.
func (b *Bench) pull(ctx context.Context) ([]Entrant, error) {
	address, err := b.registry(ctx)
	if err != nil {
		return nil, err
	}
	image := address + "/large"
	if err := b.push(ctx, image); err != nil {
		return nil, err
	}
	list := b.boxes("pull", "-q", image)
	for i, e := range list {
		store := filepath.Join(b.Dir, "pulled-"+filepath.Base(e.Argv[0]))
		list[i].Env, list[i].Reset = []string{"BOX_ROOT=" + store}, fresh(ctx, store)
	}
	if here(ctx, "podman", "version") { // a daemon is in another network namespace
		list = append([]Entrant{{Label: "podman pull -q", Argv: []string{"podman", "pull", "-q", "--tls-verify=false", image},
			Reset: func() error { return shell(ctx, `podman rmi "$1" || :; sync`, image) }}}, list...)
	}
	return list, nil
}

// push gives the registry the image that is pulled.
func (b *Bench) push(ctx context.Context, image string) error {
	layer, err := b.large(ctx)
	if err != nil {
		return err
	}
	return shell(ctx, `"$1" --root "$2" import "$3" "$4"; "$1" --root "$2" push -q "$4"`, b.Last, filepath.Join(b.Dir, "box"), layer, image)
}

// registry starts Debian's docker-registry, which ends with the context, and returns its address.
func (b *Bench) registry(ctx context.Context) (string, error) {
	const address = "127.0.0.1:5000" // the network namespace is new
	config := filepath.Join(b.Dir, "registry.yml")
	text := fmt.Sprintf("version: 0.1\nstorage: {filesystem: {rootdirectory: %s/registry}}\nhttp: {addr: '%s'}\n", b.Dir, address)
	if err := os.WriteFile(config, []byte(text), 0o644); err != nil {
		return "", err
	}
	registry := exec.CommandContext(ctx, "docker-registry", "serve", config)
	registry.Env = append(os.Environ(), "OTEL_TRACES_EXPORTER=none")
	if err := registry.Start(); err != nil {
		return "", fmt.Errorf("a registry to pull from: %w (Debian's package docker-registry)", err)
	}
	return address, shell(ctx, `ip link set lo up; until curl -s "$1/v2/"; do sleep 0.1; done`, address)
}
