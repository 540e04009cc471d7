package dockerfile

import (
	"maps"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/distribution/reference"
	"github.com/stretchr/testify/require"
)

// knownImages have a PATH and nothing else, as the recorder's.
var knownImages = CheckOptions{Platform: PlatformArgs("linux/amd64", "linux/amd64", ""), ImageEnv: func(string) (map[string]string, bool) {
	return map[string]string{"PATH": "/usr/bin:/bin"}, true
}, ValidImage: func(name string) bool { _, err := reference.ParseDockerRef(name); return err == nil }}

// ourRules are those that Docker does not have.
var ourRules = []string{"AptGetUpdateAlone", "BrokenJSON", "CopyBeforeInstall", "InvalidatesEarly", "PackageListsNotCleaned"}

// foundByBuild are errors that the build finds and the check cannot: what a word means.
const foundByBuild = "invalid signal|invalid containerPort|invalid port|failed to parse stage name|invalid mount target|failed to parse platform|numeric uid|VOLUME specified"

func TestChecksWarnAsDockers(t *testing.T) {
	var want map[string]recorded
	records(t, "testdata/dockerfiles.json", &want)
	files := archived(t, "testdata/dockerfiles.txtar")
	rules := map[string]bool{}
	for _, name := range slices.Sorted(maps.Keys(want)) {
		w := want[name]
		if _, strict := strictHere[name]; w.Error != "" || strict {
			continue
		}
		f, err := Parse("Dockerfile", files[name])
		o := knownImages
		if src, ok := files[name+".dockerignore"]; ok {
			var e error
			o.Ignore, e = ParseIgnore(".dockerignore", src)
			require.NoError(t, e)
		}
		var warnings []Warning
		fatal := false
		if err == nil {
			warnings, fatal, err = Check(f, o)
		}
		got := map[string][]string{}
		for _, warning := range warnings {
			line := strconv.Itoa(warning.First)
			if !slices.Contains(ourRules, warning.Rule) && !slices.Contains(got[line], warning.Rule) {
				got[line] = append(got[line], warning.Rule)
				slices.Sort(got[line])
				rules[warning.Rule] = true
			}
		}
		switch {
		case strings.HasPrefix(w.CheckError, "lint violation"):
			require.True(t, fatal && len(got) > 0, name)
		case w.CheckError != "" && err == nil:
			require.Regexp(t, foundByBuild, w.CheckError, name)
		case w.CheckError == "":
			require.NoError(t, err, name)
			require.Equal(t, len(w.Warnings), len(got), "%s: %v", name, got)
			for line, rules := range w.Warnings {
				require.Equal(t, rules, got[line], "%s, line %s", name, line)
			}
		}
	}
	require.Len(t, rules, 21, "the corpus shows every rule of Docker's: %v", rules)
}

func TestChecksOfLayersAndCache(t *testing.T) {
	for src, want := range map[string][]string{
		"RUN apt-get update":                                                             {"2 AptGetUpdateAlone"},
		"RUN apt-get -qq update && apt-get install -y x":                                 {"2 PackageListsNotCleaned"},
		"RUN apt-get update && apt-get install -y x && rm -rf /var/lib/apt/lists/*":      nil,
		"RUN <<E\napt-get update\nE":                                                     {"2 AptGetUpdateAlone"},
		"RUN --mount=type=cache,target=/var/lib/apt apt-get update && apt-get install x": nil,
		"RUN apk add x":                              {"2 PackageListsNotCleaned"},
		"RUN apk add --no-cache x":                   nil,
		"RUN dnf -y install x":                       {"2 PackageListsNotCleaned"},
		"RUN dnf -y install x && dnf clean all":      nil,
		"COPY . /app\nRUN npm ci":                    {"3 CopyBeforeInstall"},
		"COPY package.json ./\nRUN npm ci\nCOPY . .": nil,
		"COPY --from=x . /app\nRUN npm ci":           nil,
		"CMD [\"a\"]\nRUN b":                         {"2 InvalidatesEarly"},
		"RUN b\nCMD [\"a\"]":                         nil,
		"ENV APP_VERSION=1\nRUN b":                   {"2 InvalidatesEarly"},
		"ENV APP_VERSION=1\nRUN b $APP_VERSION":      nil,
		"WORKDIR /app\nRUN apk add --no-cache x":     {"2 InvalidatesEarly"},
		"WORKDIR /app\nRUN npm ci":                   nil,
		"RUN [\"a\" \"b\"]":                          {"2 BrokenJSON"},
		"COPY [\"a\", \"b\"":                         {"2 BrokenJSON"},
		"RUN [ \"$x\" = y ]":                         nil,
		"# check=skip=BrokenJSON\nRUN [\"a\" \"b\"]": nil,
	} {
		f, err := Parse("Dockerfile", []byte("FROM x\n"+src+"\n"))
		require.NoError(t, err)
		warnings, fatal, err := Check(f, knownImages)
		require.NoError(t, err)
		require.False(t, fatal)
		var got []string
		for _, w := range warnings {
			got = append(got, strconv.Itoa(w.First)+" "+w.Rule)
			require.Contains(t, w.String(), "Dockerfile:"+strconv.Itoa(w.First)+": "+w.Rule+": ")
		}
		require.Equal(t, want, got, src)
	}
}

