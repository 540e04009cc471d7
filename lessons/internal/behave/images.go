package behave

import (
	"archive/tar"
	"bytes"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
)

// The rows about images. The store and archives are read by these checks
// themselves, as the OCI's formats have it.

func init() { table = append(table, imageRows...) }

var imageRows = []Row{{
	Name: "a word is an image and never a program of the host; a path is one", Since: 5,
	Check: func(b *Box) Seen {
		file := filepath.Join(b.Dir, "file")
		e := b.Run("run", "--pull", "never", "touch", file)
		return all(refused(e), holds(strings.Contains(e.Stderr, "/touch\n"), "the program's path", e.Stderr), same("no file", contentOrNone(file)),
			status(0, b.Run("run", "/bin/touch", file)), same("", contentOrNone(file)))
	},
	Broken: `[ "$2" = --pull ] && { shift 3; exec "$BOX" run "/bin/$@"; }; exec "$BOX" "$@"`,
}, {
	Name: "a damaged index.json is an error that names it, and nothing is run", Since: 5,
	Check:  damagedIndex,
	Broken: `[ "$2" = touch ] && { shift; exec "$BOX" run "/bin/$@"; }; exec "$BOX" "$@"`,
}, {
	Name: "a stop signal that there is not is refused, for an image and for a root", Since: 5,
	Check: func(b *Box) Seen {
		return all(refused(b.Run("run", "--rm", "--stop-signal", "NONSENSE", "tiny", "true")), refused(b.script("true", "--stop-signal", "NONSENSE")))
	},
	Broken: `for a; do shift; [ "$a" = NONSENSE ] && a=INT; set -- "$@" "$a"; done; exec "$BOX" "$@"`,
}, {
	Name: "a flag for an image is refused by its name where there is none", Since: 5,
	Check: func(b *Box) Seen {
		var seen []Seen
		for _, flag := range []string{"--entrypoint=x", "--pull=missing", "--platform=linux/arm64", "--insecure", "--quiet"} {
			name, _, _ := strings.Cut(flag, "=")
			host, root := b.Run("run", flag, "/bin/true"), b.script("true", flag)
			seen = append(seen, refused(host), refused(root), holds(strings.Contains(host.Stderr, name+" is for an image"), name, host.Stderr))
		}
		return all(seen...)
	},
	Broken: `for a; do shift; case $a in --entrypoint=*|--pull=*|--platform=*|--insecure|--quiet) ;; *) set -- "$@" "$a";; esac; done; exec "$BOX" "$@"`,
}, {
	Name: "tiny is an image that needs no registry", Since: 5, Fresh: true,
	Check: func(b *Box) Seen {
		return printed("tiny", b.Run("run", "--rm", "tiny", "sh", "-c", ". /etc/os-release; echo $NAME"))
	},
	Broken: `[ "$1" = run ] && { shift 3; exec "$@"; }; exec "$BOX" "$@"`,
}, {
	Name: "without -i, run and exec of an image have an empty standard input", Since: 5,
	Check:  emptyInput,
	Broken: addFlags("-i"),
}, {
	Name: "the store is an OCI layout: everything has the name of its digest", Since: 5, Fresh: true,
	Check:  layout,
	Broken: `"$BOX" "$@"; status=$?; for blob in "$BOX_ROOT"/images/blobs/sha256/*; do echo >>"$blob"; done; exit $status`,
}, {
	Name: "an image's words are the command: ENTRYPOINT, CMD, ENV, WORKDIR and USER", Since: 6,
	Check:  configured,
	Broken: `[ "$1" = commit ] && { shift 9; set -- commit -c CMD\ true "$@"; }; exec "$BOX" "$@"`,
}, {
	Name: "commit makes an image of one layer more, with whiteouts", Since: 5,
	Check:  committed,
	Broken: `[ "$1 $4" = "run tiny" ] && { "$BOX" run --name "$3" tiny true; exit; }; exec "$BOX" "$@"`,
}, {
	Name: "commit without a name makes an image that has an id alone, which is printed", Since: 5,
	Check: func(b *Box) Seen {
		run, made := b.Run("run", "--name", "changed", "tiny", "sh", "-c", "echo x >/file"), b.Run("commit", "changed")
		id := strings.TrimPrefix(made.Line(), "sha256:")
		listed, shown := b.Run("images", "--no-trunc"), b.Run("inspect", "-f", "{{.Id}} {{len .RepoTags}}", id)
		pruned := b.Run("image", "prune", "-f")
		return all(status(0, run), status(0, made), holds(strings.Contains(listed.Stdout, id) && strings.Contains(listed.Stdout, "<none>"), id+" beside <none>", listed.Stdout),
			printed("sha256:"+id+" 0", shown), status(0, pruned), refused(b.Run("history", id)))
	},
	Broken: `[ "$1 $2" = "commit changed" ] && set -- commit changed named; exec "$BOX" "$@"`,
}, {
	Name: "commit keeps how the container ran: command, entrypoint, variables, directory", Since: 5,
	Check:  keptOptions,
	Broken: `[ "$1 $3" = "run kept" ] && { "$BOX" run --name kept tiny true; echo word /tmp; exit; }; exec "$BOX" "$@"`,
}, {
	Name: "save and load bring the same image, to the byte", Since: 5,
	Check:  savedAndLoaded,
	Broken: `[ "$1" = load ] && exit; exec "$BOX" "$@"`,
}, {
	Name: "load takes an archive of Docker's from a pipe, and refuses one whose layers are not what it says", Since: 5,
	Check:  loadedFromDocker,
	Broken: `[ "$1" = load ] && { cat >/dev/null; echo "Loaded image: x"; exit; }; exec "$BOX" "$@"`,
}, {
	Name: "rmi removes what no image and no container needs", Since: 5,
	Check:  removed,
	Broken: `[ "$1" = rmi ] && exit; exec "$BOX" "$@"`,
}, {
	Name: "inspect has a container's image, and an image, where Docker has them", Since: 5,
	Check: func(b *Box) Seen {
		run := b.Run("run", "--name", "kept", "tiny", "sh", "-c", "exit 3")
		id := b.Run("image", "inspect", "-f", "{{.Id}}", "tiny").Line()
		container := `{{.Config.Image}} {{.Image}} {{.Path}} {{.Args}} {{json .Config.Cmd}} {{json .Config.Entrypoint}} {{.State.ExitCode}} {{index .Config.Env 0}}`
		image := `{{index .RepoTags 0}} {{.Os}} {{json .Config.Cmd}} {{range .Config.Env}}{{println .}}{{end}}{{.RootFS.Type}} {{len .RootFS.Layers}} {{json .Config.Labels}} {{gt .Size 0}}`
		wrong := b.Run("inspect", "--type", "image", "-f", "{{.Os}}", "kept", "tiny")
		return all(status(3, run), begins("sha256:", id),
			printed(`tiny `+id+` sh [-c exit 3] ["sh","-c","exit 3"] null 3 PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin`, b.Run("inspect", "-f", container, "kept")),
			printed("tiny:latest linux [\"sh\"] PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin\nlayers 1 null true", b.Run("inspect", "-f", image, "tiny")),
			same("linux\n", wrong.Stdout), status(1, wrong))
	},
	Broken: `case "$*" in *--type*) shift; set -- image inspect "$@" ;; *inspect*) echo; exit ;; esac; exec "$BOX" "$@"`,
}, {
	Name: "--mount type=image: the files of an image, for reading only", Since: 5,
	Check: func(b *Box) Seen {
		e := b.Run("run", "--rm", "--mount", "type=image,src=tiny,dst=/img", "tiny", "sh", "-c", "test -x /img/bin/sh && echo seen; touch /img/x 2>/dev/null || echo read-only; pwd; ls -d /img/img 2>/dev/null")
		return all(printed("seen\nread-only\n/", e.asSuccess()), refused(b.Run("run", "--rm", "--mount", "type=image,src=stagebox-none,dst=/img", "tiny", "true")))
	},
	Broken: drop("--mount | type=image*"),
}, {
	Name: "bundle writes what run makes of an image, for an OCI runtime", Since: 5,
	Check:  bundled,
	Broken: `"$BOX" "$@"; status=$?; [ "$1" = bundle ] && [ $status = 0 ] && sed -i /CAP_NET_RAW/d "$3/config.json"; exit $status`,
}, {
	Name: "bad names of images are refused with a sentence", Since: 5,
	Check: func(b *Box) Seen {
		var parts []Seen
		for _, name := range []string{"Tiny", "tiny:", "https://host/a", "../x", "tiny@sha256:12", "a//b"} {
			parts = append(parts, refused(b.Run("tag", "tiny", name)), refused(b.Run("pull", name)))
		}
		return all(append(parts, refused(b.Run("push", "tiny")), refused(b.Run("run", "--pull", "never", "stagebox-none:1")))...)
	},
	Broken: one,
}}

