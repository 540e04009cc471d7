package registry

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestChallenges(t *testing.T) {
	bearer := challenge{"bearer", map[string]string{"realm": "https://auth.example.com/token", "service": "r", "scope": "repository:a:pull,push"}}
	basic := challenge{"basic", map[string]string{"realm": `a "quoted", name`}}
	for header, want := range map[string][]challenge{
		`Bearer realm="https://auth.example.com/token",service="r",scope="repository:a:pull,push"`:                                   {bearer},
		`BEARER  Realm = "https://auth.example.com/token" , service=r,, Scope="repository:a:pull,push",`:                             {bearer},
		`Basic realm="a \"quoted\", name", Bearer realm="https://auth.example.com/token", service=r, scope="repository:a:pull,push"`: {basic, bearer},
		`Negotiate, Basic realm="a \"quoted\", name"`:                                                                                {{"negotiate", map[string]string{}}, basic},
		`Negotiate YWJj/+==, Basic realm="a \"quoted\", name"`:                                                                       {{"negotiate", map[string]string{}}, basic},
		`Basic realm="a \"quoted\", name", Bearer realm="no end`:                                                                     {basic, {"bearer", map[string]string{}}},
		`realm="x"`: nil, "": nil, `"`: nil, `Basic`: {{"basic", map[string]string{}}}, "Basic realm=": {{"basic", map[string]string{}}},
	} {
		require.Equal(t, want, parseChallenges(header), header)
	}
}

func FuzzChallenges(f *testing.F) {
	for _, header := range []string{`Bearer realm="https://a/token",service="r",scope="s"`, `Basic realm=x, Bearer`, `Negotiate YWJj==, Basic realm="\""`, `A b=c d`, `A "`, `=,=`, `A =`, "Basic\trealm=\\"} {
		f.Add(header)
	}
	f.Fuzz(func(t *testing.T, header string) {
		for _, c := range parseChallenges(header) {
			require.NotEmpty(t, c.scheme)
			for name, value := range c.params {
				require.NotEmpty(t, name)
				// what is read is written, and read again as the same
				text := c.scheme + " " + name + `="` + strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(value) + `"`
				require.Equal(t, []challenge{{c.scheme, map[string]string{name: value}}}, parseChallenges(text), text)
			}
		}
	})
}