// Where nobody knows an image's variables, none of them is called undefined.
func TestUnknownImagesVariablesAreNotUndefined(t *testing.T) {
	f, err := Parse("Dockerfile", []byte("FROM golang AS a\nENV PATH=$GOPATH/bin:$PATH\nFROM a\nUSER $NAME\nFROM scratch\nUSER $NAME\n"))
	require.NoError(t, err)
	warnings, _, err := Check(f, CheckOptions{})
	require.NoError(t, err)
	require.Len(t, warnings, 1)
	require.Equal(t, 6, warnings[0].First)
}

// TestWrongDirective: a build names the line that it does not understand, as --check does.
func TestWrongDirective(t *testing.T) {
	f, err := Parse("Dockerfile", []byte("# check=skip=all;error=yes\nFROM scratch\n"))
	require.NoError(t, err)
	const said = "Dockerfile: # check=skip=all;error=yes: error=yes: it is true or false"
	require.EqualError(t, f.FailOnWarnings(knownImages), said)
	_, _, err = Check(f, knownImages)
	require.EqualError(t, err, said)
}

// A mistake does not keep the warnings about what precedes it back.
func TestWarningsBeforeAMistake(t *testing.T) {
	for src, want := range map[string][]string{
		"FROM alpine as Base\nMAINTAINER me\nRUNN true\nMAINTAINER you\n": {"1 StageNameCasing", "1 FromAsCasing", "2 MaintainerDeprecated"},
		"FROM alpine as base\nMAINTAINER me\nCOPY --frm=x a b\n":          {"1 FromAsCasing", "2 MaintainerDeprecated"},
		"RUNN x\n": nil,
	} {
		f, err := ParseUpTo("Dockerfile", []byte(src))
		require.Error(t, err)
		warnings, _, err := Check(f, knownImages)
		require.NoError(t, err)
		var got []string
		for _, w := range warnings {
			got = append(got, strconv.Itoa(w.First)+" "+w.Rule)
		}
		require.Equal(t, want, got, src)
	}
}

func TestWarningsArePrintedOrErrors(t *testing.T) {
	var out strings.Builder
	f, err := Parse("Dockerfile", []byte("FROM a\nMAINTAINER me\n"))
	require.NoError(t, err)
	n, err := f.PrintWarnings(&out, "warning: ", knownImages)
	require.NoError(t, err)
	require.Equal(t, 1, n)
	require.Regexp(t, "^warning: .*MaintainerDeprecated.*\n$", out.String())
	require.NoError(t, f.FailOnWarnings(knownImages), "nothing asks for it")

	for text, want := range map[string]string{
		"# check=error=true\nFROM a\nMAINTAINER me\n":                           "the Dockerfile wants warnings to be errors: ",
		"# check=error=maybe\nFROM a\n":                                         "error=maybe: it is true or false",
		"# check=error=true\nFROM a\n":                                          "",
		"# check=error=true;skip=MaintainerDeprecated\nFROM a\nMAINTAINER me\n": "",
	} {
		f, err := Parse("Dockerfile", []byte(text))
		require.NoError(t, err)
		if err := f.FailOnWarnings(knownImages); want == "" {
			require.NoError(t, err)
		} else {
			require.ErrorContains(t, err, want)
		}
	}
}
