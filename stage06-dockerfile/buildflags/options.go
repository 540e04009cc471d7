package buildflags

import (
	"cmp"
	"errors"
	"fmt"
	"os"
	"time"

	"stagebox/stage02-cgroups/units"
	"stagebox/stage04-unionfs/state"
	"stagebox/stage05-images/oci"
	"stagebox/stage05-images/ocispec"
	"stagebox/stage05-images/registry"
)

// Source is the flags of a build for what is built.
type Source struct {
	Context  string   `arg:"" help:"Directory that COPY and ADD take files from; - reads a tar archive or a Dockerfile from standard input."`
	Tag      []string `short:"t" help:"Name of the image." placeholder:"NAME" sep:"none"`
	File     string   `short:"f" help:"Path of the Dockerfile; - is standard input (default: CONTEXT/Dockerfile)." placeholder:"FILE"`
	BuildArg []string `help:"Set a build argument; NAME alone copies it from the caller's environment." placeholder:"NAME=VALUE" sep:"none"`
	Target   string   `help:"Stage to build (default: the last)." placeholder:"STAGE"`
	Label    []string `help:"Set a label on the image." placeholder:"NAME=VALUE" sep:"none"`
	Platform string   `help:"Platform to build for, such as linux/arm64 (default: the host's)." placeholder:"OS/ARCH"`
	Pull     bool     `help:"Check the registry for newer versions of all images."`
	Secret   []string `help:"Secret for RUN --mount=type=secret: id=NAME,src=FILE or id=NAME,env=VARIABLE." placeholder:"SPEC" sep:"none"`
}

// Options is the flags of a build for how it is done, and what is shown of it.
type Options struct {
	Quiet            bool     `short:"q" help:"Print only the image's id."`
	Iidfile          string   `help:"Write the image's id to a file." placeholder:"FILE"`
	Progress         string   `help:"How to show progress: auto, plain, or tty to update in place." enum:"auto,plain,tty" default:"auto"`
	Check            bool     `help:"Check the Dockerfile for mistakes, without building."`
	Keep             bool     `help:"Keep the container of a RUN that fails."`
	NoCache          bool     `help:"Do not use the build cache."`
	Annotation       []string `help:"Add an annotation to the image's manifest." placeholder:"NAME=VALUE" sep:"none"`
	RewriteTimestamp bool     `help:"Clamp file times to SOURCE_DATE_EPOCH (a build argument or variable), so that equal builds give equal images."`

	Allow []string `help:"Permit RUN to ask for network.host or security.insecure." placeholder:"RIGHT" enum:"network.host,security.insecure"`

	ShmSize units.Size `help:"Size of /dev/shm of RUN (default: 64m)." placeholder:"BYTES"`
	Ulimit  []string   `help:"Set a resource limit of RUN, such as nofile=1024:4096; see prlimit(1)." placeholder:"NAME=SOFT[:HARD]" sep:"none"`
}

// Values are the flags that have a grammar, as they were parsed.
type Values struct {
	Args     map[string]string // --build-arg
	Notes    map[string]string // --annotation
	Secrets  map[string]Secret
	Platform ocispec.Platform // --platform, or the host's
}

// Parse parses the flags that have a grammar, and checks the names of --tag.
func Parse(s Source, o Options) (v Values, err error) {
	if v.Args, err = keyValues("--build-arg", s.BuildArg); err != nil {
		return v, err
	}
	if v.Notes, err = annotations(o.Annotation); err != nil {
		return v, err
	}
	if v.Secrets, err = secrets(s.Secret); err != nil {
		return v, err
	}
	for _, name := range s.Tag {
		if _, err := registry.ParseNewName(name); err != nil {
			return v, fmt.Errorf("--tag %w", err)
		}
	}
	v.Platform, err = registry.ParsePlatform(s.Platform)
	return v, cmp.Or(err, o.checkLimits())
}

// Epoch returns the time of SOURCE_DATE_EPOCH, in seconds since 1970, or nil if it is not set. It
// is looked for in --build-arg, in the caller's environment, which is then added to args, and in
// an ARG above the first FROM. With --rewrite-timestamp, a missing time is an error.
func (o Options) Epoch(args, globals map[string]string, context func() (*time.Time, error)) (*time.Time, error) {
	at, err := epoch(args, globals, context)
	if err == nil && at == nil && o.RewriteTimestamp {
		err = errors.New("--rewrite-timestamp: SOURCE_DATE_EPOCH is not set;" +
			" --build-arg SOURCE_DATE_EPOCH=SECONDS since 1970 sets it")
	}
	return at, err
}

// CheckIDFile returns the error that WriteIDFile would end with, as far as it can be known before.
func (o Options) CheckIDFile() error {
	if o.Iidfile == "" {
		return nil
	}
	return state.CheckOutput(o.Iidfile)
}

// WriteIDFile writes the id of an image to the file of --iidfile, if that is given.
func (o Options) WriteIDFile(image *oci.Image) error {
	if o.Iidfile == "" {
		return nil
	}
	return state.Output(o.Iidfile, state.Volatile, func(out *os.File) error {
		_, err := out.WriteString(image.ID.String())
		return err
	})
}
