package bench

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"

	"golang.org/x/sync/errgroup"

	"stagebox/stage03-rootfs/tiny"
)

// Bench is where the rows work, and what they time.
type Bench struct {
	Dir   string // everything that a row makes is below it
	Third string // the box of stage 3, which has a root and no image
	Last  string // that of the last stage
	Base  string // an older one of the last stage, to compare with; "" for none
	Many  int    // so many containers, where there are many: in the list, and at once
}

// Row is a comparison.
type Row struct {
	Name, About string
	Rounds      int
	Entrants    func(b *Bench, ctx context.Context) ([]Entrant, error)
	Peers       string // those that it can have
}

// Rows are all comparisons. Peers that the host lacks are left out.
var Rows = []Row{
	{"start", "a program in a root of its own, without an image", 100, (*Bench).start, "crun runc"},
	{"rootfs", "the same from the last stage, without a network; runtimes get the config.json that docker gives them", 60, (*Bench).rootfs, "crun runc base"},
	{"image", "a program in a container from an image, without a network", 60, (*Bench).image, "docker podman base"},
	{"bridge", "the same with a network", 30, (*Bench).bridge, "docker podman base"},
	{"fifty", "fifty of the row rootfs at once, and fifty from an image", 6, (*Bench).fifty, "crun runc base"},
	{"version", "the shortest command there is", 100, (*Bench).version, "base"},
	{"memory", "peak memory and page faults of a container from an image, without a network", 40, (*Bench).memory, "base"},
	{"layers", "a container on 1 layer, and on 120", 40, (*Bench).layers, ""},
	{"load", "an image with one large layer, from an archive", 4, (*Bench).load, "base"},
	{"pull", "an image with one large layer, from a registry on this machine", 6, (*Bench).pull, "docker podman base"},
	{"lists", "ps -a of 2,000 containers", 20, (*Bench).lists, "base"},
	{"images", "images, of which there are 500", 20, (*Bench).images, "base"},
	{"cached", "a build of 20 instructions of which nothing changed", 20, (*Bench).cached, "docker podman buildctl base"},
	{"cold", "a build of ten RUN instructions without the cache", 10, (*Bench).cold, "docker podman buildctl base"},
	{"copied", "a build that copies 10,000 files and one of 512 MiB, of which nothing changed", 10, (*Bench).copied, "docker podman buildctl base"},
	{"bundle", "the bundle that runc spec writes, with cgroups; crun needs a host without hybrid ones", 60, (*Bench).runtimes, "crun runc"},
}

// Versions are those of the peers that the host has, a line each.
func Versions(ctx context.Context) (lines []string) {
	for _, argv := range [][]string{{"crun", "--version"}, {"runc", "--version"}, {"docker", "version", "--format", "docker {{.Server.Version}}"},
		{"podman", "--version"}, {"buildah", "--version"},
		{"buildctl", "--version"}, {"tar", "--version"}} {
		if out, err := exec.CommandContext(ctx, argv[0], argv[1:]...).Output(); err == nil {
			first, _, _ := strings.Cut(string(out), "\n")
			lines = append(lines, first)
		}
	}
	return lines
}

// boxes are the last stage's boxes with a command, the older one first: ratios are to it.
func (b *Bench) boxes(argv ...string) (list []Entrant) {
	for _, one := range []struct{ label, binary, store string }{{"the older box", b.Base, "base"}, {"box", b.Last, "box"}} {
		if one.binary != "" {
			list = append(list, Entrant{Label: one.label + " " + strings.Join(argv, " "), Argv: append([]string{one.binary}, argv...),
				Env: []string{"BOX_ROOT=" + filepath.Join(b.Dir, one.store)}})
		}
	}
	return list
}

// each does something with each of the last stage's boxes, untimed. An older one may fail for a box
// that another user runs: it lost its new cgroup to the cleaning of others.
func (b *Bench) each(ctx context.Context, argv ...string) error {
	for _, e := range b.boxes(argv...) {
		if err := e.prepare(ctx); err != nil {
			return err
		}
	}
	return nil
}

