package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/signal"
	"path/filepath"
	"runtime/debug"
	"strings"
	"syscall"

	"golang.org/x/term"

	"stagebox/lessons/internal/live"
	"stagebox/lessons/internal/play"
	"stagebox/lessons/internal/site"
	"stagebox/lessons/internal/stages"
	"stagebox/lessons/internal/vm"
)

// playCmd is the playground.
type playCmd struct {
	Lesson   int    `arg:"" optional:"" default:"1" help:"Lesson to begin with."`
	Terminal bool   `help:"Open a shell in this terminal instead of a browser."`
	Join     bool   `help:"Open another shell in the machine of a running play."`
	Pid      int    `help:"Process ID of the play to join, when several run." placeholder:"N"`
	Dir      string `help:"Copy of a stage that start has made: at each save it is built and its box put into the machine." placeholder:"DIR"`
	Cgroup   string `help:"Cgroup version of the machine: ${enum}." enum:"v2,v1,hybrid" default:"v2"`
	Accel    string `help:"Accelerator of the machine: ${enum}; auto uses KVM if the machine boots with it." enum:"auto,kvm,tcg" default:"auto"`
	Memory   int    `help:"Memory of the machine, in MiB." default:"1024"`
	Net      bool   `help:"Give the machine access to the network, this host's own ports included."`
	Host     bool   `help:"Run the shells on this host, without a machine."`
	Yes      bool   `help:"With --host, allow shells of root."`
	Port     int    `help:"Port to listen on; 0 chooses a free one." default:"0"`
}

// Run ends with Ctrl-C, or with --terminal when the shell ends.
func (c *playCmd) Run() error {
	debug.SetMemoryLimit(16 << 20) // it mostly waits, beside a machine that needs the memory
	debug.SetGCPercent(30)
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM, syscall.SIGHUP)
	defer stop()
	if err := c.check(); err != nil {
		return err
	}
	if c.Join {
		return c.join(ctx)
	}
	ground, err := c.playground(ctx)
	if ctx.Err() != nil {
		return errors.New("interrupted")
	}
	if err != nil {
		return err
	}
	defer ground.Close()
	withdraw, err := ground.Offer()
	if err != nil {
		return err
	}
	defer withdraw()
	if c.Dir != "" {
		if err := ground.Watch(c.Dir); err != nil {
			return err
		}
	}
	if c.Terminal {
		return c.inTerminal(ctx, ground)
	}
	return c.inBrowser(ctx, ground)
}

// check refuses flags that do not go together.
func (c *playCmd) check() error {
	switch {
	case c.Host && os.Geteuid() == 0 && !c.Yes:
		return errors.New("--host opens root shells on this host: add --yes to allow that, or leave --host out to use a virtual machine")
	case c.Host && (c.Net || c.Cgroup != "v2" || c.Accel != "auto"):
		return errors.New("--host runs no virtual machine: leave out --net, --cgroup and --accel")
	case c.Yes && !c.Host:
		return errors.New("--yes needs --host")
	case c.Pid != 0 && !c.Join:
		return errors.New("--pid needs --join")
	case c.Join && (c.Host || c.Terminal || c.Dir != ""):
		return errors.New("--join opens a shell in a running play: leave out --host, --terminal and --dir")
	case c.Memory < 256:
		return fmt.Errorf("--memory %d: too little: the machine needs 256 MiB, and 1024 for lessons with images", c.Memory)
	case (c.Terminal || c.Join) && !term.IsTerminal(int(os.Stdin.Fd())):
		return errors.New("--terminal and --join need a terminal as standard input")
	}
	return nil
}

