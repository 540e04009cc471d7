// The verb build: its flags, how the Dockerfile is found and parsed (package dockerfile), and what
// is printed.

package main

import (
	"cmp"
	"errors"
	"fmt"
	"os"
	"runtime/debug"

	"stagebox/stage04-unionfs/state"
	"stagebox/stage05-images/interrupt"
	"stagebox/stage05-images/layer"
	"stagebox/stage05-images/oci"
	"stagebox/stage05-images/registry"
	"stagebox/stage05-images/registrycli"
	"stagebox/stage06-dockerfile/buildcontext"
	"stagebox/stage06-dockerfile/buildflags"
	"stagebox/stage06-dockerfile/dockerfile"
)

type buildCmd struct {
	Context          string   `arg:"" help:"Directory that COPY and ADD take files from; - reads a tar archive or a Dockerfile from standard input."`
	Tag              []string `short:"t" help:"Name of the image." placeholder:"NAME" sep:"none"`
	File             string   `short:"f" help:"Path of the Dockerfile; - is standard input (default: CONTEXT/Dockerfile)." placeholder:"FILE"`
	BuildArg         []string `help:"Set a build argument; NAME alone copies it from the caller's environment." placeholder:"NAME=VALUE" sep:"none"`
	Target           string   `help:"Stage to build (default: the last)." placeholder:"STAGE"`
	Label            []string `help:"Set a label on the image." placeholder:"NAME=VALUE" sep:"none"`
	Platform         string   `help:"Platform to build for, such as linux/arm64 (default: the host's)." placeholder:"OS/ARCH"`
	Pull             bool     `help:"Check the registry for newer versions of all images."`
	Secret           []string `help:"Secret for RUN --mount=type=secret: id=NAME,src=FILE or id=NAME,env=VARIABLE." placeholder:"SPEC" sep:"none"`
	Network          string   `help:"Network of RUN: none, host for the host's, container:NAME, or one created by box network create." placeholder:"NET" default:"default"`
	AddHost          []string `help:"Add a line to /etc/hosts of RUN; host-gateway is the host's address." placeholder:"NAME:IP|NAME=IP" sep:"none"`
	Quiet            bool     `short:"q" help:"Print only the image's id."`
	Iidfile          string   `help:"Write the image's id to a file." placeholder:"FILE"`
	Progress         string   `help:"How to show progress: auto, plain, or tty to update in place." enum:"auto,plain,tty" default:"auto"`
	Check            bool     `help:"Check the Dockerfile for mistakes, without building."`
	Keep             bool     `help:"Keep the container of a RUN that fails."`
	NoCache          bool     `help:"Do not use the build cache."`
	Annotation       []string `help:"Add an annotation to the image's manifest." placeholder:"NAME=VALUE" sep:"none"`
	RewriteTimestamp bool     `help:"Clamp file times to SOURCE_DATE_EPOCH (a build argument or variable), so that equal builds give equal images."`

	Allow []string `help:"Permit RUN to ask for network.host or security.insecure." placeholder:"RIGHT" enum:"network.host,security.insecure"`

	OutputOptions

	CacheOptions

	registrycli.Remote

	Store Store `embed:""`

	layer.LimitFlags
}

// Run is `box build`.
func (c *buildCmd) Run() error {
	debug.SetGCPercent(400) // little is kept of a step: collecting it seldom is a tenth of the work
	return shown(c.interruptible())
}

// interruptible builds until Ctrl-C, or until the output is not read: then stop ends the process, and
// no error is shown.
func (c *buildCmd) interruptible() error {
	ctx, stop := interrupt.Context()
	defer stop()
	if err := c.Store.setLimits(c.LimitFlags); err != nil {
		return err
	}
	if err := c.checkNetwork(); err != nil {
		return err
	}
	return c.build(&builder{buildCmd: c, ctx: ctx, done: map[*dockerfile.Stage]*stageBuild{}})
}

// build builds, or checks the Dockerfile, and prints the image's id.
func (c *buildCmd) build(b *builder) (err error) {
	if c.Iidfile != "" {
		if err := state.CheckOutput(c.Iidfile); err != nil {
			return err
		}
	}
	if err := b.prepare(); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, b.files.Close()) }()
	if c.Check {
		return b.check()
	}
	image, err := b.run()
	if c.Picture != "" {
		fmt.Print(b.picture(c.Picture))
	}
	if err != nil {
		return err
	}
	if c.Iidfile != "" {
		err := state.Output(c.Iidfile, state.Volatile, func(out *os.File) error {
			_, err := out.WriteString(image.ID.String())
			return err
		})
		if err != nil {
			return err
		}
	}
	return errors.Join(b.printID(image), b.warn())
}

// limitFor returns the limits of a layer for something else that is unpacked or fetched.
func (b *builder) limitFor(what string) layer.Limit {
	limits := b.Store.limits.OrDefault()
	return func(bytes, files int64) error { return limits.CheckOf(what, bytes, files) }
}

