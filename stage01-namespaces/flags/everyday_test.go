package flags

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/alecthomas/kong"
	"github.com/stretchr/testify/require"
)

// words is a command that has one of each kind.
type words struct {
	listed

	Caps  []string `help:"Split: \"a,b\"."`
	When  string   `enum:"now,later" default:"now"`
	Level *int     `name:"LEVEL"`
	Limit level    `default:"7"`
	Home  string   `env:"TEST_EVERYDAY_HOME"`
	ABC   string
	Show  form
	Wait  time.Duration
	Maybe *bool
}

type listed struct {
	command

	given []string
}

func (w *words) Run() error { return errors.New("run") }

func (w *words) AfterApply(ctx *kong.Context) error {
	for _, step := range ctx.Path {
		if step.Flag != nil {
			w.given = append(w.given, step.Flag.Name)
		}
	}
	if w.User == "refused" {
		return errors.New("refused")
	}
	return nil
}

type level int

func (l *level) UnmarshalText(text []byte) error {
	if *l = level(len(text)); len(text) > 3 {
		return errors.New("too long")
	}
	return nil
}

type form string

func (form) IsBool() bool { return true }

func (f *form) Decode(ctx *kong.DecodeContext) error {
	*f = "bare"
	if ctx.Scan.Peek().Type == kong.FlagValueToken {
		*f = form(ctx.Scan.Pop().String())
	}
	return nil
}

func TestParse(t *testing.T) {
	t.Setenv("TEST_EVERYDAY_HOME", "/home")
	for line, isTaken := range map[string]bool{
		"":                             true,
		"sh -c --help":                 true,
		"-iq -u0 -u=1 -e A=b,c -e= sh": true,
		"--user==0 --time=-5 --input=false -t 0x10 -": true,
		"-- sh -i": true,
		"--caps a --caps=b --when later --wait-not": false,
		"--caps a --caps=b --when later -h é":       true,
		"--caps a,b":                                false,
		"--when never":                              false,
		"--LEVEL 3 --LEVEL=4 --limit abc --home=":   true,
		"--limit abcd":                              false,
		"--abc x":                                   false,
		"--show":                                    true,
		"--show=x sh":                               true,
		"--wait 1s":                                 false,
		"--maybe true":                              true,
		"--maybe=false sh":                          true,
		"-u refused":                                false,
		"-u":                                        false,
		"-u -i":                                     false,
		"-i=yes":                                    false,
		"-x":                                        false,
		"--help":                                    false,
		"-h \xff":                                   false,
	} {
		args := strings.Fields(line)
		var ours, theirs words
		run := Parse(&ours, args)
		require.Equal(t, isTaken, run != nil, line)
		if !isTaken {
			continue
		}
		require.EqualError(t, run(), "run")
		k, err := kong.New(&theirs, kong.PostBuild(asDocker), kong.WithHyphenPrefixedParameters(true))
		require.NoError(t, err)
		_, err = k.Parse(args)
		require.NoError(t, err, line)
		require.Equal(t, theirs, ours, line)
	}
}

type parent struct {
	Child words `cmd:""`
	Other struct {
		Names []string `arg:""`
	} `cmd:""`
}

func TestParseSubcommand(t *testing.T) {
	var p parent
	require.NotNil(t, Parse(&p, []string{"child", "--user", "0"}))
	require.Equal(t, "0", p.Child.User)
	for _, line := range []string{"", "--user 0 child", "chil", "other x"} {
		require.Nil(t, Parse(&p, strings.Fields(line)), line)
	}
}

type several struct {
	Names []string `arg:""`
	Force bool
}

func (*several) Run() error { return nil }

type unknownTag struct {
	Name string `xor:"a"`
}

func (*unknownTag) Run() error { return nil }

func TestParseArguments(t *testing.T) {
	var s several
	require.NotNil(t, Parse(&s, []string{"--force", "a", "b"}))
	require.Equal(t, several{[]string{"a", "b"}, true}, s)
	require.NotNil(t, Parse(&s, []string{"a,b", "--force"}))
	require.Equal(t, several{[]string{"a,b"}, true}, s)
	require.Nil(t, Parse(&s, nil), "a name is missing")
	require.Nil(t, Parse(&s, []string{"a", "--force", "b"}), "kong says that b is unexpected")
	require.Nil(t, Parse(&s, []string{"--", "a"}))
	require.Nil(t, Parse(&unknownTag{}, nil), "a tag that only kong knows")
}

type place struct {
	Root  string `env:"PLACE_ROOT"`
	hooks int
}

func (p *place) AfterApply() error { p.hooks++; return nil }

type placed struct {
	Place place `json:"-" embed:""`
	Force bool
	hooks int
}

func (p *placed) AfterApply() error { p.hooks++; return nil }

func (*placed) Run() error { return nil }

type prefixed struct {
	Place place `embed:"" prefix:"in-"`
}

func (*prefixed) Run() error { return nil }

// A field with a name is embedded by its tag: its flags are the command's, as kong has it.
func TestParseEmbedded(t *testing.T) {
	t.Setenv("PLACE_ROOT", "/env")
	for _, args := range [][]string{{"--root", "/a", "--force"}, {"--force"}} {
		var ours, theirs placed
		require.NotNil(t, Parse(&ours, args))
		k, err := kong.New(&theirs, kong.PostBuild(asDocker))
		require.NoError(t, err)
		_, err = k.Parse(args)
		require.NoError(t, err)
		require.Equal(t, theirs, ours)
	}
	require.Nil(t, Parse(&prefixed{}, nil), "only kong knows prefixes")
}