// bundled compares a container of a bundle with one of box run. Its own addresses are left out: an OCI
// runtime gives it none.
func bundled(b *Box) Seen {
	script := "hostname; id; pwd; echo $HOME $HOSTNAME; umask; head -n 2 /etc/hosts; grep -E '^(Cap|Seccomp:)' /proc/self/status; cut -d' ' -f2 /proc/self/mounts | sort"
	dir, kept := filepath.Join(b.Dir, "bundle"), filepath.Join(b.Dir, "kept")
	runtime := func(name string) Ended {
		id := filepath.Base(b.Dir) + name
		return b.Run("runtime", "--root", filepath.Join(b.Dir, "states"), "run", "--bundle", dir, id)
	}
	if err := os.WriteFile(kept, nil, 0o644); err != nil {
		return failed(err)
	}
	run, made := b.Run("run", "--rm", "tiny", "sh", "-c", script), b.Run("bundle", "tiny", dir, "sh", "-c", script)
	return all(status(0, run), status(0, made), same(run.Stdout, runtime("one").Stdout),
		refused(b.Run("bundle", "tiny", dir)), refused(b.Run("bundle", "tiny", kept)), refused(b.Run("bundle", "Tiny", dir+"-new")),
		same("no file", contentOrNone(dir+"-new/config.json")))
}

