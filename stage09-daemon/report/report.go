// Package report translates the output of commands of box, and what the engine has read, into the
// answers of the Docker Engine API. No lesson reads it.
package report

import (
	"archive/tar"
	"bufio"
	"encoding/base64"
	"encoding/json"
	"io/fs"
	"maps"
	"net/http"
	"os"
	"path"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"stagebox/stage02-cgroups/stats"
	"stagebox/stage02-cgroups/units"
	"stagebox/stage04-unionfs/api"
	"stagebox/stage05-images/digest"
	"stagebox/stage05-images/imageview"
	"stagebox/stage05-images/oci"
	"stagebox/stage06-dockerfile/ui"
	"stagebox/stage08-network/traffic"
	"stagebox/stage09-daemon/commandline"
	"stagebox/stage09-daemon/rest"
)

// Change is a file that a container has changed: 0 is modified, 1 added, 2 deleted.
type Change struct {
	Path string
	Kind int
}

// Changes reads what box diff prints.
func Changes(out string) []Change {
	list := []Change{}
	for line := range strings.Lines(out) {
		if kind, path, ok := strings.Cut(strings.TrimSuffix(line, "\n"), " "); ok {
			list = append(list, Change{path, strings.Index("CAD", kind)})
		}
	}
	return list
}

// Found reads what box search prints.
func Found(out string) []any {
	list := []any{}
	for line := range strings.Lines(out) {
		var f struct {
			Name, Description, IsOfficial string
			StarCount                     int
		}
		if json.Unmarshal([]byte(line), &f) == nil {
			list = append(list, map[string]any{"name": f.Name, "description": f.Description, "star_count": f.StarCount, "is_official": f.IsOfficial != "", "is_automated": false})
		}
	}
	return list
}

// Top is the table of a container's processes.
type Top struct {
	Titles    []string
	Processes [][]string
}

// Processes reads what box top prints. The last column may have spaces in it.
func Processes(out string) (t Top) {
	for i, line := range strings.Split(strings.TrimSpace(out), "\n") {
		if i == 0 {
			t.Titles = strings.Fields(line)
			continue
		}
		words := strings.Fields(line)
		if last := len(t.Titles) - 1; len(words) > last+1 {
			words = append(words[:last:last], strings.Join(words[last:], " "))
		}
		t.Processes = append(t.Processes, words)
	}
	return t
}

// Removed reads the lines that box rmi and box image prune print, and how much room was made.
func Removed(out string) (list []map[string]string, freed int64) {
	list = []map[string]string{}
	for line := range strings.Lines(out) {
		what, name, _ := strings.Cut(strings.TrimSpace(line), ": ")
		switch what {
		case "Untagged", "Deleted":
			list = append(list, map[string]string{what: name})
		case "Total reclaimed space":
			freed = Size(name)
		}
	}
	return list, freed
}

// Size reads a size that was printed for people.
func Size(text string) int64 {
	var size units.Size
	if size.UnmarshalText([]byte(strings.ReplaceAll(text, " ", ""))) != nil {
		return 0
	}
	return int64(size)
}

// PathStat is the header X-Docker-Container-Path-Stat for the first entry of an archive.
func PathStat(h *tar.Header, path string) string {
	info := h.FileInfo()
	name := info.Name()
	if strings.Trim(path, "/") == "" {
		name = "/"
	}
	text, err := json.Marshal(struct {
		Name       string      `json:"name"`
		Size       int64       `json:"size"`
		Mode       fs.FileMode `json:"mode"`
		Mtime      time.Time   `json:"mtime"`
		LinkTarget string      `json:"linkTarget"`
	}{name, info.Size(), info.Mode(), h.ModTime, h.Linkname})
	if err != nil { // numbers and strings
		return ""
	}
	return base64.StdEncoding.EncodeToString(text)
}

// Ports are published ports in the form of a list of containers.
func Ports(all map[string][]api.PortBinding) []any {
	type port struct {
		IP          string `json:",omitempty"`
		PrivatePort int
		PublicPort  int `json:",omitempty"`
		Type        string
	}
	list := []any{}
	for _, inside := range slices.Sorted(maps.Keys(all)) {
		number, kind, _ := strings.Cut(inside, "/")
		private, _ := strconv.Atoi(number) // checked when it was published
		if len(all[inside]) == 0 {
			list = append(list, port{PrivatePort: private, Type: kind})
		}
		for _, b := range all[inside] {
			public, _ := strconv.Atoi(b.HostPort)
			list = append(list, port{b.HostIP, private, public, kind})
		}
	}
	return list
}

