package registrycli

import (
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// guarded starts a registry that two repositories are in, and that lets nobody else in than student.
func guarded(t *testing.T) (host string) {
	dir := t.TempDir() // the caller's own credentials stay out of it
	t.Setenv("DOCKER_CONFIG", dir)
	t.Setenv("XDG_CONFIG_HOME", dir)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if name, password, _ := r.BasicAuth(); name != "student" || password != "secret" {
			w.Header().Set("Www-Authenticate", `Basic realm="r"`)
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		if r.URL.Path == "/v2/_catalog" {
			io.WriteString(w, `{"repositories": ["app", "tools/app", "other"]}`)
		}
	}))
	t.Cleanup(server.Close)
	return strings.TrimPrefix(server.URL, "http://")
}

// printed runs a command with words on its standard input, and returns what it prints.
func printed(t *testing.T, typed string, run func() error) (out, errors string, err error) {
	dir := t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(dir, "0"), []byte(typed), 0o600))
	in, err := os.Open(filepath.Join(dir, "0"))
	require.NoError(t, err)
	defer in.Close()
	stdout, err := os.Create(filepath.Join(dir, "1"))
	require.NoError(t, err)
	defer stdout.Close()
	stderr, err := os.Create(filepath.Join(dir, "2"))
	require.NoError(t, err)
	defer stderr.Close()
	oldIn, oldOut, oldErr := os.Stdin, os.Stdout, os.Stderr
	defer func() { os.Stdin, os.Stdout, os.Stderr = oldIn, oldOut, oldErr }()
	os.Stdin, os.Stdout, os.Stderr = in, stdout, stderr
	err = run()
	text, errRead := os.ReadFile(stdout.Name())
	require.NoError(t, errRead)
	complaints, errRead := os.ReadFile(stderr.Name())
	require.NoError(t, errRead)
	return string(text), string(complaints), err
}

// TestCommands: what login has stored, search sends and logout removes.
func TestCommands(t *testing.T) {
	host := guarded(t)
	search := Search{Word: host + "/app", Limit: 5, Format: "{{.Name}}"}
	_, _, err := printed(t, "", search.Run)
	require.ErrorContains(t, err, "401")

	login := Login{Host: host, Username: "student", PasswordStdin: true}
	_, _, err = printed(t, "wrong\n", login.Run)
	require.Error(t, err)
	out, _, err := printed(t, "secret\n", login.Run)
	require.NoError(t, err)
	require.Equal(t, "Login Succeeded\n", out)

	out, _, err = printed(t, "", search.Run)
	require.NoError(t, err)
	require.Equal(t, host+"/app\n"+host+"/tools/app\n", out)

	logout := Logout{Host: host}
	out, _, err = printed(t, "", logout.Run)
	require.NoError(t, err)
	require.Equal(t, "Removed login credentials for "+host+"\n", out)
	_, _, err = printed(t, "", logout.Run)
	require.EqualError(t, err, "not logged in to "+host)
	_, _, err = printed(t, "", search.Run)
	require.ErrorContains(t, err, "401")
}

// TestExplain: the requests are printed where they are not in the way of the output, and no password
// is among them.
func TestExplain(t *testing.T) {
	host := guarded(t)
	login := Login{Host: host, Username: "student", PasswordStdin: true, Remote: Remote{Explain: true}}
	out, errors, err := printed(t, "secret\n", login.Run)
	require.NoError(t, err)
	require.Equal(t, "Login Succeeded\n", out)
	require.Contains(t, errors, "GET http://"+host+"/v2/")
	require.NotContains(t, errors, "secret")
}

func TestWouldPull(t *testing.T) {
	require.EqualError(t, WouldPull("localhost:5000/app", false),
		"--dry-run: the image localhost:5000/app:latest would be pulled from localhost:5000; box pull localhost:5000/app:latest pulls it")
	require.ErrorContains(t, WouldPull("tiny", true), "box run tiny true makes it")
	require.ErrorContains(t, WouldPull("UPPER", false), "must be in lower case")
}
