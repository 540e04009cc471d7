// What a test does with testcontainers-go: an image that is built, containers that are waited for, a
// port, a network, and an end that leaves nothing. The argument is the daemon's address; the daemon
// runs on this host. The program is its own service and client inside the containers.
package main

import (
	"context"
	"fmt"
	"io"
	"log"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"github.com/moby/moby/api/types/container"
	"github.com/testcontainers/testcontainers-go"
	"github.com/testcontainers/testcontainers-go/exec"
	"github.com/testcontainers/testcontainers-go/network"
	"github.com/testcontainers/testcontainers-go/wait"
)

var ctx context.Context

func main() {
	log.SetFlags(log.Lshortfile)
	switch os.Args[1] {
	case "serve":
		fmt.Println("serving")
		log.Fatal(http.ListenAndServe(":8080", http.FileServer(http.Dir("/srv"))))
	case "get":
		fmt.Print(get(os.Args[2]))
		return
	}
	var cancel context.CancelFunc
	ctx, cancel = context.WithTimeout(context.Background(), 2*time.Minute)
	defer cancel()
	os.Setenv("DOCKER_HOST", os.Args[1])
	os.Setenv("TESTCONTAINERS_RYUK_DISABLED", "true") // its image is in a registry
	watched()
	built()
	if os.Geteuid() == 0 {
		served()
	}
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

// get is a page.
func get(url string) string {
	answer := must(http.Get(url))
	defer answer.Body.Close()
	return string(must(io.ReadAll(answer.Body)))
}

// alone leaves a container without a network, as an ordinary user's may have to be.
var alone = testcontainers.WithHostConfigModifier(func(h *container.HostConfig) { h.NetworkMode = "none" })

// lines collects what a container prints.
type lines struct {
	sync.Mutex
	text strings.Builder
}

func (l *lines) Accept(entry testcontainers.Log) {
	l.Lock()
	defer l.Unlock()
	l.text.Write(entry.Content)
}

// said reports whether the words come.
func (l *lines) said(words string) bool {
	for ctx.Err() == nil {
		l.Lock()
		found := strings.Contains(l.text.String(), words)
		l.Unlock()
		if found {
			return true
		}
		time.Sleep(10 * time.Millisecond)
	}
	return false
}

// run starts a container, and waits as its strategy says.
func run(image string, options ...testcontainers.ContainerCustomizer) *testcontainers.DockerContainer {
	return must(testcontainers.Run(ctx, image, options...))
}

// end terminates it: it is not there any more.
func end(c *testcontainers.DockerContainer) {
	must(0, c.Terminate(ctx, testcontainers.StopTimeout(0)))
	_, err := c.Inspect(ctx)
	check(err != nil, "it is still there")
}

// execute runs a command in the container.
func execute(c *testcontainers.DockerContainer, command ...string) (int, string) {
	status, out, err := c.Exec(ctx, command, exec.Multiplexed())
	must(0, err)
	return status, string(must(io.ReadAll(out)))
}

// watched: a container is waited for by its log, by a command in it and by a file; its output is
// followed, and files are copied both ways.
func watched() {
	output := &lines{}
	c := run("tiny", alone, testcontainers.WithCmd("sh", "-c", "echo begun; touch /tmp/ready; echo late; exec sleep 1000"),
		testcontainers.WithEnv(map[string]string{"A": "1"}), testcontainers.WithLogConsumers(output),
		testcontainers.WithTmpfs(map[string]string{"/scratch": "size=1m"}),
		testcontainers.WithFiles(testcontainers.ContainerFile{Reader: strings.NewReader("given"), ContainerFilePath: "/given", FileMode: 0o600}),
		testcontainers.WithWaitStrategy(wait.ForAll(wait.ForLog("begun"), wait.ForExec([]string{"test", "-e", "/tmp/ready"}),
			wait.ForFile("/given"))))
	check(output.said("late"), "no output")
	status, out := execute(c, "sh", "-c", "cat /given; echo $A; exit 3")
	check(status == 3 && out == "given1\n", status, out)
	pid := must(c.Inspect(ctx)).State.Pid
	check(string(must(os.ReadFile(fmt.Sprintf("/proc/%d/root/given", pid)))) == "given")
	mounts := string(must(os.ReadFile(fmt.Sprintf("/proc/%d/mounts", pid))))
	check(strings.Contains(mounts, " /scratch tmpfs ") && strings.Contains(mounts, "size=1024k"), mounts)
	must(0, c.CopyToContainer(ctx, []byte("more"), "/tmp/more", 0o644))
	check(string(must(io.ReadAll(must(c.CopyFileFromContainer(ctx, "/tmp/more"))))) == "more")
	check(strings.Contains(string(must(io.ReadAll(must(c.Logs(ctx))))), "begun\n"))
	now := time.Duration(0)
	must(0, c.Stop(ctx, &now))
	check(must(c.State(ctx)).ExitCode == 137, "status")
	must(0, c.Start(ctx))
	check(must(c.Inspect(ctx)).State.Pid != pid, pid)
	end(c)
	c = run("tiny", alone, testcontainers.WithCmd("sh", "-c", "exit 4"), testcontainers.WithWaitStrategy(wait.ForExit()))
	check(must(c.State(ctx)).ExitCode == 4, "status")
	end(c)
	c, err := testcontainers.Run(ctx, "tiny", alone, testcontainers.WithCmd("nosuch"))
	check(err != nil && strings.Contains(err.Error(), "nosuch"), err)
	end(c)
}

// built: a Dockerfile with an argument and a health check that is waited for.
func built() {
	context := must(os.MkdirTemp("", "box"))
	defer os.RemoveAll(context)
	must(0, os.WriteFile(filepath.Join(context, "Dockerfile"), []byte("FROM tiny\nARG A\nENV A=$A\nCOPY Dockerfile /\n"+
		"HEALTHCHECK --interval=100ms CMD test -e /Dockerfile\nCMD [\"sleep\", \"1000\"]\n"), 0o644))
	c := run("", alone, testcontainers.WithDockerfile(testcontainers.FromDockerfile{Context: context, BuildArgs: map[string]*string{"A": new("given")}}),
		testcontainers.WithWaitStrategy(wait.ForHealthCheck()))
	_, out := execute(c, "sh", "-c", "echo $A; head -n 1 /Dockerfile")
	check(out == "given\nFROM tiny\n", out)
	end(c)
}

// served: a service is reached through its published port, and by its name on a network.
func served() {
	self := testcontainers.ContainerFile{HostFilePath: must(os.Executable()), ContainerFilePath: "/self", FileMode: 0o755}
	page := testcontainers.ContainerFile{Reader: strings.NewReader("a page\n"), ContainerFilePath: "/srv/index.html", FileMode: 0o644}
	n := must(network.New(ctx))
	server := run("tiny", testcontainers.WithFiles(self, page), testcontainers.WithCmd("/self", "serve"), testcontainers.WithExposedPorts("8080/tcp"),
		network.WithNetwork([]string{"shop"}, n), testcontainers.WithWaitStrategy(wait.ForListeningPort("8080/tcp"), wait.ForHTTP("/").WithPort("8080/tcp")))
	check(get(must(server.PortEndpoint(ctx, "8080/tcp", "http"))) == "a page\n", "another page")
	client := run("tiny", testcontainers.WithFiles(self), testcontainers.WithCmd("sleep", "1000"), network.WithNetwork(nil, n))
	status, out := execute(client, "/self", "get", "http://shop:8080/")
	check(status == 0 && out == "a page\n", status, out)
	check(must(server.Networks(ctx))[0] == n.Name, n.Name)
	end(client)
	end(server)
	must(0, n.Remove(ctx))
	// without a network of its own, a container is on the default one
	server = run("tiny", testcontainers.WithFiles(self, page), testcontainers.WithCmd("/self", "serve"), testcontainers.WithExposedPorts("8080/tcp"),
		testcontainers.WithWaitStrategy(wait.ForHTTP("/").WithPort("8080/tcp")))
	check(must(server.ContainerIP(ctx)) != "", "no address")
	end(server)
}