// emptyInput has a loop read lines beside its containers: each would take all of them.
func emptyInput(b *Box) Seen {
	loop := func(command string) Ended {
		return b.prepare("sh", "-c", `printf '1\n2\n' | while read line; do "$0" `+command+` cat; echo $line; done`, b.path).toItsEnd()
	}
	up := b.Run("run", "-d", "--name", "up", "tiny", "sleep", "1000")
	return all(printed("1\n2", loop("run --rm tiny")), status(0, up), printed("1\n2", loop("exec up")),
		printed("in", b.Feed("in", "run", "--rm", "-i", "tiny", "cat")), printed("in", b.Feed("in", "exec", "-i", "up", "cat")),
		printed("in", b.Feed("in", "run", "/bin/cat")), status(0, b.Run("rm", "-f", "up")))
}

func damagedIndex(b *Box) Seen {
	parts := []Seen{status(0, b.Run("run", "--rm", "tiny", "true"))}
	index, file := b.images("index.json"), filepath.Join(b.Dir, "file")
	whole := contentOf(index)
	for _, damaged := range []string{strings.Replace(whole, "{", "[", 1), whole[:len(whole)/2], "", `{"manifests":7}`} {
		if err := os.WriteFile(index, []byte(damaged), 0o644); err != nil {
			return failed(err)
		}
		for _, image := range []string{"touch", "tiny"} { // the first is a program of the host, too
			e := b.Run("run", image, file)
			parts = append(parts, refused(e), holds(strings.Contains(e.Stderr, index), index, e.Stderr), same("no file", contentOrNone(file)))
		}
	}
	return all(parts...)
}

// contentOrNone is a file's content, or "no file".
func contentOrNone(path string) string {
	if _, err := os.Lstat(path); errors.Is(err, os.ErrNotExist) {
		return "no file"
	}
	return contentOf(path)
}

// images is a directory of the store that holds images.
func (b *Box) images(names ...string) string {
	return filepath.Join(append([]string{b.store(), "images"}, names...)...)
}

