package main

import (
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"stagebox/lessons/internal/stages"
)

// demoCmd is the tour that the README starts with.
type demoCmd struct{}

// scene is one thing to see: a sentence, and what is typed at a shell.
type scene struct{ says, typed string }

const demoDockerfile = `FROM tiny AS page
RUN mkdir /page
COPY page.html /page/index.html
RUN echo "<p>Built in a container, by $(whoami), process $$.</p>" >>/page/index.html

FROM scratch
COPY web /web
COPY --from=page /page /page
EXPOSE 80
CMD ["/web", "/page", ":80"]
`

// scenes are the tour. PORT is a port that is free; PUBLISH publishes the service there, and
// FETCH gets its page, for a user who may do that; else both stay inside the container.
var scenes = []scene{
	{"A container is a process for which the kernel made some calls. These, and why; `host│` is box, `box │` is the container:",
		"box run --explain /bin/hostname"},
	{"An image is made by a recipe. This one has two stages: the first writes a page, the second is nothing but the page and a small web service:",
		"cat site/Dockerfile; box build -t site site"},
	{"The same again. No step has changed, so none is run:",
		"box build -t site site"},
	{"One file changes. The steps below its COPY are run, and box says why:",
		"echo '<p>Changed.</p>' >>site/page.html; box build -t site site"},
	{"A container from the image, left running:",
		"box run -d --name web PUBLISH site; FETCH"},
	{"What there is now: the container, what it uses, its layers:",
		"box ps; STATSbox inspect --picture text web; box images --tree"},
	{"Gone again:",
		"box rm -f web; box rmi site tiny >/dev/null; box builder prune -afCLEAN"},
}

// Run builds the last stage and plays the scenes with it.
func (demoCmd) Run() (err error) {
	root, err := stages.Root()
	if err != nil {
		return err
	}
	all, err := stages.All(root)
	if err != nil {
		return err
	}
	last := all[len(all)-1]
	ctx, stop := untilStopped()
	defer stop()
	dir, err := os.MkdirTemp("", "stagebox-demo")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	fmt.Printf("Building %s: go build -o box ./%s\n", last.Name(), last.Name())
	if err := last.Build(ctx, filepath.Join(dir, "box")); err != nil {
		return err
	}
	if err := makeSite(ctx, root, filepath.Join(dir, "site")); err != nil {
		return err
	}
	fill, err := demoWords()
	if err != nil {
		return err
	}
	defer func() {
		if err != nil { // what was left running
			exec.Command(filepath.Join(dir, "box"), "rm", "-f", "--root", filepath.Join(dir, "store"), "web").Run()
		}
	}()
	for _, s := range scenes {
		if err := (scene{s.says, fill.Replace(s.typed)}).play(ctx, dir); err != nil {
			return err
		}
	}
	fmt.Printf("\nNow read %s, or build it yourself: go build -o box ./%s\n", all[0].Lesson(), last.Name())
	return nil
}

// makeSite makes the context of the build.
func makeSite(ctx context.Context, root, dir string) error {
	if err := os.Mkdir(dir, 0o755); err != nil {
		return err
	}
	if err := stages.Compile(ctx, root, "./lessons/web", filepath.Join(dir, "web")); err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(dir, "page.html"), []byte("<h1>Hello from a container</h1>\n"), 0o644); err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(dir, "Dockerfile"), []byte(demoDockerfile), 0o644)
}

// demoWords fills in what depends on who plays.
func demoWords() (*strings.Replacer, error) {
	if os.Geteuid() != 0 {
		return strings.NewReplacer(" PUBLISH", "", "FETCH", "box exec web /web -get http://127.0.0.1:80/", "CLEAN", "", "STATS", ""), nil // a user's group counts nothing, unless one was delegated
	}
	free, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	port := fmt.Sprint(free.Addr().(*net.TCPAddr).Port)
	return strings.NewReplacer("PUBLISH", "-p "+port+":80", "FETCH", "site/web -get http://127.0.0.1:"+port+"/; box network inspect --picture bridge", "CLEAN", "; box network rm bridge", "STATS", "box stats --no-stream web; "), free.Close()
}

// play shows what is typed, runs it, and lets it speak for itself.
func (s scene) play(ctx context.Context, dir string) error {
	fmt.Printf("\n%s\n\n$ %s\n", s.says, s.typed)
	cmd := exec.CommandContext(ctx, "sh", "-ec", s.typed)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "PATH="+dir+":"+os.Getenv("PATH"), "BOX_ROOT="+filepath.Join(dir, "store"))
	cmd.Stdin, cmd.Stdout, cmd.Stderr = os.Stdin, os.Stdout, os.Stderr
	cmd.Cancel, cmd.WaitDelay = func() error { return endChildren(cmd.Process.Pid) }, time.Minute
	err := cmd.Run()
	if ctx.Err() != nil {
		return ctx.Err()
	}
	if err != nil {
		return fmt.Errorf("%s: %w; go run ./lessons doctor may know why", s.typed, err)
	}
	return nil
}

// endChildren asks what a shell runs to end: then sh -e ends too. Killed instead, the shell would leave
// a box at work in a directory that is being removed.
func endChildren(shell int) error {
	children, err := os.ReadFile(fmt.Sprintf("/proc/%d/task/%[1]d/children", shell))
	for _, word := range strings.Fields(string(children)) {
		if pid, err := strconv.Atoi(word); err == nil {
			_ = unix.Kill(pid, unix.SIGTERM) // it may have ended: the terminal's Ctrl-C went to all
		}
	}
	return err
}