// guarded is a registry that only says whether name and password are right.
func guarded(t *testing.T) *Client {
	return serveRegistry(t, func(w http.ResponseWriter, req *http.Request) {
		if name, password, _ := req.BasicAuth(); name != "student" || password != "secret" {
			w.Header().Set("Www-Authenticate", `Basic realm="r"`)
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		io.WriteString(w, `{"tags":["x"]}`)
	})
}

func readConfig(t *testing.T) (config map[string]any) {
	data, err := os.ReadFile(filepath.Join(os.Getenv("DOCKER_CONFIG"), "config.json"))
	require.NoError(t, err)
	require.NoError(t, json.Unmarshal(data, &config), string(data))
	return config
}

func writeConfig(t *testing.T, text string) string {
	path := filepath.Join(os.Getenv("DOCKER_CONFIG"), "config.json")
	require.NoError(t, os.WriteFile(path, []byte(text), 0o644))
	return path
}

func TestLoginKeepsTheRestOfTheFile(t *testing.T) {
	r := guarded(t)
	path := writeConfig(t, `{"auths":{"other.example.com":{"auth":"YTpi","email":"a@b"},"http://`+r.Host+`/v1/":{"auth":"YTpi"}},"psFormat":"<{{.ID}}>","big":12345678901234567890}`)
	target := filepath.Join(t.TempDir(), "real.json")
	require.NoError(t, os.Rename(path, target))
	require.NoError(t, os.Symlink(target, path))

	require.NoError(t, r.Login(t.Context(), "student", "secret"))
	info, err := os.Stat(target)
	require.NoError(t, err)
	require.Equal(t, os.FileMode(0o600), info.Mode())
	config := readConfig(t)
	auths := config["auths"].(map[string]any)
	require.Equal(t, map[string]any{"auth": "c3R1ZGVudDpzZWNyZXQ="}, auths[r.Host])
	require.Equal(t, map[string]any{"auth": "YTpi", "email": "a@b"}, auths["other.example.com"])
	require.Equal(t, "<{{.ID}}>", config["psFormat"])
	text, err := os.ReadFile(target)
	require.NoError(t, err)
	require.Contains(t, string(text), "12345678901234567890")
	_, err = tags(t, testClient(t, r.Host), "a")
	require.NoError(t, err)

	were, err := Logout(t.Context(), r.Host)
	require.NoError(t, err)
	require.True(t, were)
	require.Equal(t, map[string]any{"other.example.com": auths["other.example.com"]}, readConfig(t)["auths"])
	info, err = os.Lstat(path)
	require.NoError(t, err)
	require.Equal(t, os.ModeSymlink, info.Mode().Type())
	left, err := filepath.Glob(filepath.Join(filepath.Dir(target), ".config.json-*"))
	require.NoError(t, err)
	require.Empty(t, left)
}

func TestLoginsAtOnce(t *testing.T) {
	noConfig(t)
	var all sync.WaitGroup
	for i := range 20 {
		all.Go(func() {
			require.NoError(t, editDockerConfig(func(c *dockerConfig) error {
				c.auths[fmt.Sprintf("host%d:1", i)] = json.RawMessage(`{}`)
				return nil
			}))
		})
	}
	all.Wait()
	require.Len(t, readConfig(t)["auths"], 20)
}

func TestBadConfigIsLeftAlone(t *testing.T) {
	r := guarded(t)
	for _, text := range []string{`{"auths":`, `[]`, `{"auths":[]}`, `{"auths":{"HOST":{"auth":"x"}}}`, `{"auths":{"HOST":7}}`, `{"credsStore":1}`} {
		text = strings.ReplaceAll(text, "HOST", r.Host)
		path := writeConfig(t, text)
		_, err := Logout(t.Context(), r.Host)
		require.ErrorContains(t, err, path, text)
		var warned error
		client := testClient(t, r.Host)
		client.Warn = func(err error) { warned = err }
		_, err = tags(t, client, "a")
		require.ErrorContains(t, err, "requires a user name and a password", "anonymous")
		require.ErrorContains(t, warned, path, text)
		after, err := os.ReadFile(path)
		require.NoError(t, err)
		require.Equal(t, text, string(after))
	}
	for _, c := range [][3]string{{"", "x", `invalid user name ""`}, {"x", "", "the password is empty"}, {"a:b", "x", `invalid user name "a:b"`}} {
		require.ErrorContains(t, r.Login(t.Context(), c[0], c[1]), c[2])
	}
}

// TestHelper has a program that keeps the credentials in a file of its own.
func TestHelper(t *testing.T) {
	bin := t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(bin, "docker-credential-lesson"), []byte(`#!/bin/sh
case $1 in
store) cat >"$0.kept" ;;
get) read -r name; echo "$name" >>"$0.asked"; cat "$0.kept" 2>/dev/null || { echo "credentials not found in native keychain"; exit 1; } ;;
erase) rm -f "$0.kept" ;;
esac`), 0o755))
	require.NoError(t, os.WriteFile(filepath.Join(bin, "docker-credential-broken"), []byte("#!/bin/sh\necho no 'keychain\x1b[2J'\nexit 1"), 0o755))
	t.Setenv("PATH", bin+":"+os.Getenv("PATH"))
	r := guarded(t)
	writeConfig(t, `{"credsStore":"broken","credHelpers":{"`+r.Host+`":"lesson"}}`)

	_, err := tags(t, testClient(t, r.Host), "a")
	require.ErrorContains(t, err, "requires a user name and a password")
	require.NoError(t, r.Login(t.Context(), "student", "secret"))
	kept, err := os.ReadFile(filepath.Join(bin, "docker-credential-lesson.kept"))
	require.NoError(t, err)
	require.JSONEq(t, `{"ServerURL":"`+r.Host+`","Username":"student","Secret":"secret"}`, string(kept))
	require.Empty(t, readConfig(t)["auths"])
	_, err = tags(t, testClient(t, r.Host), "a")
	require.NoError(t, err)
	asked, err := os.ReadFile(filepath.Join(bin, "docker-credential-lesson.asked"))
	require.NoError(t, err)
	require.Equal(t, r.Host+"\n"+r.Host+"\n", string(asked))
	were, err := Logout(t.Context(), r.Host)
	require.NoError(t, err)
	require.True(t, were)
	require.NoFileExists(t, filepath.Join(bin, "docker-credential-lesson.kept"))

	_, err = Logout(t.Context(), "other.example.com")
	require.ErrorContains(t, err, "docker-credential-broken get")
	require.ErrorContains(t, err, "no keychain [2J")
	writeConfig(t, `{"credsStore":"nowhere"}`)
	_, err = Logout(t.Context(), "other.example.com")
	require.ErrorContains(t, err, "executable file not found")
	var warned error
	client := testClient(t, r.Host)
	client.Warn = func(err error) { warned = err }
	_, err = tags(t, client, "a")
	require.ErrorContains(t, err, "requires a user name and a password")
	require.ErrorContains(t, warned, "no credentials are sent: docker-credential-nowhere get")
}

