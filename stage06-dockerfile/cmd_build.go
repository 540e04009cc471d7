// The verb build: its flags, the grammars of those that have one, and what it prints.
package main

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"strings"

	"stagebox/stage06-dockerfile/dockerfile"
)

type buildCmd struct {
	Context  string   `arg:"" help:"The directory that COPY takes files from; - is a tar archive or a Dockerfile on standard input."`
	Tag      []string `short:"t" help:"A name for the image." placeholder:"NAME" sep:"none"`
	File     string   `short:"f" help:"The Dockerfile; - is standard input. Usual is Dockerfile in the context." placeholder:"FILE"`
	BuildArg []string `help:"A value for an ARG; NAME alone takes the caller's." placeholder:"NAME=VALUE" sep:"none"`
	Target   string   `help:"The stage to build; usual is the last." placeholder:"STAGE"`
	Label    []string `help:"A label for the image." placeholder:"NAME=VALUE" sep:"none"`
	Platform string   `help:"Another than this machine's: linux/arm64." placeholder:"OS/ARCH"`
	Pull     bool     `help:"Ask the registries for all images, also for those that are here."`
	Secret   []string `help:"A secret for RUN --mount=type=secret: id=NAME,src=FILE or id=NAME,env=VARIABLE." placeholder:"SPEC" sep:"none"`
	Network  string   `help:"The network of RUN: none, or host for the host's." enum:"default,none,host" default:"default"`
	Quiet    bool     `short:"q" help:"Print the image's id alone."`
	Iidfile  string   `help:"A file to write the image's id to." placeholder:"FILE"`
	Progress string   `help:"How to tell of the steps: tty in place, plain in lines, auto." enum:"auto,plain,tty" default:"auto"`
	Check    bool     `help:"Do not build; tell what in the Dockerfile is doubtful."`
	Keep     bool     `help:"Keep the container of a RUN that fails."`
	NoCache  bool     `help:"Take no step from an earlier build."`
	Allow    []string `help:"What a RUN may have: network.host, security.insecure." placeholder:"RIGHT" enum:"network.host,security.insecure"`

	Remote

	Store

	LayerLimits
}

// Run is `box build`.
func (c *buildCmd) Run() error {
	ctx, stop := interruptible()
	defer stop()
	c.Store.limits = c.LayerLimits
	b := &builder{buildCmd: c, ctx: ctx, done: map[*dockerfile.Stage]*stageBuild{}}
	return shown(b.run())
}

// errBuild is a build that failed: what is wrong was shown already.
type errBuild struct{ error }

// shown shows what went wrong, and where in the Dockerfile it is.
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
	return errBuild{err}
}

// keyValues reads NAME=VALUE; NAME alone takes the caller's value.
func keyValues(flag string, list []string) (map[string]string, error) {
	values := map[string]string{}
	for _, text := range list {
		name, value, given := strings.Cut(text, "=")
		if name == "" {
			return nil, fmt.Errorf("%s %q: give NAME=VALUE", flag, text)
		}
		if !given {
			if value, given = os.LookupEnv(name); !given {
				continue
			}
		}
		values[name] = value
	}
	return values, nil
}

// check prints what is doubtful in the Dockerfile.
func (b *builder) check() error {
	warnings, fatal, err := b.warnings()
	if err != nil {
		return err
	}
	for _, w := range warnings {
		fmt.Println(w)
	}
	if len(warnings) == 0 {
		fmt.Println("Check complete, no warnings found.")
	}
	if fatal && len(warnings) > 0 {
		return errBuild{errors.New("the Dockerfile wants warnings to be errors")}
	}
	return nil
}

// secret is what --secret gives: the content of a file or a variable.
type secret struct{ file, env string }

// parseSecrets reads id=NAME,src=FILE and id=NAME,env=VARIABLE.
func parseSecrets(list []string) (map[string]secret, error) {
	secrets := map[string]secret{}
	for _, spec := range list {
		id, s := "", secret{}
		for word := range bytes.SplitSeq([]byte(spec), []byte(",")) {
			key, value, _ := bytes.Cut(word, []byte("="))
			switch string(key) {
			case "id":
				id = string(value)
			case "src", "source":
				s.file = string(value)
			case "env":
				s.env = string(value)
			case "type":
			default:
				return nil, fmt.Errorf("--secret %s: %q is not known: there are id, src and env", spec, key)
			}
		}
		if id == "" {
			return nil, fmt.Errorf("--secret %s: give it a name with id=", spec)
		}
		if s.file == "" && s.env == "" {
			s.env = id
			if _, set := os.LookupEnv(id); !set {
				s = secret{file: id}
			}
		}
		secrets[id] = s
	}
	return secrets, nil
}

// read returns what the secret is.
func (s secret) read() ([]byte, error) {
	if s.env != "" {
		value, set := os.LookupEnv(s.env)
		if !set {
			return nil, fmt.Errorf("the variable %s is not set", s.env)
		}
		return []byte(value), nil
	}
	return os.ReadFile(s.file)
}
