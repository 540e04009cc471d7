// RUN: a container on the layers so far, whose upper directory becomes the next one. It is
// the same container as that of box run, except that what it prints is the step's output,
// and that the places on which box had to mount something are taken out of the layer again.
package main

import (
	"errors"
	"fmt"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"golang.org/x/sys/unix"
)

// run is RUN.
func (s *stageBuild) run(in *Instruction) error {
	if s.hit != nil {
		return s.reuse(in)
	}
	dirs, err := s.dirs()
	if err != nil {
		return err
	}
	c := &Container{Command: s.script(in), Isolation: Isolation{Hostname: "buildkitsandbox"}, Store: s.b.Store}
	c.Rootfs, c.Layer, c.Rm = dirs[0], dirs[1:], true
	c.Env, c.User, c.Workdir = s.runEnv(), s.config.Config.User, s.config.Config.WorkingDir
	if in.flag("security") == "insecure" {
		c.Privileged = true
	}
	if network := cmpOr(in.flag("network"), s.b.Network); network == "host" {
		c.Share = []string{"net"}
	}
	m := &stepMounts{s: s, c: c, in: in}
	defer m.remove()
	if err := m.add(); err != nil {
		return err
	}
	stubs, err := s.missing(c)
	if err != nil {
		return err
	}
	build := s.b.Store.path("images/partial", "layer-"+newID()[:12])
	c.harvest = func(upper string) error { return os.Rename(upper, build) }
	err = s.inContainer(c, in)
	if err != nil {
		return errors.Join(err, s.b.Store.dropLayer(build))
	}
	if err := clean(build, stubs); err != nil {
		return err
	}
	return s.adopt(in, build)
}

func cmpOr(text, other string) string {
	if text == "" || text == "default" {
		return other
	}
	return text
}

// script is the command of RUN. A here-document alone is the script; a first line #! in it
// names who reads it.
func (s *stageBuild) script(in *Instruction) []string {
	if in.JSON {
		return in.Args
	}
	text := in.Args[0]
	if len(in.Docs) == 0 {
		return append(slices.Clone(s.shellWords()), text)
	}
	doc := in.Docs[0]
	if alone := strings.TrimSpace(text); len(in.Docs) == 1 && strings.HasPrefix(alone, "<<") && !strings.ContainsAny(alone, " \t\n") {
		content := doc.Content
		if doc.Chomp {
			content = trimTabs(content)
		}
		if strings.HasPrefix(content, "#!") {
			return append(slices.Clone(s.shellWords()), "cat >/tmp/.box-script <<'"+doc.Name+"'\n"+content+doc.Name+"\nchmod +x /tmp/.box-script; /tmp/.box-script; status=$?; rm /tmp/.box-script; exit $status")
		}
		return append(slices.Clone(s.shellWords()), content)
	}
	for _, doc := range in.Docs {
		text += "\n" + doc.Content + doc.Name
	}
	return append(slices.Clone(s.shellWords()), text)
}

// proxies are ARGs that need no declaration.
var proxies = strings.Fields("HTTP_PROXY http_proxy HTTPS_PROXY https_proxy FTP_PROXY ftp_proxy NO_PROXY no_proxy ALL_PROXY all_proxy")

// runEnv is the environment of RUN: arguments, and over them the image's variables.
func (s *stageBuild) runEnv() []string {
	var env []string
	for name, value := range s.args {
		env = append(env, name+"="+value)
	}
	for _, name := range proxies {
		if value, given := s.b.args[name]; given {
			env = append(env, name+"="+value)
		}
	}
	slices.Sort(env)
	return append(env, s.config.Config.Env...)
}