// TestOtherNotations has credentials as other tools write them.
func TestOtherNotations(t *testing.T) {
	r := guarded(t)
	for _, entry := range []string{
		`{"username":"student","password":"secret"}`,
		`{"auth":"","username":"student","password":"secret"}`,
		`{"auth":"` + base64.StdEncoding.EncodeToString([]byte("student:secret\x00\x00")) + `"}`,
	} {
		writeConfig(t, `{"auths":{"`+r.Host+`":`+entry+`}}`)
		_, err := tags(t, testClient(t, r.Host), "a")
		require.NoError(t, err, entry)
	}
}

// TestRedirectToARegistry is led to another server that wants a token, and gets one as anybody.
func TestRedirectToARegistry(t *testing.T) {
	var asked []string
	other := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		asked = append(asked, req.Method+" "+req.URL.Path+" "+req.Header.Get("Authorization"))
		switch {
		case req.URL.Path == "/token":
			require.Equal(t, "scope=repository%3Amirror%2Fa%3Apull", req.URL.RawQuery, "and no service")
			io.WriteString(w, `{"token":"anybody"}`)
		case req.Header.Get("Authorization") == "Bearer anybody":
			io.WriteString(w, `{"tags":["x"]}`)
		default:
			w.Header().Set("Www-Authenticate", `Bearer realm="http://`+req.Host+`/token",scope="repository:mirror/a:pull"`)
			w.WriteHeader(http.StatusUnauthorized)
		}
	}))
	defer other.Close()
	r := serveRegistry(t, func(w http.ResponseWriter, req *http.Request) {
		http.Redirect(w, req, other.URL+"/v2/mirror/a/tags/list", http.StatusTemporaryRedirect)
	})
	r.login = credential{Username: "student", Secret: "secret"}
	list, err := tags(t, r, "a")
	require.NoError(t, err)
	require.Equal(t, []string{"x"}, list)
	require.Equal(t, []string{"GET /v2/mirror/a/tags/list ", "GET /token ", "GET /v2/mirror/a/tags/list Bearer anybody"}, asked)
}

