package configure

import (
	"testing"

	"github.com/stretchr/testify/require"

	"stagebox/lessons/boxtest"
	"stagebox/stage05-images/oci"
	"stagebox/stage06-dockerfile/dockerfile"
)

func TestMain(m *testing.M) { boxtest.Main(m, nil) }

func TestChangesAreInstructions(t *testing.T) {
	var image oci.Config
	require.NoError(t, Options{[]string{`CMD ["a","b c"]`, "ENV A=1", "ENV A 2", `ENV B=1 C="2 '3'" D='4'`, "expose 80 53/udp", "LABEL k=v", "VOLUME /data", "USER me", "WORKDIR /w", "STOPSIGNAL INT", "ENTRYPOINT x y"}}.Apply(&image))
	changed := image.Config
	require.Equal(t, []string{"a", "b c"}, changed.Cmd)
	require.Equal(t, []string{"A=2", "B=1", "C=2 '3'", "D=4"}, changed.Env)
	require.Equal(t, []string{"/bin/sh", "-c", "x y"}, changed.Entrypoint)
	require.Contains(t, changed.ExposedPorts, "80/tcp")
	require.Contains(t, changed.ExposedPorts, "53/udp")
	require.Equal(t, "me /w INT v", changed.User+" "+changed.WorkingDir+" "+changed.StopSignal+" "+changed.Labels["k"])
	require.ErrorContains(t, Options{[]string{"RUN x"}}.Apply(&image), "there are CMD")
	require.EqualError(t, Options{[]string{"ENV A=1 B"}}.Apply(&image), `--change "ENV A=1 B": ENV: there is no = in "B"; a value with blanks needs quotes`)
}

// As in Docker: variables are replaced, an ENTRYPOINT does away with the CMD that was there.
func TestChangesAreThoseOfABuild(t *testing.T) {
	var image oci.Config
	require.NoError(t, Options{[]string{"CMD one", "ENV A=1\nENV B=${A}2", "WORKDIR a", "WORKDIR $B"}}.Apply(&image))
	require.NoError(t, Options{[]string{`HEALTHCHECK --interval=3s CMD true`, "ONBUILD RUN x", `ENTRYPOINT ["e"]`}}.Apply(&image))
	require.Equal(t, []string{"A=1", "B=12"}, image.Config.Env)
	require.Equal(t, "/a/12", image.Config.WorkingDir)
	require.Equal(t, []string{"CMD-SHELL", "true"}, image.Config.Healthcheck.Test)
	require.Equal(t, []string{"RUN x"}, image.Config.OnBuild)
	require.Empty(t, image.Config.Cmd)
	require.Empty(t, image.History)
	for change, want := range map[string]string{
		"LABLE a=b":   "unknown instruction LABLE: did you mean LABEL?",
		"USER ${A":    "${A: the closing } is missing",
		"EXPOSE x":    "EXPOSE x: give a port",
		"USER a\nRUN": "there are CMD, ENTRYPOINT, ENV, EXPOSE, HEALTHCHECK, LABEL, ONBUILD, STOPSIGNAL, USER, VOLUME and WORKDIR",
	} {
		require.ErrorContains(t, Options{[]string{change}}.Apply(&image), want)
	}
	require.Empty(t, image.Config.User)
}

// TestApply does the steps of a stage, whose base image has a CMD and a variable.
func TestApply(t *testing.T) {
	apply := func(config *oci.Config, text string, ownCmd bool) error {
		list, err := dockerfile.ParseInstructions(text)
		require.NoError(t, err)
		for _, in := range list {
			in, err := in.Expand(func(string) (string, bool) { return "", false })
			require.NoError(t, err)
			if err := Apply(config, in, ownCmd); err != nil {
				return err
			}
		}
		return nil
	}
	config := oci.NewConfig()
	config.Config.Cmd, config.Config.Env = []string{"base"}, []string{"A=base", "B=base"}
	require.NoError(t, apply(&config, "SHELL [\"/bin/ash\", \"-ec\"]\nENTRYPOINT one  two\nENV A=1\nVOLUME /a /b\nMAINTAINER me and you", false))
	require.Equal(t, []string{"/bin/ash", "-ec", "one  two"}, config.Config.Entrypoint)
	require.Empty(t, config.Config.Cmd, "that of the base image")
	require.Equal(t, []string{"A=1", "B=base"}, config.Config.Env)
	require.Len(t, config.Config.Volumes, 2)
	require.Equal(t, "me and you", config.Author)

	require.NoError(t, apply(&config, `CMD ["own"]`, false))
	require.NoError(t, apply(&config, `ENTRYPOINT ["e"]`, true))
	require.Equal(t, []string{"own"}, config.Config.Cmd)

	for text, want := range map[string]string{
		"VOLUME $UNSET": "VOLUME: a path is empty when its variables are replaced",
		"STOPSIGNAL NO": "STOPSIGNAL ",
		"EXPOSE 1/x":    "EXPOSE 1/x: give a port",
		"RUN true":      "RUN does more than to change the configuration",
		"ENV $UNSET=x":  "ENV: a name that is empty",
	} {
		require.ErrorContains(t, apply(&config, text, false), want, text)
	}
}

func TestShellAndEnter(t *testing.T) {
	config := oci.NewConfig()
	require.Equal(t, []string{"/bin/sh", "-c"}, Shell(config.Config))
	for _, step := range [][2]string{{"a", "/a"}, {"b", "/a/b"}, {"/c/", "/c/"}, {"../d", "/d"}} {
		dir := Enter(&config, &dockerfile.Instruction{Args: step[:1]})
		require.Equal(t, step[1], dir)
		require.Equal(t, dir, config.Config.WorkingDir)
	}
}

func TestArgs(t *testing.T) {
	for text, want := range map[string]map[string]string{
		"ARG A":                 {"A": "given"},
		"ARG A=1":               {"A": "given"},
		"ARG B=1":               {"B": "1"},
		"ARG B=1 C=$B":          {"B": "1", "C": "1"},
		"ARG C=$D":              {"C": "image's"},
		"ARG GLOBAL":            {"GLOBAL": "1"},
		"ARG GLOBAL=2":          {"GLOBAL": "2"},
		"ARG TARGETARCH":        {"TARGETARCH": "arm64"},
		"ARG E=":                {"E": ""},
		"ARG NOBODY TARGETARCH": {"TARGETARCH": "arm64"},
	} {
		f, err := dockerfile.Parse("Dockerfile", []byte("FROM x\n"+text+"\n"))
		require.NoError(t, err)
		args := map[string]string{}
		get := func(name string) (string, bool) {
			if value, set := args[name]; set {
				return value, true
			}
			return "image's", name == "D"
		}
		require.NoError(t, Args(args, f.Stages[0].Steps[0], get, map[string]string{"A": "given", "Z": "not declared"},
			map[string]string{"GLOBAL": "1"}, map[string]string{"TARGETARCH": "arm64", "GLOBAL": "less"}))
		require.Equal(t, want, args, text)
	}
}

func TestLabels(t *testing.T) {
	var config oci.Config
	require.NoError(t, Labels(&config, nil))
	require.Nil(t, config.Config.Labels)
	shared := map[string]string{"a": "1", "b": "2"}
	config.Config.Labels = shared
	require.NoError(t, Labels(&config, []string{"a=x", "c", "a=3"}))
	require.Equal(t, map[string]string{"a": "3", "b": "2", "c": ""}, config.Config.Labels)
	require.Equal(t, map[string]string{"a": "1", "b": "2"}, shared)
	require.ErrorContains(t, Labels(&config, []string{"=x"}), "--label")
}