// prepare parses the flags, opens the context and parses the Dockerfile.
func (b *builder) prepare() (err error) {
	if b.args, err = buildflags.KeyValues("--build-arg", b.BuildArg); err != nil {
		return err
	}
	if b.notes, err = buildflags.Annotations(b.Annotation); err != nil {
		return err
	}
	if b.secrets, err = buildflags.Secrets(b.Secret); err != nil {
		return err
	}
	for _, name := range b.Tag {
		if _, err := registry.ParseNewName(name); err != nil {
			return fmt.Errorf("--tag %w", err)
		}
	}
	if b.want, err = registry.ParsePlatform(b.Platform); err != nil {
		return err
	}
	if err = b.parseOutputs(); err != nil {
		return err
	}
	archive := buildcontext.Archive{
		Stdin: os.Stdin, Limit: b.limitFor("context"), Remove: Store{}.layers().Drop,
	}
	if b.files, err = buildcontext.Open(b.ctx, b.Context, b.File, archive); err != nil {
		return err
	}
	if err = b.parse(); err != nil {
		err = errors.Join(err, b.files.Close())
	}
	return err
}

// parse parses the Dockerfile, and what depends on its ARGs.
func (b *builder) parse() (err error) {
	b.file, err = dockerfile.ParseUpTo(b.files.Name, b.files.Dockerfile)
	if rules, given := b.args["BUILDKIT_DOCKERFILE_CHECK"]; given { // in place of the directive
		b.file.Check = rules
	}
	if err != nil {
		if b.Check { // what precedes the mistake
			_, errCheck := b.file.PrintWarnings(os.Stdout, "", b.checks())
			err = errors.Join(err, errCheck)
		}
		return err
	}
	target := cmp.Or(b.Target, "default")
	b.native = dockerfile.PlatformArgs(registry.FormatPlatform(oci.Here()), registry.FormatPlatform(b.want), target)
	if b.globals, err = b.file.Globals(b.native, b.args); err != nil {
		return err
	}
	if err = b.checkBases(); err != nil {
		return err
	}
	b.epoch, err = buildflags.Epoch(b.args, b.globals, b.files.Newest)
	if err == nil && b.epoch == nil && b.RewriteTimestamp {
		err = errors.New("--rewrite-timestamp: SOURCE_DATE_EPOCH is not set;" +
			" --build-arg SOURCE_DATE_EPOCH=SECONDS since 1970 sets it")
	}
	return err
}

// checkBases checks the platforms and the names of all images, also those of stages that are not
// needed. The checks of --check warn of a name.
func (b *builder) checkBases() error {
	for _, s := range b.file.Stages {
		if _, err := b.platform(s.From); err != nil {
			return err
		}
		base, err := b.file.BaseOf(s, b.globals)
		if err == nil && base != "scratch" && b.file.Parent(s, base) == nil {
			if _, err = registry.ParseReference(base); err != nil {
				err = s.From.ErrorAt(s.Base, "%v", err)
			}
		}
		if err != nil && !b.Check {
			return err
		}
	}
	return nil
}

// errBuild is the error of a build that was shown already.
type errBuild struct{ error }

// shown shows an error, and its place in the Dockerfile.
func shown(err error) error {
	place := (*dockerfile.Error)(nil)
	switch {
	case err == nil, errors.As(err, new(errBuild)):
		return err
	case errors.As(err, &place):
		fmt.Fprint(os.Stderr, place.Show())
	default:
		fmt.Fprintln(os.Stderr, "box:", err)
	}
	fmt.Fprint(os.Stderr, state.Advice(err))
	return errBuild{err}
}

// check prints the warnings for the Dockerfile, which are a failure.
func (b *builder) check() error {
	n, err := b.file.PrintWarnings(os.Stdout, "", b.checks())
	if err != nil {
		return err
	}
	if n > 0 {
		return errBuild{errors.New("there are warnings")}
	}
	fmt.Println("Check complete, no warnings found.")
	return nil
}

// warn prints the warnings after a build.
func (b *builder) warn() error {
	if b.Quiet {
		return nil
	}
	_, err := b.file.PrintWarnings(os.Stderr, "warning: ", b.checks())
	for _, name := range b.file.Undeclared(b.args, b.native, b.globals, b.onBuild) {
		fmt.Fprintf(os.Stderr, "warning: --build-arg %s: the Dockerfile has no ARG %s\n", name, name)
	}
	return err
}

// checks are what the checks of the Dockerfile need to know.
func (b *builder) checks() dockerfile.CheckOptions {
	return dockerfile.CheckOptions{
		Args: b.args, Platform: b.native, Ignore: b.files.Ignore,
		ImageEnv: b.imageEnv,
		ValidImage: func(name string) bool {
			_, err := registry.ParseReference(name)
			return err == nil
		},
	}
}

// imageEnv returns the variables of an image that the store has.
func (b *builder) imageEnv(name string) (map[string]string, bool) {
	image, err := b.Store.layout().Find(name)
	if err != nil {
		return nil, false
	}
	return dockerfile.EnvMap(image.Config.Config.Env), true
}