// Step is a step of an image's history.
type Step struct {
	ID        string `json:"Id"`
	Created   int64
	CreatedBy string
	Tags      []string
	Size      int64
	Comment   string
}

// History is an image's history, the latest step first.
func History(image *oci.Image, sizeOf func(digest.Digest) int64) []Step {
	list, layers := []Step{}, image.Config.RootFS.DiffIDs
	for _, h := range image.Config.History {
		s := Step{ID: "<missing>", CreatedBy: h.CreatedBy, Comment: h.Comment}
		if h.Created != nil {
			s.Created = h.Created.Unix()
		}
		if !h.EmptyLayer && len(layers) > 0 {
			s.Size, layers = sizeOf(layers[0]), layers[1:]
		}
		list = append(list, s)
	}
	slices.Reverse(list)
	if len(list) > 0 {
		list[0].ID = image.ID.String()
		for _, name := range image.Familiar() {
			list[0].Tags = append(list[0].Tags, name[0]+":"+name[1])
		}
	}
	return list
}

// ImageSummary is an image in a list.
type ImageSummary struct {
	ID          string `json:"Id"`
	ParentID    string `json:"ParentId"`
	RepoTags    []string
	RepoDigests []string
	Created     int64
	Size        int64
	SharedSize  int64
	VirtualSize int64
	Labels      map[string]string
	Containers  int64
}

// Image is an image as a list shows it; users are the containers that are made of it.
func Image(image *oci.Image, all []*oci.Image, sizes imageview.Sizes, users int) ImageSummary {
	tags, digests := imageview.Names(image, all)
	size := sizes.Of(image)
	return ImageSummary{ID: image.ID.String(), RepoTags: tags, RepoDigests: digests, Created: image.Created().Unix(), Size: size,
		SharedSize: -1, VirtualSize: size, Labels: image.Config.Config.Labels, Containers: int64(users)}
}

// Share adds to images how much of each is in layers that another one of all has too. Two manifests may
// be of one image.
func Share(list []ImageSummary, all []*oci.Image, sizes imageview.Sizes) {
	users := map[digest.Digest]map[string]struct{}{}
	for _, image := range all {
		for _, layer := range image.Config.RootFS.DiffIDs {
			users[layer] = api.Set(users[layer], image.ID.String())
		}
	}
	shared := sizes.Once()
	only := func(layer digest.Digest) int64 {
		if len(users[layer]) > 1 {
			return shared(layer)
		}
		return 0
	}
	for i := range list {
		of := slices.IndexFunc(all, func(image *oci.Image) bool { return image.ID.String() == list[i].ID })
		if of >= 0 { // else it was made meanwhile
			list[i].SharedSize = imageview.Sizes(only).Of(all[of])
		}
	}
}

// Networks are those that every daemon has, also before a container is on them: the default one has an
// id of its own. Programs go through their lists without a look whether they are there. They were made
// with the store, of which a file tells that is never written to again; without any image, it is now.
func Networks(defaultName, id, file string) (list []*api.Network) {
	made := time.Now()
	if info, err := os.Stat(file); err == nil {
		made = info.ModTime()
	}
	for _, n := range [][3]string{{"host", "host", "host"}, {"none", "none", "null"}, {defaultName, id, "bridge"}} {
		list = append(list, &api.Network{Name: n[0], ID: n[1], Driver: n[2], Scope: "local", Created: api.Time(made),
			IPAM: api.IPAM{Driver: "default", Config: []api.Pool{}}, Containers: map[string]api.Member{},
			Options: map[string]string{}, Labels: map[string]string{}})
	}
	return list
}