// TestIdentityToken has a credential that gets tokens and is not a password.
func TestIdentityToken(t *testing.T) {
	var posted string
	r := serveRegistry(t, func(w http.ResponseWriter, req *http.Request) {
		switch {
		case req.URL.Path == "/token":
			require.NoError(t, req.ParseForm())
			posted = fmt.Sprint(req.Method, req.Header["Authorization"], req.PostForm)
			io.WriteString(w, `{"access_token":"abc"}`)
		case req.Header.Get("Authorization") == "Bearer abc":
			io.WriteString(w, `{"tags":["x"]}`)
		default:
			w.Header().Add("Www-Authenticate", `Basic realm="other"`)
			w.Header().Add("Www-Authenticate", `Bearer realm="http://`+req.Host+`/token",service=s`)
			w.WriteHeader(http.StatusUnauthorized)
		}
	})
	writeConfig(t, `{"auths":{"`+r.Host+`":{"auth":"c3R1ZGVudDo=","identitytoken":"idtok"}}}`)
	_, err := tags(t, r, "a")
	require.NoError(t, err)
	require.Equal(t, "POST[] map[client_id:[box] grant_type:[refresh_token] refresh_token:[idtok] scope:[repository:a:pull] service:[s]]", posted)
}

func TestBadTokens(t *testing.T) {
	for _, c := range []struct{ challenge, answer, want string }{
		{`Bearer realm="http://HOST/token"`, `{}`, "answers without a token"},
		{`Bearer realm="http://HOST/token"`, `<html>`, "answers without a token"},
		{`Bearer realm="http://HOST/token"`, `{"token":"a\r\nX: y"}`, "invalid header field value"},
		{`Bearer realm="/token"`, ``, "invalid token realm"},
		{`Bearer service="s"`, ``, "invalid token realm"},
		{`Bearer realm="ftp://x/y"`, ``, "it is not HTTPS"},
		{`Bearer realm="http://192.0.2.1/token"`, ``, "it is not HTTPS"},
		{`Negotiate`, ``, "requires an unsupported kind of authentication: Negotiate"},
		{``, ``, "requires an unsupported kind of authentication"},
	} {
		r := serveRegistry(t, func(w http.ResponseWriter, req *http.Request) {
			if req.URL.Path == "/token" {
				io.WriteString(w, c.answer)
				return
			}
			w.Header().Set("Www-Authenticate", strings.ReplaceAll(c.challenge, "HOST", req.Host))
			w.WriteHeader(http.StatusUnauthorized)
		})
		r.login = credential{Username: "student", Secret: "secret"}
		_, err := tags(t, r, "a")
		require.ErrorContains(t, err, c.want, c.challenge)
	}
}

func TestConfigOfNothing(t *testing.T) {
	r := guarded(t)
	were, err := Logout(t.Context(), r.Host)
	require.NoError(t, err)
	require.False(t, were)
	require.NoFileExists(t, filepath.Join(os.Getenv("DOCKER_CONFIG"), "config.json"))
	for _, text := range []string{"", "\n", "null", "{}", `{"auths":null}`, `{"auths":{}}`} {
		writeConfig(t, text)
		require.NoError(t, r.Login(t.Context(), "student", "secret"), text)
		require.Equal(t, map[string]any{"auths": map[string]any{r.Host: map[string]any{"auth": "c3R1ZGVudDpzZWNyZXQ="}}}, readConfig(t))
	}
	t.Setenv("DOCKER_CONFIG", "")
	t.Setenv("HOME", "")
	_, err = tags(t, testClient(t, r.Host), "a")
	require.ErrorContains(t, err, "requires a user name and a password")
	require.ErrorContains(t, r.Login(t.Context(), "student", "secret"), "there is no place to keep credentials in")
}

func TestCredentialsOfTheDefaultRegistry(t *testing.T) {
	noConfig(t)
	for _, key := range []string{"https://index.docker.io/v1/", "docker.io", "registry-1.docker.io", "index.docker.io"} {
		writeConfig(t, `{"auths":{"`+key+`":{"auth":"YTpi"},"x.example.com":{"auth":"eDp5"}}}`)
		config, err := readDockerConfig()
		require.NoError(t, err)
		found, err := config.credential(t.Context(), defaultRegistry)
		require.NoError(t, err)
		require.Equal(t, credential{"a", "b", false}, found)
	}
}