// inContainer runs the container, and says how it ended if not well.
func (s *stageBuild) inContainer(c *Container, in *Instruction) error {
	out, err := s.shown.output()
	if err != nil {
		return err
	}
	defer out.close()
	c.output = out.file
	err = c.Run()
	var ended exitStatus
	if !errors.As(err, &ended) || ended == 0 {
		if ended == 0 && err == exitStatus(0) {
			return nil
		}
		return err
	}
	advice := ""
	if s.b.Keep {
		advice = "; its container was kept: box start -a " + c.record.Name
	}
	return in.errorAt("", "%s ended with exit status %d%s", in.Name, int(ended), advice)
}

// places are where every container has something mounted.
var places = []string{"dev", "proc", "sys", "etc/hostname", "etc/hosts", "etc/resolv.conf"}

// missing are the places that the layers do not have, and those of the step's mounts.
func (s *stageBuild) missing(c *Container) ([]string, error) {
	u, err := openUnion(c.topFirst())
	if err != nil {
		return nil, err
	}
	defer u.close()
	binds, err := c.binds()
	if err != nil {
		return nil, err
	}
	all := slices.Clone(places)
	for _, b := range binds {
		all = append(all, strings.TrimPrefix(b.target, "/"))
	}
	var list []string
	for _, place := range all {
		for ; place != "."; place = path.Dir(place) {
			if n, err := u.find(place, false); err == nil && n != nil {
				break
			}
			list = append(list, place)
		}
	}
	slices.SortFunc(list, func(a, b string) int { return strings.Count(b, "/") - strings.Count(a, "/") })
	return slices.Compact(list), nil
}

// clean takes places out of a layer that are still as box made them: empty.
func clean(build string, stubs []string) error {
	root, err := unix.Open(build, unix.O_RDONLY|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return about("open", build, err)
	}
	defer unix.Close(root)
	for _, stub := range stubs {
		dir, err := openBeneath(root, path.Dir(stub), unix.O_RDONLY|unix.O_DIRECTORY)
		if err != nil {
			continue // the step has replaced it
		}
		var st unix.Stat_t
		err = unix.Fstatat(dir, path.Base(stub), &st, unix.AT_SYMLINK_NOFOLLOW)
		switch {
		case err != nil:
		case st.Mode&unix.S_IFMT == unix.S_IFDIR:
			err = unix.Unlinkat(dir, path.Base(stub), unix.AT_REMOVEDIR)
		case st.Mode&unix.S_IFMT == unix.S_IFREG && st.Size == 0:
			err = unix.Unlinkat(dir, path.Base(stub), 0)
		}
		unix.Close(dir)
		if err != nil && err != unix.ENOENT && err != unix.ENOTEMPTY {
			return about("remove", stub, err)
		}
	}
	return nil
}

// stepMounts are the --mount flags of a RUN.
type stepMounts struct {
	s    *stageBuild
	c    *Container
	in   *Instruction
	temp []string // directories to remove afterwards

	caches map[string]*cacheMount
}

func (m *stepMounts) add() error {
	for i, mount := range m.in.Mounts {
		if mount.Target != "" && !path.IsAbs(mount.Target) {
			m.in.Mounts[i].Target = path.Join("/", m.s.config.Config.WorkingDir, mount.Target)
		}
	}
	if err := m.lockCaches(); err != nil {
		return err
	}
	for _, mount := range m.in.Mounts {
		var err error
		switch mount.Type {
		case "tmpfs":
			options := ""
			if mount.Size > 0 {
				options = fmt.Sprintf("size=%d,", mount.Size)
			}
			m.c.Tmpfs = append(m.c.Tmpfs, mount.Target+":"+options+"exec")
		case "secret":
			err = m.secret(mount)
		case "cache":
			err = m.cache(mount)
		case "bind":
			err = m.bind(mount)
		case "ssh":
			err = errors.New("type=ssh: box hands no agent on")
		}
		if err != nil {
			return m.in.errorAt("--mount", "--mount=%v", err)
		}
	}
	return nil
}

func (m *stepMounts) remove() {
	m.unlock()
	for _, dir := range m.temp {
		if err := removeTree(dir); err != nil {
			fmt.Fprintf(os.Stderr, "box: %v\n", err)
		}
	}
}