// theIndex is what index.json says: names to digests.
func (b *Box) theIndex() (map[string]string, error) {
	var index struct {
		Manifests []struct {
			Digest      string
			Annotations map[string]string
		}
	}
	data, err := os.ReadFile(b.images("index.json"))
	if err == nil {
		err = json.Unmarshal(data, &index)
	}
	names := map[string]string{}
	for _, m := range index.Manifests {
		names[m.Annotations["org.opencontainers.image.ref.name"]] = m.Digest
	}
	return names, err
}

// manifest is the part of a manifest that the checks look at.
type manifest struct {
	Config struct{ Digest string }
	Layers []struct{ Digest string }
}

// theManifest reads an image's.
func (b *Box) theManifest(name string) (m manifest, err error) {
	names, err := b.theIndex()
	if err != nil {
		return m, err
	}
	hex := strings.TrimPrefix(names[name], "sha256:")
	data, err := os.ReadFile(b.images("blobs/sha256", hex))
	if err == nil {
		err = json.Unmarshal(data, &m)
	}
	return m, err
}

func layout(b *Box) Seen {
	e := b.Run("run", "--rm", "tiny", "true")
	m, err := b.theManifest("docker.io/library/tiny:latest")
	if err != nil {
		return failed(err)
	}
	parts := []Seen{status(0, e), same("1 layer", fmt.Sprint(len(m.Layers), " layer"))}
	blobs, err := os.ReadDir(b.images("blobs/sha256"))
	if err != nil {
		return failed(err)
	}
	for _, blob := range blobs {
		data, err := os.ReadFile(b.images("blobs/sha256", blob.Name()))
		if err != nil {
			return failed(err)
		}
		parts = append(parts, same(blob.Name(), fmt.Sprintf("%x", sha256.Sum256(data))))
	}
	return all(append(parts, same("3 blobs", fmt.Sprint(len(blobs), " blobs")))...)
}

func configured(b *Box) Seen {
	made := b.Run("run", "--name", "base", "tiny", "true")
	e := b.Run("commit", "-c", `ENTRYPOINT ["sh","-c"]`, "-c", `CMD ["echo $WORD $(pwd) $(id -u)"]`, "-c", "ENV WORD=word", "-c", "WORKDIR /tmp", "base", "configured")
	other := b.Run("run", "--rm", "--entrypoint", "echo", "configured", "other")
	return all(status(0, made), status(0, e), printed("word /tmp 0", b.Run("run", "--rm", "configured")),
		printed("mine", b.Run("run", "--rm", "configured", "echo mine")), printed("other", other))
}

// topOf lists the names in the top layer of an image.
func (b *Box) topOf(name string) (names []string, err error) {
	m, err := b.theManifest(name)
	if err != nil || len(m.Layers) == 0 {
		return nil, errors.Join(err, errors.New("the image has no layers"))
	}
	data, err := os.ReadFile(b.images("blobs", strings.Replace(m.Layers[len(m.Layers)-1].Digest, ":", "/", 1)))
	if err != nil {
		return nil, err
	}
	for archive := tar.NewReader(bytes.NewReader(data)); ; {
		h, err := archive.Next()
		if err == io.EOF {
			return names, nil
		}
		if err != nil {
			return nil, err
		}
		names = append(names, h.Name)
	}
}

func committed(b *Box) Seen {
	e := b.Run("run", "--name", "changed", "tiny", "sh", "-c", "echo x >/root/file; rm /bin/wc")
	made := b.Run("commit", "changed", "user/changed:1")
	names, err := b.topOf("docker.io/user/changed:1")
	if err != nil {
		return failed(err)
	}
	again := b.Run("run", "--rm", "user/changed:1", "sh", "-c", "cat /root/file; [ -e /bin/wc ] || echo gone")
	return all(status(0, e), status(0, made), same("bin/ bin/.wh.wc root/ root/file", strings.Join(names, " ")), printed("x gone", again.oneLine()))
}

func keptOptions(b *Box) Seen {
	e := b.Run("run", "--name", "kept", "-e", "WORD=word", "-w", "/tmp", "--entrypoint", "sh", "tiny", "-c", "echo $WORD $(pwd)")
	made := b.Run("commit", "kept", "ways")
	return all(printed("word /tmp", e), status(0, made), printed("word /tmp", b.Run("run", "--rm", "ways")),
		printed("word mine", b.Run("run", "--rm", "ways", "-c", "echo $WORD mine")))
}

