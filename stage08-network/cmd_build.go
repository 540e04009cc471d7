// The verb build: its flags, how the Dockerfile is found and parsed (package dockerfile), and what
// is printed.

package main

import (
	"cmp"
	"errors"
	"fmt"
	"os"
	"runtime/debug"

	"stagebox/stage01-namespaces/plan"
	"stagebox/stage04-unionfs/state"
	"stagebox/stage05-images/interrupt"
	"stagebox/stage05-images/layer"
	"stagebox/stage05-images/oci"
	"stagebox/stage05-images/registry"
	"stagebox/stage05-images/registrycli"
	"stagebox/stage06-dockerfile/bases"
	"stagebox/stage06-dockerfile/buildcontext"
	"stagebox/stage06-dockerfile/buildflags"
	"stagebox/stage06-dockerfile/dockerfile"
)

type buildCmd struct {
	buildflags.Source

	Network string   `help:"Network of RUN: none, host for the host's, container:NAME, or one created by box network create." placeholder:"NET" default:"default"`
	AddHost []string `help:"Add a line to /etc/hosts of RUN; host-gateway is the host's address." placeholder:"NAME:IP|NAME=IP" sep:"none"`

	buildflags.Options

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
	return c.build(&builder{buildCmd: c, ctx: ctx})
}

// build builds, or checks the Dockerfile, and prints the image's id.
func (c *buildCmd) build(b *builder) (err error) {
	if err := c.CheckIDFile(); err != nil {
		return err
	}
	if err := b.prepare(); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, b.files.Close()) }()
	if c.Options.Check {
		return b.check()
	}
	image, err := b.run()
	if c.Picture != "" {
		fmt.Print(b.picture(c.Picture))
	}
	if err != nil {
		return err
	}
	if err := c.WriteIDFile(image); err != nil {
		return err
	}
	return errors.Join(b.outputs.PrintID(image, b.Tag), b.warn())
}

// limitFor returns the limits of a layer for something else that is unpacked or fetched.
func (b *builder) limitFor(what string) layer.Limit {
	limits := b.Store.limits.OrDefault()
	return func(bytes, files int64) error { return limits.CheckOf(what, bytes, files) }
}

// prepare parses the flags, opens the context and parses the Dockerfile.
func (b *builder) prepare() (err error) {
	flags, err := buildflags.Parse(b.Source, b.Options)
	if err != nil {
		return err
	}
	b.args, b.notes, b.secrets, b.want = flags.Args, flags.Notes, flags.Secrets, flags.Platform
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
		if b.Options.Check { // what precedes the mistake
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
	if err = bases.Check(b.file, b.globals, b.want, b.Options.Check); err != nil {
		return err
	}
	b.epoch, err = b.Epoch(b.args, b.globals, b.files.Newest)
	return err
}

// errBuild is the error of a build that was shown already.
type errBuild struct{ error }

// Unwrap leaves only the exit status, so that main prints nothing more.
func (errBuild) Unwrap() error { return plan.ExitStatus(1) }

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