// directory is a new one that lasts as long as the step.
func (m *stepMounts) directory() (string, error) {
	dir, err := os.MkdirTemp(m.s.b.Store.path("images/partial"), "mount-*")
	m.temp = append(m.temp, dir)
	return dir, err
}

// mount binds a path of the host's.
func (m *stepMounts) mount(source, target string, readOnly bool) {
	spec := "type=bind,src=" + source + ",dst=" + target
	if readOnly {
		spec += ",readonly"
	}
	m.c.Mount = append(m.c.Mount, spec)
}

// secret lays a file over its place, or sets a variable.
func (m *stepMounts) secret(mount RunMount) error {
	id := mount.ID
	if id == "" {
		id = cmpOr(mount.Source, path.Base(mount.Target))
	}
	given, known := m.s.b.secrets[id]
	if !known {
		if mount.Required {
			return fmt.Errorf("type=secret: the build was given no secret %q: --secret id=%s,src=FILE gives it", id, id)
		}
		return nil
	}
	data, err := given.read()
	if err != nil {
		return fmt.Errorf("type=secret: %w", err)
	}
	if mount.Env != nil {
		m.c.Env = append(m.c.Env, cmpOr(*mount.Env, id)+"="+string(data))
		if mount.Target == "" {
			return nil
		}
	}
	dir, err := m.directory()
	if err != nil {
		return err
	}
	file := filepath.Join(dir, "secret")
	if err := os.WriteFile(file, data, 0o400); err != nil {
		return err
	}
	mode := uint64(0o400)
	if mount.Mode != nil {
		mode = *mount.Mode
	}
	err = errors.Join(os.Chmod(file, os.FileMode(mode)&0o777), os.Chown(file, number64(mount.UID), number64(mount.GID)))
	target := mount.Target
	if target == "" {
		target = "/run/secrets/" + id
	}
	m.mount(file, target, true)
	return err
}

func number64(n *uint64) int {
	if n == nil {
		return 0
	}
	return int(*n)
}

// bind shows files of the context, a stage or an image. They are the step's own copy, which
// it may change, and which is gone afterwards.
func (m *stepMounts) bind(mount RunMount) error {
	from, ignore, err := m.files(mount.From)
	if err != nil {
		return err
	}
	defer from.close()
	n, err := from.find(cmpOr(mount.Source, "/"), true)
	if err != nil {
		return fmt.Errorf("type=bind: there is no %s", mount.Source)
	}
	dir, err := m.directory()
	if err != nil {
		return err
	}
	w, err := newWriter(dir, []string{filepath.Join(dir, ".")})
	if err != nil {
		return err
	}
	c := &copying{s: m.s, in: m.in, ignore: ignore}
	if mount.From == "" {
		w.change, w.bare = c.change, true
	}
	target := "root"
	if n.dirs == nil {
		err = w.put(n, target)
	} else if err = w.mkdirs(target, owner{}); err == nil {
		err = w.tree(n, strings.Trim(path.Clean("/"+mount.Source), "/"), target, c.keepBelow)
	}
	m.mount(filepath.Join(dir, target), mount.Target, mount.ReadOnly)
	return errors.Join(err, w.close())
}

// keepBelow is keep for a path that may begin with nothing.
func (c *copying) keepBelow(rel string, isDir bool) (bool, bool, error) {
	return c.keep(strings.TrimPrefix(rel, "/"), isDir)
}

// files are those of a stage, an image, or the context.
func (m *stepMounts) files(ref string) (*union, *Ignore, error) {
	if ref == "" {
		u, err := m.s.b.files.union()
		return u, m.s.b.files.ignore, err
	}
	dirs, err := m.s.b.dirsOf(m.in, ref)
	if err != nil {
		return nil, nil, err
	}
	slices.Reverse(dirs)
	u, err := openUnion(dirs)
	return u, nil, err
}