// prepare runs an entrant until it succeeds, in five attempts.
func (e Entrant) prepare(ctx context.Context) error {
	var o outcome
	for range 5 {
		if o = once(ctx, e.Argv, e.Env); !o.failed || ctx.Err() != nil {
			break
		}
	}
	if o.failed {
		return fmt.Errorf("%s: %s", e.Label, o.said)
	}
	return nil
}

// root makes a root filesystem, once.
func (b *Bench) root() (string, error) {
	dir := filepath.Join(b.Dir, "root")
	if _, err := os.Stat(dir); err == nil {
		return dir, nil
	}
	_, err := tiny.Make(dir)
	return dir, err
}

func (b *Bench) start(ctx context.Context) ([]Entrant, error) {
	root, err := b.root()
	if err != nil {
		return nil, err
	}
	list, err := b.runners(ctx, root)
	if err != nil {
		return nil, err
	}
	return append(list,
		Entrant{Label: "unshare and chroot", Argv: []string{"unshare", "-mpinuf", "--mount-proc=" + root + "/proc", "chroot", root, "/bin/true"}},
		Entrant{Label: "box run --rootfs, stage 3", Argv: []string{b.Third, "run", "--rootfs", root, "/bin/true"}}), nil
}

// runtimes take the same bundle: that of the first of them that the host has and that writes one.
func (b *Bench) runtimes(ctx context.Context) (list []Entrant, err error) {
	root, err := b.root()
	if err != nil {
		return nil, err
	}
	bundle := ""
	for _, peer := range []string{"runc", "crun"} {
		if _, err := exec.LookPath(peer); err != nil {
			continue
		}
		if bundle == "" {
			if bundle, err = b.bundle(ctx, peer, root); err != nil {
				return nil, err
			}
		}
		list = append(list, Entrant{Label: peer + " run", Argv: b.runtime(peer, "run", "-b", bundle, "stagebox-bench-"+peer)})
	}
	if bundle == "" {
		return nil, errors.New("neither runc nor crun is here to write a bundle")
	}
	return append(list, Entrant{Label: "box runtime run", Argv: []string{b.Last, "runtime", "run", "-b", bundle, "stagebox-bench-box"}}), nil
}

// bundle makes what an OCI runtime takes: the config.json that it proposes itself, for true.
func (b *Bench) bundle(ctx context.Context, program, root string) (string, error) {
	dir := filepath.Join(b.Dir, "bundle-"+program)
	if _, err := os.Stat(dir); err == nil { // another row has made it
		return dir, nil
	}
	if err := os.Mkdir(dir, 0o755); err != nil {
		return "", err
	}
	spec := exec.CommandContext(ctx, program, "spec")
	if spec.Dir = dir; spec.Run() != nil {
		return "", fmt.Errorf("%s spec failed in %s", program, dir)
	}
	name := filepath.Join(dir, "config.json")
	text, err := os.ReadFile(name)
	if err != nil {
		return "", err
	}
	var config map[string]any
	if err := json.Unmarshal(text, &config); err != nil {
		return "", fmt.Errorf("%s: %w", name, err)
	}
	process, ok := config["process"].(map[string]any)
	if !ok {
		return "", fmt.Errorf("%s: no process", name)
	}
	process["args"], process["terminal"] = []string{"/bin/true"}, false
	delete(process, "rlimits") // raising them takes CAP_SYS_RESOURCE
	config["root"] = map[string]any{"path": root}
	if text, err = json.Marshal(config); err != nil {
		return "", err
	}
	return dir, os.WriteFile(name, text, 0o644)
}

func (b *Bench) image(ctx context.Context) ([]Entrant, error) {
	if err := b.each(ctx, "run", "--rm", "--network", "none", "tiny", "true"); err != nil {
		return nil, err
	}
	engines, err := b.engines(ctx, "run", "--rm", "--network", "none", imported, "true")
	return append(engines, b.boxes("run", "--rm", "--network", "none", "tiny", "true")...), err
}

func (b *Bench) bridge(ctx context.Context) ([]Entrant, error) {
	if os.Geteuid() != 0 {
		return nil, errors.New("a bridge takes root")
	}
	engines, err := b.engines(ctx, "run", "--rm", imported, "true")
	return append(engines, b.boxes("run", "--rm", "tiny", "true")...), err
}

