package report_test

import (
	"archive/tar"
	"encoding/base64"
	"encoding/json"
	"os/exec"
	"testing"

	"github.com/stretchr/testify/require"

	"stagebox/lessons/boxtest"
	"stagebox/stage04-unionfs/api"
	"stagebox/stage09-daemon/report"
)

func TestMain(m *testing.M) { boxtest.Main(m, nil) }

func TestOutputs(t *testing.T) {
	require.Equal(t, []report.Change{{"/etc", 0}, {"/a b", 1}, {"/x", 2}}, report.Changes("C /etc\nA /a b\nD /x"))
	require.Equal(t, report.Top{Titles: []string{"PID", "CMD"}, Processes: [][]string{{"1", "sh -c x"}, {"2", "y"}}}, report.Processes("PID CMD\n1   sh -c  x\n2 y\n"))
	list, freed := report.Removed("Untagged: a:latest\nDeleted: sha256:1\nTotal reclaimed space: 2kB\n")
	require.Equal(t, []map[string]string{{"Untagged": "a:latest"}, {"Deleted": "sha256:1"}}, list)
	require.Positive(t, freed)
	names, _ := report.Pruned("Deleted Volumes:\nv1\nv2\n\nTotal reclaimed space: 0B\n")
	require.Equal(t, []string{"v1", "v2"}, names)
}

// TestSystem: a shell reads the same name of the host.
func TestSystem(t *testing.T) {
	out, err := exec.Command("sh", "-c", ". /etc/os-release && printf %s \"${PRETTY_NAME:-Linux}\"").Output()
	if err != nil {
		t.Skip("no /etc/os-release")
	}
	require.Equal(t, string(out), report.System())
}

func TestPorts(t *testing.T) {
	text, err := json.Marshal(report.Ports(map[string][]api.PortBinding{"80/tcp": {{HostIP: "0.0.0.0", HostPort: "8080"}}, "53/udp": nil}))
	require.NoError(t, err)
	require.JSONEq(t, `[{"PrivatePort":53,"Type":"udp"},{"IP":"0.0.0.0","PrivatePort":80,"PublicPort":8080,"Type":"tcp"}]`, string(text))
}

func TestPathStat(t *testing.T) {
	text, err := base64.StdEncoding.DecodeString(report.PathStat(&tar.Header{Name: "d/", Typeflag: tar.TypeDir, Mode: 0o755}, "/x/d"))
	require.NoError(t, err)
	require.Contains(t, string(text), `"name":"d","size":0,"mode":2147484141`) // as package fs has it
}

func TestImagesMatch(t *testing.T) {
	s := report.ImageSummary{RepoTags: []string{"localhost:5000/a:1"}, Labels: map[string]string{"k": "v"}}
	for filter, want := range map[string]bool{"reference=localhost:5000/a": true, "reference=*/a:1": true, "reference=b": false, "label=k": true, "label=k=w": false, "dangling=true": false, "dangling=false": true} {
		is, err := s.Matches([]string{filter})
		require.NoError(t, err)
		require.Equal(t, want, is, filter)
	}
	_, err := s.Matches([]string{"nonsense=1"})
	require.Error(t, err)
}

func TestBuildWords(t *testing.T) {
	for line, want := range map[string]string{
		"[2/4] RUN echo [1/2] x":          "Step 2/4 : RUN echo [1/2] x",
		"[base 2/4] RUN x  # CACHED":      "Step 2/4 : RUN x\n ---> Using cache",
		"[1/1] ENV a=b  # parent changed": "Step 1/1 : ENV a=b\n ---> parent changed",
		"  [1/1] printed":                 "[1/1] printed",
		"[] x":                            "[] x", "[x": "[x", "": "", "warning: x": "warning: x",
		"warning: --build-arg A: x": "[Warning] One or more build-args [A] were not consumed",
	} {
		require.Equal(t, want, report.BuildLine(line))
	}
	text, code := report.BuildError("Dockerfile:2: RUN ended with exit status 23")
	require.Equal(t, "Dockerfile:2: RUN returned a non-zero code: 23", text)
	require.Equal(t, 23, code)
	for text, want := range map[string]string{
		"Dockerfile:3: unknown instruction FROMM: did you mean FROM?":                 "dockerfile parse error on line 3: unknown instruction: FROMM (Dockerfile:3: unknown instruction FROMM: did you mean FROM?)",
		"d/D:2: ENV needs an argument":                                                "dockerfile parse error on line 2: ENV requires at least one argument (d/D:2: ENV needs an argument)",
		"D:2: COPY needs a source and a destination":                                  "dockerfile parse error on line 2: COPY requires at least two arguments (D:2: COPY needs a source and a destination)",
		"D:1: FROM takes an image, or an image AS a name":                             "dockerfile parse error on line 1: FROM requires either one or three arguments (D:1: FROM takes an image, or an image AS a name)",
		"D:2: ENV: there is no name before the =":                                     "dockerfile parse error on line 2: ENV names can not be blank (D:2: ENV: there is no name before the =)",
		"D:2: COPY foo: there is no such file in the context":                         "file not found in build context or excluded by .dockerignore: stat foo: file does not exist (D:2: COPY foo: there is no such file in the context)",
		`D:2: SHELL needs the JSON form, such as ["a"]`:                               `dockerfile parse error on line 2: SHELL requires the arguments to be in JSON form (D:2: SHELL needs the JSON form, such as ["a"])`,
		"D:2: no stage above is called foo, and as an image: it is not here":          "invalid from flag value foo (D:2: no stage above is called foo, and as an image: it is not here)",
		"D:2: circular: stage 0 would take files from itself":                         "invalid from flag value 0: refers to current build stage (D:2: circular: stage 0 would take files from itself)",
		"D:1: 1 cannot be a stage's name: it begins with a letter":                    `dockerfile parse error on line 1: invalid name for build stage: "1" (D:1: 1 cannot be a stage's name: it begins with a letter)`,
		"D:2: COPY ../a: there is no such file in the context, which no .. leaves: …": "file not found in build context or excluded by .dockerignore: stat ../a: file does not exist (D:2: COPY ../a: there is no such file in the context, which no .. leaves: …)",
		"--target x: no stage has this name":                                          `target stage "x" could not be found: --target x: no stage has this name`,
	} {
		got, code := report.BuildError(text)
		require.Equal(t, want, got)
		require.Zero(t, code)
	}
	text, code = report.BuildError("no such file")
	require.Equal(t, "no such file", text)
	require.Zero(t, code)
}
