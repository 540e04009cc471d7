package main

import (
	"testing"

	"github.com/stretchr/testify/require"
)

// What Docker's own tests expect of a daemon, each found by one of them.

// TestBuildInTheWordsOfTheClassicBuilder: programs read what docker build prints, and its status.
func TestBuildInTheWordsOfTheClassicBuilder(t *testing.T) {
	c := ask(t)
	context := func() any { return tarOf(t, "Dockerfile", "FROM tiny\nENV a=b\nRUN echo seen; exit $((22 + 1))\n") }
	c.ok(200, "POST", "/build?t=built", context())
	out := c.ok(200, "POST", "/build?t=built", context())
	for _, words := range []string{`"Step 1/3 : FROM tiny\n"`, `"Step 2/3 : ENV a=b\n ---\u003e Using cache\n"`, `"seen\n"`} {
		require.Contains(t, out, words)
	}
	require.Contains(t, out, `"errorDetail":{"code":23,"message":"Dockerfile:3: RUN returned a non-zero code: 23"}`)
}

// TestSeccompProfileAsText: docker reads the file, and sends what is in it.
func TestSeccompProfileAsText(t *testing.T) {
	c := ask(t)
	profile := `seccomp={"defaultAction":"SCMP_ACT_ALLOW","syscalls":[{"names":["mkdir","mkdirat"],"action":"SCMP_ACT_ERRNO"}]}`
	c.create("strict", map[string]any{"HostConfig": map[string]any{"SecurityOpt": []string{profile}}}, "mkdir /tmp/x || echo refused")
	c.ok(204, "POST", "/containers/strict/start", nil)
	c.box("wait", "strict")
	require.Contains(t, c.box("logs", "strict"), "refused\n")
}