// rootfs has the same isolation on all sides: the runtimes get the bundle that docker would hand
// them.
func (b *Bench) rootfs(ctx context.Context) ([]Entrant, error) {
	root, err := b.root()
	if err != nil {
		return nil, err
	}
	list, err := b.dockerRunners(ctx, root, 1)
	return append(list, b.onRoot(root)...), err
}

// onRoot are the boxes with true in a directory.
func (b *Bench) onRoot(root string) []Entrant {
	list := b.boxes("run", "--rootfs", root, "--network", "none", "/bin/true")
	for i := range list {
		list[i].Label = strings.Replace(list[i].Label, root, "DIR", 1)
	}
	return list
}

func (b *Bench) fifty(ctx context.Context) ([]Entrant, error) {
	root, err := b.root()
	if err != nil {
		return nil, err
	}
	n := b.many(50)
	list, err := b.dockerRunners(ctx, root, n)
	list = append(list, b.onRoot(root)...)
	list = append(list, b.boxes("run", "--rm", "--network", "none", "tiny", "true")...)
	for i := range list {
		list[i].Many = n
	}
	return list, errors.Join(err, b.each(ctx, "run", "--rm", "--network", "none", "tiny", "true"))
}

// many is how many of something a row has.
func (b *Bench) many(n int) int { return cmp.Or(b.Many, n) }

func (b *Bench) memory(ctx context.Context) ([]Entrant, error) {
	list := b.boxes("run", "--rm", "--network", "none", "tiny", "true")
	for i := range list {
		list[i].Peak = true
	}
	return list, b.each(ctx, "run", "--rm", "--network", "none", "tiny", "true")
}

func (b *Bench) version(context.Context) ([]Entrant, error) { return b.boxes("version"), nil }

func (b *Bench) layers(context.Context) ([]Entrant, error) {
	root, err := b.root()
	if err != nil {
		return nil, err
	}
	var list []Entrant
	for _, n := range []int{1, 120} {
		argv := []string{b.Last, "run", "--rm", "--network", "none", "--layer", root}
		for i := 1; i < n; i++ {
			dir := filepath.Join(b.Dir, "layers", fmt.Sprint(i))
			if err := os.MkdirAll(dir, 0o755); err != nil {
				return nil, err
			}
			argv = append(argv, "--layer", dir)
		}
		list = append(list, Entrant{Label: fmt.Sprintf("box run, %d layers", n), Argv: append(argv, "/bin/true"),
			Env: []string{"BOX_ROOT=" + filepath.Join(b.Dir, "box")}})
	}
	return list, nil
}

// load takes the Go distribution's sources as a layer. The files have to reach the disk
// before the next one begins. Nothing is removed meanwhile, each run has a place of its own: ext4
// looks at all inodes that were deleted in the last minutes before it gives out a new one, and that
// takes longer than all else.
func (b *Bench) load(ctx context.Context) ([]Entrant, error) {
	archive := filepath.Join(b.Dir, "large-image.tar")
	layer, err := b.large(ctx)
	if err != nil {
		return nil, err
	}
	if err := b.each(ctx, "import", layer, "large"); err != nil {
		return nil, err
	}
	if err := b.each(ctx, "save", "-o", archive, "large"); err != nil {
		return nil, err
	}
	out := filepath.Join(b.Dir, "unpacked")
	list := []Entrant{{Label: "tar -xf of the layer", Argv: []string{"tar", "-C", out, "-xf", layer}, Reset: fresh(ctx, out)}}
	for _, e := range b.boxes("load", "-q", "-i", archive) {
		store := out + filepath.Base(e.Argv[0])
		e.Env, e.Reset = []string{"BOX_ROOT=" + store}, fresh(ctx, store)
		list = append(list, e)
	}
	return list, nil
}

// large is an archive of the Go distribution's sources.
func (b *Bench) large(ctx context.Context) (string, error) {
	goroot, err := exec.CommandContext(ctx, "go", "env", "GOROOT").Output()
	if err != nil {
		return "", fmt.Errorf("go env GOROOT: %w", err)
	}
	layer := filepath.Join(b.Dir, "large.tar")
	// An empty file with the name of this run: else an engine might have the layer from an earlier one.
	return layer, shell(ctx, `cd "$3"; f=$(basename "$3"); : >"$f"; tar -cf "$2" "$f" -C "$1" src`,
		strings.TrimSpace(string(goroot)), layer, b.Dir)
}

