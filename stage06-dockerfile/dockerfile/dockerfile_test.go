package dockerfile

import (
	"bytes"
	"encoding/json"
	"maps"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// archived reads `-- NAME [changes] --` and the text below it, as the recorder does.
func archived(t testing.TB, path string) map[string][]byte {
	src, err := os.ReadFile(path)
	require.NoError(t, err)
	files := map[string][]byte{}
	for part := range bytes.SplitSeq(src, []byte("\n-- ")) {
		head, text, ok := bytes.Cut(part, []byte(" --\n"))
		words := strings.Fields(string(head))
		if !ok || len(words) == 0 {
			continue
		}
		text = append(slices.Clone(text), '\n')
		if slices.Contains(words, "noeol") {
			text = bytes.TrimSuffix(text, []byte("\n"))
		}
		if slices.Contains(words, "crlf") {
			text = bytes.ReplaceAll(text, []byte("\n"), []byte("\r\n"))
		}
		if slices.Contains(words, "bom") {
			text = append([]byte("\xef\xbb\xbf"), text...)
		}
		files[words[0]] = text
	}
	return files
}

// recorded is what BuildKit made of a Dockerfile.
type recorded struct {
	Error        string
	Escape       string
	Instructions []map[string]any
	CheckError   string
	Warnings     map[string][]string
}

func records(t testing.TB, path string, into any) {
	src, err := os.ReadFile(path)
	require.NoError(t, err)
	require.NoError(t, json.Unmarshal(src, into))
}

var testEnvironments = []map[string]string{
	{},
	{"A": "alpha", "B": "beta gamma", "EMPTY": "", "V": "1.2.3-rc.4", "P": "/opt/app/bin", "PATH": "/bin", "N": "80", "Q": `q"uo'te`, "U": "übermäßig", "S": `back\slash`, "D": "$A", "HOME": "/root"},
}

// strictHere are the files that BuildKit accepts, and the sentence that they get here: a
// flag that means nothing, a trigger that could never run, a file that is not text.
var strictHere = map[string]string{
	"strict-arg-flag":         "ARG has no flag --x",
	"strict-health-none-flag": "HEALTHCHECK has no flag --bogus",
	"strict-nul":              "NUL character",
	"strict-onbuild-flag":     "RUN has no flag --mout: did you mean --mount?",
	"strict-onbuild-unknown":  "unknown instruction RUNN: did you mean RUN?",
	"strict-stopsignal-flag":  "STOPSIGNAL has no flag --x",
}

func TestDockerfilesAreReadAsByBuildKit(t *testing.T) {
	var want map[string]recorded
	records(t, "testdata/dockerfiles.json", &want)
	files := archived(t, "testdata/dockerfiles.txtar")
	require.Greater(t, len(want), 300)
	for _, name := range slices.Sorted(maps.Keys(want)) {
		t.Run(name, func(t *testing.T) {
			w := want[name]
			f, err := Parse("Dockerfile", files[name])
			if sentence, ok := strictHere[name]; ok {
				require.Empty(t, w.Error)
				require.ErrorContains(t, err, sentence)
				return
			}
			if w.Error != "" {
				require.Error(t, err, w.Error)
				return
			}
			if err != nil && w.CheckError != "" { // BuildKit finds it a step later
				require.Regexp(t, "--from=|circular|comes below", err.Error())
				return
			}
			require.NoError(t, err)
			require.Equal(t, w.Escape, string(f.Escape))
			var got []map[string]any
			for _, in := range append(slices.Clone(f.Args), f.all()...) {
				got = append(got, neutralWithExpansions(t, in))
			}
			requireSameJSON(t, w.Instructions, got)
		})
	}
}

func requireSameJSON(t testing.TB, want, got any) {
	w, err := json.Marshal(want)
	require.NoError(t, err)
	g, err := json.Marshal(got)
	require.NoError(t, err)
	require.JSONEq(t, string(w), string(g))
}

// neutralWithExpansions is an instruction in the recorder's form.
func neutralWithExpansions(t testing.TB, in *Instruction) map[string]any {
	v := neutral(in)
	v["lines"], v["keyword"], v["text"], v["comments"] = []int{in.First, in.Last}, in.Keyword, in.Text, in.Comments
	for i, env := range testEnvironments {
		key := "expanded" + strconv.Itoa(i)
		out, err := in.Expand(LookupIn(env))
		if err != nil {
			v[key] = "error"
			continue
		}
		x := neutral(out)
		for field, value := range x {
			if same(t, value, v[field]) {
				delete(x, field)
			}
		}
		if len(x) > 0 {
			v[key] = x
		}
	}
	for field, value := range v {
		for _, nothing := range []any{nil, []string{}, false, "", map[string]any{}} {
			if same(t, value, nothing) {
				delete(v, field)
			}
		}
	}
	return v
}

func same(t testing.TB, a, b any) bool {
	x, err := json.Marshal(a)
	require.NoError(t, err)
	y, err := json.Marshal(b)
	require.NoError(t, err)
	return bytes.Equal(x, y)
}

func neutral(in *Instruction) map[string]any {
	v, flags := map[string]any{}, map[string]any{}
	for name, values := range in.Flags {
		kinds, _ := flagsOf(in.Name)
		switch {
		case name == "unpack" || name == "keep-git-dir": // not given is a third answer
			flags[name] = map[string]string{"true": "yes", "false": "no"}[values[0]]
		case slices.Contains(kinds, name) && values[0] == "true":
			flags[name] = true
		case !slices.Contains(kinds, name) && name != "mount" && name != "device" && in.Name != "HEALTHCHECK" && strings.Join(values, "\n") != "":
			flags[name] = strings.Join(values, "\n")
		}
	}
	var docs, pairs, mounts []any
	for _, d := range in.Docs {
		last := d.Expand
		if in.Name == "RUN" {
			last = d.Chomp
		}
		docs = append(docs, []any{d.Name, d.Content, last})
	}
	for _, p := range in.Pairs {
		pairs = append(pairs, []any{p.Name, p.Value, p.Bare || p.Old})
	}
	for _, m := range in.Mounts {
		mounts = append(mounts, []any{m.Type, m.From, m.Source, m.Target, m.ID, m.Sharing, m.ReadOnly, m.Required, m.Size, m.Env, m.Mode, m.UID, m.GID})
	}
	args := in.Args
	switch in.Name {
	case "FROM":
		args = in.Args[:1]
		if len(in.Args) == 3 {
			v["stage"] = strings.ToLower(in.Args[2])
		}
	case "HEALTHCHECK":
		args, v["health"] = nil, in.Health
	case "RUN", "CMD", "ENTRYPOINT":
		v["json"] = in.JSON
	}
	v["args"], v["docs"], v["pairs"], v["mounts"], v["flags"] = args, docs, pairs, mounts, flags
	return v
}

// requireError is the error with its place.
func requireError(t testing.TB, err error) *Error {
	var e *Error
	require.ErrorAs(t, err, &e)
	return e
}

func TestErrorsShowLineAndCaret(t *testing.T) {
	for src, want := range map[string]string{
		"FROM a\n\nRUUN echo hi\n": `
Dockerfile:3: unknown instruction RUUN: did you mean RUN?
  3 | RUUN echo hi
    | ^^^^
`,
		"FROM a\nCOPY \\\n\t--form=b x y\n": `
Dockerfile:3: COPY has no flag --form: did you mean --from?
  2 | COPY \
  3 | 	--form=b x y
    | 	^^^^^^
`,
		"FROM a\nRUN cat <<END\nx\n": `
Dockerfile:2: the here-document never ends: no line is END alone
  2 | RUN cat <<END
    |         ^^^^^
`,
		"FROM ä\nENV ü=ö --x\n": `
Dockerfile:2: ENV: there is no = in "--x"; a value with blanks needs quotes
  2 | ENV ü=ö --x
    |         ^^^
`,
		"FROM a\nCMD [\"a\", 1]\n": `
Dockerfile:2: value 2 of the JSON list is not a string: put it in double quotes
  2 | CMD ["a", 1]
    |     ^
`,
		"FROM a AS b\nCOPY --from=c x y\nFROM b AS c\n": `
Dockerfile:2: stage c comes below this one, and may even need it: put it above; two stages that need each other are circular
  2 | COPY --from=c x y
    |             ^
`,
		"FROM a AS me\nRUN --mount=type=bind,from=me,target=/x y\n": `
Dockerfile:2: circular: stage me would take files from itself
  2 | RUN --mount=type=bind,from=me,target=/x y
    |                            ^^
`,
		"FROM a\nRUN --mount=type=cach,target=/x y\n": "",
		"FROM a\nHEALTHCHECK --interval=x CMD y\n": `
Dockerfile:2: --interval=x: give a time of at least 1ms, such as 30s or 1m30s
  2 | HEALTHCHECK --interval=x CMD y
    |             ^^^^^^^^^^
`,
		"RUN x\n": `
Dockerfile:1: RUN precedes the first FROM: only ARG may
  1 | RUN x
    | ^^^
`,
		"FROM a\nRUN \x1b[31m\x00\n": "\nDockerfile:2: a NUL character: a Dockerfile is text, and this may be another kind of file\n  2 | RUN \uFFFD[31m\uFFFD\n    |          ^\n",
		"":                           "\nDockerfile: there is no FROM in it: begin with FROM and the image to start with, or FROM scratch\n",
		"# escape=x\nFROM a\n":       "\nDockerfile:1: escape=x: there are \\ and `\n  1 | # escape=x\n    |          ^\n",
	} {
		_, err := Parse("Dockerfile", []byte(src))
		if want == "" { // type may hold a variable, so it is known wrong only when expanded
			require.NoError(t, err, src)
			continue
		}
		require.Equal(t, want[1:], requireError(t, err).Show(), src)
	}
}

func TestExpansionErrorsShowTheirPlace(t *testing.T) {
	f, err := Parse("Dockerfile", []byte("FROM a\nENV x=1 \\\n  y=\"open\nUSER ${U:?who runs it}\nRUN --mount=type=cach,target=/x y\n"))
	require.NoError(t, err)
	steps := f.Stages[0].Steps
	_, err = steps[0].Expand(noVariables)
	require.Equal(t, "Dockerfile:3: \"open: the closing \" is missing\n  2 | ENV x=1 \\\n  3 |   y=\"open\n    |     ^^^^^\n", requireError(t, err).Show())
	_, err = steps[1].Expand(noVariables)
	require.Equal(t, "Dockerfile:4: ${U:?who runs it}: U: who runs it\n  4 | USER ${U:?who runs it}\n    |      ^^^^^^^^^^^^^^^^^\n", requireError(t, err).Show())
	_, err = steps[2].Expand(noVariables)
	require.ErrorContains(t, err, `: --mount=type=cach,target=/x: unknown mount type "cach"; available: bind, cache, tmpfs, secret, ssh`)
}

func TestTriggersAreKeptAndReadAgain(t *testing.T) {
	f, err := Parse("Dockerfile", []byte("FROM a\nONBUILD RUN <<E\necho hi\nE\nONBUILD COPY . /src\n"))
	require.NoError(t, err)
	run, err := ParseTrigger(f.Stages[0].Steps[0].Args[0], '\\')
	require.NoError(t, err)
	require.Equal(t, "RUN", run.Name)
	require.Equal(t, []Heredoc{{Name: "E", Content: "echo hi\n", Expand: true}}, run.Docs)
	for _, text := range []string{"", "FROM x", "ONBUILD RUN x", "RUN x\nRUN y", "NOPE"} {
		_, err := ParseTrigger(text, '\\')
		require.Error(t, err, text)
	}
}

func TestParentIsTheNearestStageAbove(t *testing.T) {
	f, err := Parse("Dockerfile", []byte("FROM x AS a\nFROM y AS a\nFROM a AS b\nFROM c\n"))
	require.NoError(t, err)
	require.Equal(t, f.Stages[1], f.Parent(f.Stages[2], "a"))
	require.Equal(t, f.Stages[0], f.Parent(f.Stages[1], "a"))
	require.Nil(t, f.Parent(f.Stages[0], "a"))
	require.Nil(t, f.Parent(f.Stages[3], "A"))
	require.Equal(t, f.Stages[1], f.StageNamed("A"))
	require.True(t, f.Stages[1].IsCalled("A") && f.Stages[1].IsCalled("1"))
	require.False(t, f.Stages[1].IsCalled("") || f.Stages[1].IsCalled("0") || f.Stages[1].IsCalled("b"))
}

func TestLabelOfAStage(t *testing.T) {
	f, err := Parse("Dockerfile", []byte("FROM x\n"))
	require.NoError(t, err)
	require.Empty(t, f.Label(f.Stages[0]))
	f, err = Parse("Dockerfile", []byte("FROM x\nFROM y AS last\n"))
	require.NoError(t, err)
	require.Equal(t, "stage-0 last", f.Label(f.Stages[0])+" "+f.Label(f.Stages[1]))
}

func TestDestination(t *testing.T) {
	type place struct {
		dest  string
		isDir bool
	}
	for text, want := range map[string]place{
		"COPY a /b":           {"/b", false},
		"COPY a /b/":          {"/b", true},
		"COPY a .":            {"/work", true},
		"COPY a b/./":         {"/work/b", true},
		"COPY a ../b":         {"/b", false},
		"COPY a /b/.":         {"/b", true},
		"COPY --parents a /b": {"/b", true},
		"ADD a b":             {"/work/b", false},
	} {
		f, err := Parse("Dockerfile", []byte("FROM x\n"+text+"\n"))
		require.NoError(t, err)
		dest, isDir := f.Stages[0].Steps[0].Destination("work")
		require.Equal(t, want, place{dest, isDir}, text)
	}
}

// FuzzDockerfile parses, expands and checks: no input may end in a panic, and every error
// of the parser has a place in the file.
func FuzzDockerfile(f *testing.F) {
	for name, src := range archived(f, "testdata/dockerfiles.txtar") {
		if !strings.HasSuffix(name, ".dockerignore") {
			f.Add(src)
		}
	}
	f.Add([]byte("\\"))
	f.Add([]byte("\xef\xbb\xbf\xef\xbb\xbfFROM a\n\xff"))
	f.Add([]byte("FROM a\nCOPY <<-E ${*ARG $$}}:+-"))
	f.Fuzz(func(t *testing.T, src []byte) {
		file, err := Parse("Dockerfile", src)
		if err != nil {
			e := requireError(t, err)
			require.Contains(t, e.Show(), e.Message)
			return
		}
		for _, in := range file.all() {
			require.True(t, 0 < in.First && in.First <= in.Last && in.Last <= len(file.lines))
			if _, err := in.Expand(LookupIn(testEnvironments[1])); err != nil {
				require.NotEmpty(t, requireError(t, err).Show())
			}
		}
		if warnings, _, err := Check(file, CheckOptions{}); err == nil {
			for _, w := range warnings {
				require.True(t, 0 < w.First && w.First <= len(file.lines), w)
			}
		}
	})
}