func savedAndLoaded(b *Box) Seen {
	made, file := b.Run("run", "--rm", "tiny", "true"), filepath.Join(b.Dir, "archive")
	before, err := b.theIndex()
	if err != nil {
		return failed(err)
	}
	parts := []Seen{status(0, made), status(0, b.Run("save", "-o", file, "tiny")), status(0, b.Run("rmi", "tiny")), printed("Loaded image: tiny:latest", b.Run("load", "-q", "-i", file))}
	after, err := b.theIndex()
	if err != nil {
		return failed(err)
	}
	id := b.Run("inspect", "-f", "{{.Id}}", "tiny").Line()
	nameless := []Seen{status(0, b.Run("save", "-o", file, id)), printed("Loaded image ID: "+id, b.Run("load", "-i", file))}
	parts = append(parts, nameless...)
	return all(append(parts, same(fmt.Sprint(before), fmt.Sprint(after)), printed("loaded", b.Run("run", "--rm", "tiny", "echo", "loaded")))...)
}

// dockerArchive is an archive as docker save writes it, of one layer with one file.
func dockerArchive(diffID func(layer []byte) string) (string, error) {
	layer, err := tarOf(map[string]string{"file": "content\n"})
	if err != nil {
		return "", err
	}
	config := fmt.Sprintf(`{"os":"linux","architecture":"amd64","config":{},"rootfs":{"type":"layers","diff_ids":["%s"]}}`, diffID([]byte(layer)))
	return tarOf(map[string]string{"c.json": config, "l/layer.tar": layer,
		"manifest.json": `[{"Config":"c.json","RepoTags":["fromdocker:7"],"Layers":["l/layer.tar"]}]`})
}

func tarOf(files map[string]string) (string, error) {
	var out bytes.Buffer
	w := tar.NewWriter(&out)
	var err error
	for name, content := range files {
		err = errors.Join(err, w.WriteHeader(&tar.Header{Name: name, Typeflag: tar.TypeReg, Mode: 0o644, Size: int64(len(content))}))
		_, errWrite := io.WriteString(w, content)
		err = errors.Join(err, errWrite)
	}
	return out.String(), errors.Join(err, w.Close())
}

func loadedFromDocker(b *Box) Seen {
	right := func(layer []byte) string { return fmt.Sprintf("sha256:%x", sha256.Sum256(layer)) }
	good, err := dockerArchive(right)
	if err != nil {
		return failed(err)
	}
	bad, err := dockerArchive(func([]byte) string { return right(nil) })
	if err != nil {
		return failed(err)
	}
	refusal := refused(b.Feed(bad, "load"))
	left, err := os.ReadDir(b.images("blobs/sha256"))
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return failed(err)
	}
	loaded := b.Feed(good, "load")
	names, err := b.topOf("docker.io/library/fromdocker:7")
	if err != nil {
		return all(refusal, status(0, loaded), same("the image", err.Error()))
	}
	return all(refusal, same("0 blobs left", fmt.Sprint(len(left), " blobs left")), status(0, loaded), same("file", strings.Join(names, " ")))
}

func removed(b *Box) Seen {
	e := b.Run("run", "--name", "keeper", "tiny", "true")
	count := func() string {
		layers, err := os.ReadDir(filepath.Join(b.store(), "layers"))
		if err != nil {
			return err.Error()
		}
		n := 0
		for _, layer := range layers {
			if layer.IsDir() {
				n++
			}
		}
		return fmt.Sprint(n, " layers")
	}
	none := b.Run("rmi", "-f", "stagebox-none")
	parts := []Seen{status(0, e), refused(b.Run("rmi", "tiny")), status(0, none), holds(strings.Contains(none.Stderr, "stagebox-none"), "the name that is not one", none.Stderr),
		status(0, b.Run("rmi", "-f", "tiny")), same("1 layers", count()), status(0, b.Run("start", "-a", "keeper")),
		status(0, b.Run("rm", "keeper")), status(0, b.Run("run", "--rm", "tiny", "true")), status(0, b.Run("rmi", "tiny"))}
	return all(append(parts, same("0 layers", count()))...)
}