// fresh returns what makes an empty directory, and keeps what was there under another name.
func fresh(ctx context.Context, dir string) func() error {
	used := 0
	return func() error {
		used++
		err := os.Rename(dir, fmt.Sprint(dir, "-", used))
		if errors.Is(err, os.ErrNotExist) {
			err = nil
		}
		return errors.Join(err, os.Mkdir(dir, 0o755), exec.CommandContext(ctx, "sync").Run())
	}
}

func (b *Bench) lists(ctx context.Context) ([]Entrant, error) {
	if err := b.each(ctx, "run", "--rm", "--network", "none", "tiny", "true"); err != nil {
		return nil, err
	}
	for _, e := range b.boxes("run", "--network", "none", "tiny", "true") {
		var all errgroup.Group
		if all.SetLimit(runtime.NumCPU()); e.Argv[0] == b.Base {
			all.SetLimit(1) // old ones take each other's new cgroups away
		}
		for range b.many(2000) {
			all.Go(func() error { return e.prepare(ctx) })
		}
		if err := all.Wait(); err != nil {
			return nil, err
		}
	}
	return b.boxes("ps", "-a"), nil
}

func (b *Bench) images(ctx context.Context) ([]Entrant, error) {
	if err := b.each(ctx, "run", "--rm", "--network", "none", "tiny", "true"); err != nil {
		return nil, err
	}
	for i := range b.many(500) {
		if err := b.each(ctx, "tag", "tiny", fmt.Sprint("bench:", i)); err != nil {
			return nil, err
		}
	}
	return b.boxes("images"), nil
}

func (b *Bench) cached(ctx context.Context) ([]Entrant, error) {
	var text bytes.Buffer
	fmt.Fprintln(&text, "FROM tiny")
	for i := range 5 {
		fmt.Fprintf(&text, "ENV A%[1]d=%[1]d\nWORKDIR /w%[1]d\nCOPY f /w%[1]d/\nRUN echo %[1]d >/r%[1]d\n", i)
	}
	dir, err := b.context("cached", text.Bytes())
	if err != nil {
		return nil, err
	}
	return b.builders(ctx, dir)
}

func (b *Bench) cold(ctx context.Context) ([]Entrant, error) {
	var text bytes.Buffer
	fmt.Fprintln(&text, "FROM tiny")
	for i := range 10 {
		fmt.Fprintf(&text, "RUN echo %[1]d >/f%[1]d\n", i)
	}
	dir, err := b.context("cold", text.Bytes())
	if err != nil {
		return nil, err
	}
	return b.builders(ctx, dir, "--no-cache")
}

// copied is what a build copies: many small files, and a large one of random bytes.
func (b *Bench) copied(ctx context.Context) ([]Entrant, error) {
	dir, err := b.context("copied", []byte("FROM tiny\nCOPY . /copied\n"))
	if err != nil {
		return nil, err
	}
	files := exec.CommandContext(ctx, "sh", "-c", `cd "$0"; seq 10000 | xargs touch; head -c 512M /dev/urandom >large`, dir)
	if out, err := files.CombinedOutput(); err != nil {
		return nil, fmt.Errorf("files to copy: %w: %s", err, out)
	}
	return b.builders(ctx, dir)
}

// context makes a build context with a Dockerfile, and one from the image that docker has.
func (b *Bench) context(name string, dockerfile []byte) (string, error) {
	dir := filepath.Join(b.Dir, name)
	return dir, errors.Join(os.MkdirAll(dir, 0o755), os.WriteFile(dir+"/f", []byte("f\n"), 0o644),
		os.WriteFile(dir+"/Dockerfile", dockerfile, 0o644),
		os.WriteFile(dir+"/Dockerfile.imported", bytes.Replace(dockerfile, []byte("FROM tiny"), []byte("FROM "+imported), 1), 0o644))
}