// playground makes one, with the root of its machine.
func (c *playCmd) playground(ctx context.Context) (*play.Playground, error) {
	root, err := stages.Root()
	if err != nil {
		return nil, err
	}
	if _, err := stages.Get(root, c.Lesson); err != nil {
		return nil, err
	}
	if c.Dir != "" {
		if c.Dir, err = filepath.Abs(c.Dir); err != nil {
			return nil, err
		}
	}
	if c.Host {
		return play.New(ctx, nil, c.Lesson, vm.Options{}), nil
	}
	if err := vm.Ready(c.Memory); err != nil {
		return nil, err
	}
	fmt.Println("building the stages …")
	dir, err := play.ProgramsDir()
	if err != nil {
		return nil, err
	}
	programs, err := play.MakePrograms(ctx, dir)
	if err != nil {
		return nil, err
	}
	files, missing, err := play.MakeRoot(programs)
	if err != nil {
		return nil, err
	}
	if len(missing) > 0 {
		fmt.Printf("not installed here, so missing in the machine: %s\n", strings.Join(missing, ", "))
	}
	ground := play.New(ctx, files, c.Lesson, vm.Options{Memory: c.Memory, Cgroups: c.Cgroup, Accel: c.Accel, Net: c.Net})
	ground.Missing(missing)
	return ground, nil
}

// inTerminal shows a shell here.
func (c *playCmd) inTerminal(ctx context.Context, ground *play.Playground) error {
	if !c.Host {
		fmt.Println("booting the machine …")
		if err := ground.Boot(); err != nil {
			return err
		}
	}
	fmt.Printf("A shell %s. Ctrl-D ends it; go run ./lessons play --join opens another one.\n", c.where())
	return c.attach(ctx, os.Getpid())
}

// where says where the shells are.
func (c *playCmd) where() string {
	if c.Host {
		return "on this host"
	}
	return "in a virtual machine"
}

// inBrowser serves the pages. The machine comes up meanwhile.
func (c *playCmd) inBrowser(ctx context.Context, ground *play.Playground) error {
	root, err := stages.Root()
	if err != nil {
		return err
	}
	stage, err := stages.Get(root, c.Lesson)
	if err != nil {
		return err
	}
	xterm, lacks := play.FetchXterm(ctx)
	web := &play.Web{Playground: ground, Xterm: xterm, Lacks: lacks,
		Site: &site.Server{Root: root, Calls: new(site.Builds).Calls, Token: site.NewToken(), Live: live.Handler()}}
	l, err := site.Listen(c.Port)
	if err != nil {
		return err
	}
	page := strings.TrimSuffix(filepath.Base(stage.Lesson()), ".md") + ".html"
	fmt.Printf("http://%s/%s/%s\nIts shells run %s. Only this host can open the page, and only with this address. Ctrl-C ends it.\n",
		l.Addr(), web.Site.Token, page, c.where())
	if !c.Host {
		go func() { c.boot(ctx, ground) }()
	}
	return serve(ctx, web, l)
}

// boot brings the machine up; the page says how that went, too.
func (c *playCmd) boot(ctx context.Context, ground *play.Playground) {
	if err := ground.Boot(); err != nil && ctx.Err() == nil {
		fmt.Fprintln(os.Stderr, "lessons:", err)
	}
}

func serve(ctx context.Context, web *play.Web, l net.Listener) error {
	return web.Site.ServeHandler(ctx, l, web.Handler())
}

// join opens a shell in a play that runs.
func (c *playCmd) join(ctx context.Context) error {
	pids, err := play.Running()
	if err != nil {
		return err
	}
	switch {
	case c.Pid != 0:
		return c.attach(ctx, c.Pid)
	case len(pids) == 0:
		return errors.New("you have no running play: start one with go run ./lessons play")
	case len(pids) > 1:
		return fmt.Errorf("several plays run: choose one with --pid; running: %s", strings.Trim(fmt.Sprint(pids), "[]"))
	}
	return c.attach(ctx, pids[0])
}

// attach shows a new terminal of a play here.
func (c *playCmd) attach(ctx context.Context, pid int) error {
	conn, err := play.Dial(ctx, pid)
	if err != nil {
		return err
	}
	defer conn.CloseNow()
	return play.Join(ctx, conn, os.Stdin, os.Stdout)
}