// Usage is a reading of what a container uses, in the form of GET /containers/NAME/stats.
func Usage(id, name string, now, before *stats.Usage) any {
	cpu := func(u *stats.Usage) any {
		if u == nil {
			return map[string]any{"cpu_usage": map[string]any{"total_usage": 0}}
		}
		return map[string]any{"cpu_usage": map[string]any{"total_usage": u.Used.Nanoseconds()}, "online_cpus": runtime.NumCPU(),
			"system_cpu_usage": u.At.UnixNano() * int64(runtime.NumCPU())} // all that the CPUs could have done until then
	}
	preread := time.Time{}
	if before != nil {
		preread = before.At
	}
	limit := now.MemoryLimit
	if limit == 0 {
		limit = Memory()
	}
	return map[string]any{"id": id, "name": "/" + name, "read": now.At.UTC(), "preread": preread.UTC(), "num_procs": 0,
		"cpu_stats": cpu(now), "precpu_stats": cpu(before), "pids_stats": map[string]any{"current": now.Pids, "limit": now.PidsLimit},
		"memory_stats": map[string]any{"usage": now.Memory, "limit": limit, "stats": map[string]int64{}},
		"networks":     traffic.Links(now.PID),
		"blkio_stats": map[string]any{"io_service_bytes_recursive": []any{
			map[string]any{"op": "read", "value": now.Read}, map[string]any{"op": "write", "value": now.Written}}}}
}

// Memory is how much the host has.
func Memory() int64 {
	var host unix.Sysinfo_t
	if unix.Sysinfo(&host) != nil {
		return 0
	}
	return int64(host.Totalram) * int64(host.Unit)
}

// Kernel is the release of the kernel.
func Kernel() string {
	var host unix.Utsname
	if unix.Uname(&host) != nil {
		return ""
	}
	return unix.ByteSliceToString(host.Release[:])
}

// Architecture is the kernel's word for the processor.
func Architecture() string {
	var host unix.Utsname
	if unix.Uname(&host) != nil {
		return runtime.GOARCH
	}
	return unix.ByteSliceToString(host.Machine[:])
}

// Hostname is the host's name.
func Hostname() string {
	name, err := os.Hostname()
	if err != nil {
		return "localhost"
	}
	return name
}

// System is the name of the host's distribution (os-release(5)).
func System() string {
	for _, path := range []string{"/etc/os-release", "/usr/lib/os-release"} {
		file, err := os.Open(path)
		if err != nil {
			continue
		}
		defer file.Close()
		for lines := bufio.NewScanner(file); lines.Scan(); {
			if name, is := strings.CutPrefix(lines.Text(), "PRETTY_NAME="); is {
				return strings.Trim(name, `"'`)
			}
		}
	}
	return "Linux"
}

// Files is how many files this process has open.
func Files() int {
	all, _ := os.ReadDir("/proc/self/fd") // 0 without /proc
	return len(all)
}

// Exec is a command in a container, in the form of GET /exec/NAME/json.
func Exec(id, container string, e *commandline.Exec, started bool, exit *int, pid int) any {
	return map[string]any{"ID": id, "ContainerID": container, "Running": started && exit == nil, "ExitCode": exit, "CanRemove": exit != nil,
		"ProcessConfig": map[string]any{"entrypoint": e.Cmd[0], "arguments": e.Cmd[1:], "tty": e.Tty, "privileged": e.Privileged, "user": e.User},
		"OpenStdin":     e.AttachStdin, "OpenStdout": e.AttachStdout, "OpenStderr": e.AttachStderr, "Pid": pid}
}

// Matches reports whether an image passes filters, each NAME=VALUE.
func (s ImageSummary) Matches(filters []string) (bool, error) {
	for _, f := range filters {
		name, value, _ := strings.Cut(f, "=")
		is := false
		switch name {
		case "reference":
			for _, tag := range s.RepoTags {
				repository := tag[:strings.LastIndexByte(tag, ':')]
				whole, _ := path.Match(value, tag)
				without, _ := path.Match(value, repository)
				is = is || whole || without
			}
		case "label":
			key, want, exact := strings.Cut(value, "=")
			has, ok := s.Labels[key]
			is = ok && (!exact || has == want)
		case "dangling":
			is = (value == "true" || value == "1") == (len(s.RepoTags) == 0)
		default:
			return false, rest.Errorf(http.StatusBadRequest, "images: box has no filter %q", name)
		}
		if !is {
			return false, nil
		}
	}
	return true, nil
}

// Pruned reads what box volume prune prints.
func Pruned(out string) (names []string, freed int64) {
	names = []string{}
	for line := range strings.Lines(out) {
		line = strings.TrimSpace(line)
		if size, is := strings.CutPrefix(line, "Total reclaimed space: "); is {
			freed = Size(size)
		} else if line != "" && line != "Deleted Volumes:" {
			names = append(names, line)
		}
	}
	return names, freed
}

