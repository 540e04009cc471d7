package main

import (
	"testing"

	"stagebox/stage05-images/oci"

	"github.com/stretchr/testify/require"
)

func TestChangesAreInstructions(t *testing.T) {
	var image oci.Config
	require.NoError(t, applyChanges(&image, []string{`CMD ["a","b c"]`, "ENV A=1", "ENV A 2", `ENV B=1 C="2 '3'" D='4'`, "expose 80 53/udp", "LABEL k=v", "VOLUME /data", "USER me", "WORKDIR /w", "STOPSIGNAL INT", "ENTRYPOINT x y"}))
	changed := image.Config
	require.Equal(t, []string{"a", "b c"}, changed.Cmd)
	require.Equal(t, []string{"A=2", "B=1", "C=2 '3'", "D=4"}, changed.Env)
	require.Equal(t, []string{"/bin/sh", "-c", "x y"}, changed.Entrypoint)
	require.Contains(t, changed.ExposedPorts, "80/tcp")
	require.Contains(t, changed.ExposedPorts, "53/udp")
	require.Equal(t, "me /w INT v", changed.User+" "+changed.WorkingDir+" "+changed.StopSignal+" "+changed.Labels["k"])
	require.ErrorContains(t, applyChanges(&image, []string{"RUN x"}), "there are CMD")
	require.EqualError(t, applyChanges(&image, []string{"ENV A=1 B"}), `--change "ENV A=1 B": ENV: there is no = in "B"; a value with blanks needs quotes`)
}

// As in Docker: variables are replaced, an ENTRYPOINT does away with the CMD that was there.
func TestChangesAreThoseOfABuild(t *testing.T) {
	var image oci.Config
	require.NoError(t, applyChanges(&image, []string{"CMD one", "ENV A=1\nENV B=${A}2", "WORKDIR a", "WORKDIR $B"}))
	require.NoError(t, applyChanges(&image, []string{`HEALTHCHECK --interval=3s CMD true`, "ONBUILD RUN x", `ENTRYPOINT ["e"]`}))
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
		require.ErrorContains(t, applyChanges(&image, []string{change}), want)
	}
	require.Empty(t, image.Config.User)
}