// BuildLine is a line that box build prints, in the words of Docker's classic builder, which its
// clients look for.
func BuildLine(line string) string {
	if printed, is := strings.CutPrefix(line, "  "); is {
		return printed
	}
	if name, is := strings.CutPrefix(line, "warning: --build-arg "); is {
		name, _, _ = strings.Cut(name, ":")
		return "[Warning] One or more build-args [" + name + "] were not consumed"
	}
	title, rest, is := strings.Cut(line, "] ")
	place := strings.Fields(strings.TrimPrefix(title, "[")) // the stage may precede the number
	if !is || !strings.HasPrefix(title, "[") || len(place) == 0 {
		return line
	}
	text, why, _ := strings.Cut(rest, "  # ")
	step := "Step " + place[len(place)-1] + " : " + text
	switch why {
	case "":
		return step
	case ui.Cached:
		return step + "\n ---> Using cache"
	}
	return step + "\n ---> " + why
}

// IsMistake reports whether a line is about one of a Dockerfile, such as "Dockerfile:2: …".
func IsMistake(line string) bool {
	file, rest, _ := strings.Cut(line, ":")
	number, _, is := strings.Cut(rest, ": ")
	_, err := strconv.Atoi(number)
	return is && err == nil && file != "" && !strings.HasPrefix(file, " ")
}

// BuildError is the error of a build, with Docker's words where it has others by which programs know
// it, and the exit status of the program of RUN that has failed, or 0.
func BuildError(text string) (string, int) {
	before, status, is := strings.Cut(text, " ended with exit status ")
	if code, err := strconv.Atoi(status); is && err == nil {
		return before + " returned a non-zero code: " + status, code
	}
	if stage, is := strings.CutPrefix(text, "--target "); is {
		stage, _, _ = strings.Cut(stage, ":")
		return "target stage \"" + stage + "\" could not be found: " + text, 0
	}
	if docker := mistake(text); docker != "" {
		return docker + " (" + text + ")", 0
	}
	return text, 0
}

// mistake is what Docker says of a mistake in a Dockerfile, "" if that is not known.
func mistake(text string) string {
	_, rest, _ := strings.Cut(text, ":") // the file
	line, what, found := strings.Cut(rest, ": ")
	words := strings.Fields(what)
	if _, err := strconv.Atoi(line); !found || err != nil || len(words) < 3 {
		return ""
	}
	says := func(what string) string { return "dockerfile parse error on line " + line + ": " + what }
	switch {
	case strings.HasPrefix(what, "unknown instruction "):
		return says("unknown instruction: " + strings.TrimSuffix(words[2], ":"))
	case strings.HasPrefix(what, "FROM takes an image"):
		return says("FROM requires either one or three arguments")
	case strings.HasPrefix(what, "SHELL needs the JSON form"):
		return says("SHELL requires the arguments to be in JSON form")
	case words[1] == "needs" && words[2] == "a":
		return says(words[0] + " requires at least two arguments")
	case words[1] == "needs":
		return says(words[0] + " requires at least one argument")
	case strings.HasSuffix(what, ": there is no name before the ="):
		return says(strings.TrimSuffix(words[0], ":") + " names can not be blank")
	case strings.HasPrefix(what, "no stage above is called "):
		return "invalid from flag value " + strings.TrimSuffix(words[5], ",")
	case strings.HasPrefix(what, "circular: stage "):
		return "invalid from flag value " + words[2] + ": refers to current build stage"
	case strings.Contains(what, " cannot be a stage's name: "):
		return says("invalid name for build stage: \"" + words[0] + "\"")
	case strings.Contains(what, ": there is no such file in the context"):
		return "file not found in build context or excluded by .dockerignore: stat " + strings.TrimSuffix(words[1], ":") + ": file does not exist"
	}
	return ""
}

// known are words of an error of box, and those of Docker for it that programs look for. The first
// that fits counts.
var known = [][2]string{
	{"_ . -, begins with", "Invalid container name"},
	{"the container has this name already", "Renaming a container with the same name as its current name"},
	{"another box is using it", "container is running"},
	{"of the host is in use", "port is already allocated"},
	{"does not say what to run", "no command specified"},
	{"--restart and --rm exclude", "Restart policy cannot be updated because AutoRemove is enabled for the container"},
}

// Known is an error of box, with the words of Docker before it by which programs know it.
func Known(text string) string {
	for _, k := range known {
		if strings.Contains(text, k[0]) {
			return k[1] + ": " + text
		}
	}
	return text
}
