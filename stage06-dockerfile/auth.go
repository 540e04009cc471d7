// Who is asking? A registry that wants to know answers 401, and Www-Authenticate says what
// it takes (RFC 9110, section 11.6.1): Basic is the name and the password with every request;
// Bearer is a token for a while and for a few repositories, which the server at realm hands
// out (the distribution project's "Token Authentication Specification"). Names and passwords
// are those of Docker's config.json, or of the programs that it names.
package main

import (
	"bytes"
	"cmp"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"

	"golang.org/x/sys/unix"

	"stagebox/stage04-unionfs/state"
)

// challenge is one way to prove who one is that a server offers.
type challenge struct {
	scheme string            // in lower case: basic, bearer
	params map[string]string // realm, service, scope, error
}

// parseChallenges reads the value of Www-Authenticate up to its end or to what breaks its
// grammar: schemes and name=value pairs, both between commas, so that only the = tells them apart.
func parseChallenges(header string) (list []challenge) {
	for {
		header = strings.TrimLeft(header, " \t,")
		word, rest := cutToken(header)
		if word == "" {
			return list
		}
		after := strings.TrimLeft(rest, " \t")
		if !strings.HasPrefix(after, "=") {
			list = append(list, challenge{strings.ToLower(word), map[string]string{}})
			header = cutToken68(rest)
			continue
		}
		value, rest, ok := cutValue(strings.TrimLeft(after[1:], " \t"))
		if !ok || len(list) == 0 {
			return list
		}
		list[len(list)-1].params[strings.ToLower(word)] = value
		header = rest
	}
}

func cutToken(s string) (token, rest string) {
	end := strings.IndexFunc(s, func(c rune) bool {
		return !(c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || strings.ContainsRune("!#$%&'*+-.^_`|~", c))
	})
	if end < 0 {
		end = len(s)
	}
	return s[:end], s[end:]
}

// cutToken68 leaves out what some schemes have in place of parameters: base64, up to a comma.
func cutToken68(s string) string {
	word, rest, _ := strings.Cut(s, ",")
	if strings.ContainsAny(strings.TrimRight(word, "= \t"), `="`) {
		return s
	}
	return rest
}

// cutValue cuts a token, or a string in quotes, in which a backslash makes the next character plain.
func cutValue(s string) (value, rest string, ok bool) {
	if !strings.HasPrefix(s, `"`) {
		value, rest = cutToken(s)
		return value, rest, value != ""
	}
	var text strings.Builder
	for i := 1; i < len(s); i++ {
		switch {
		case s[i] == '"':
			return text.String(), s[i+1:], true
		case s[i] == '\\' && i+1 < len(s):
			i++
		}
		text.WriteByte(s[i])
	}
	return "", "", false
}

// authorize answers a 401 to a request that was made with the header refused: it gets another
// one, once for all goroutines that were refused with the same.
func (r *Registry) authorize(ctx context.Context, scope, refused string, answer http.Header) error {
	r.granting.Lock()
	defer r.granting.Unlock()
	if r.granted[scope] != refused {
		return nil
	}
	offers := map[string]challenge{}
	for _, c := range parseChallenges(strings.Join(answer.Values("Www-Authenticate"), ", ")) {
		offers[c.scheme] = c
	}
	who, err := r.credential(ctx)
	if err != nil {
		return err
	}
	bearer, isBearer := offers["bearer"]
	_, isBasic := offers["basic"]
	header := who.basic()
	switch {
	case isBearer:
		header, err = r.token(ctx, bearer, scope, who)
	case isBasic && header == "":
		err = fmt.Errorf("%s wants a name and a password: box login %s", r.Host, r.Host)
	case !isBasic:
		err = fmt.Errorf("%s wants to know who asks, and neither by a password nor by a token: %s", r.Host, printable(answer.Get("Www-Authenticate")))
	}
	if err == nil {
		r.granted[scope] = header
	}
	return err
}

// token asks the server at realm for a token and returns the header that shows it. A scope is
// words "repository:NAME:pull,push". Who has no credentials gets a token for what is public.
func (r *Registry) token(ctx context.Context, c challenge, scope string, who credential) (string, error) {
	if scope == "" {
		scope = c.params["scope"]
	}
	realm, err := url.Parse(c.params["realm"])
	if err != nil || realm.Host == "" {
		return "", fmt.Errorf("%s sends for a token to %q, which is not a URL", r.Host, printable(c.params["realm"]))
	}
	form := realm.Query()
	form.Set("service", c.params["service"])
	form["scope"] = strings.Fields(scope)
	q := request{method: "GET", realm: true, auth: who.basic(), why: strings.TrimSpace("a token for " + scope)}
	if who.identity {
		form.Set("scope", scope)
		form.Set("grant_type", "refresh_token")
		form.Set("client_id", "box")
		form.Set("refresh_token", who.Secret)
		q.method, q.auth = "POST", ""
		q.header = http.Header{"Content-Type": {"application/x-www-form-urlencoded"}}
		q.content([]byte(form.Encode()))
	} else {
		realm.RawQuery = form.Encode()
	}
	q.target = realm.String()
	_, data, err := r.fetch(ctx, q)
	if err != nil {
		return "", err
	}
	var got struct {
		Token       string `json:"token"`
		AccessToken string `json:"access_token"` // the same, by the name that OAuth 2 gives it
	}
	err = json.Unmarshal(data, &got)
	token := cmp.Or(got.Token, got.AccessToken)
	if err != nil || token == "" {
		return "", fmt.Errorf("%s answers without a token", publicURL(realm))
	}
	return "Bearer " + token, nil
}

// credential is a name and a password, or in its place a token that gets tokens.
type credential struct {
	Username, Secret string

	identity bool
}

func (c credential) basic() string {
	if c.Secret == "" || c.identity {
		return ""
	}
	return "Basic " + base64.StdEncoding.EncodeToString([]byte(c.Username+":"+c.Secret))
}

// credential is what login was given, or what the user's config.json has for the registry.
func (r *Registry) credential(ctx context.Context) (credential, error) {
	if r.login.Secret != "" {
		return r.login, nil
	}
	config, err := readDockerConfig()
	if err != nil {
		return credential{}, err
	}
	return config.credential(ctx, r.Host)
}

// dockerConfig is the part of config.json that is about credentials, and the rest as it is.
type dockerConfig struct {
	path    string
	all     map[string]json.RawMessage
	auths   map[string]json.RawMessage
	store   string            // a program docker-credential-STORE has them all
	helpers map[string]string // or one for a registry
}

// dockerConfigFile is $DOCKER_CONFIG/config.json or ~/.docker/config.json.
func dockerConfigFile() (string, error) {
	if dir := os.Getenv("DOCKER_CONFIG"); dir != "" {
		return filepath.Join(dir, "config.json"), nil
	}
	home, err := os.UserHomeDir()
	return filepath.Join(home, ".docker/config.json"), err
}

// readDockerConfig reads the file. None, and no place for one, is as good as an empty one.
func readDockerConfig() (*dockerConfig, error) {
	path, err := dockerConfigFile()
	c := &dockerConfig{path, map[string]json.RawMessage{}, map[string]json.RawMessage{}, "", nil}
	if err != nil {
		return c, nil
	}
	data, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) || err == nil && len(bytes.TrimSpace(data)) == 0 {
		return c, nil
	}
	if err != nil {
		return nil, fmt.Errorf("credentials: %w; DOCKER_CONFIG can name another directory", err)
	}
	if err := json.Unmarshal(data, &c.all); err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	for key, into := range map[string]any{"auths": &c.auths, "credsStore": &c.store, "credHelpers": &c.helpers} {
		if value, ok := c.all[key]; ok {
			err = errors.Join(err, json.Unmarshal(value, into))
		}
	}
	if err != nil {
		return nil, fmt.Errorf("%s: it is not as Docker writes it: %w", path, err)
	}
	for _, object := range []*map[string]json.RawMessage{&c.all, &c.auths} {
		if *object == nil { // JSON has a null for it
			*object = map[string]json.RawMessage{}
		}
	}
	return c, nil
}

// configKey is the name that a registry has in config.json.
func configKey(host string) string {
	if host == defaultRegistry {
		return "https://" + defaultIndex + "/v1/"
	}
	return host
}

// keysOf are the names that a registry may have in the file, the usual one first.
func (c *dockerConfig) keysOf(host string) []string {
	keys := []string{configKey(host)}
	for _, key := range slices.Sorted(maps.Keys(c.auths)) {
		if named, err := parseHost(key); err == nil && named == host {
			keys = append(keys, key)
		}
	}
	return keys
}

// credential is what the file or a helper has for a registry; none is none.
func (c *dockerConfig) credential(ctx context.Context, host string) (found credential, err error) {
	if found, err = c.help(ctx, host, "get", configKey(host)); err != nil || found.Secret != "" {
		return found, err
	}
	for _, key := range c.keysOf(host) {
		var entry struct{ Auth, IdentityToken string }
		if text, ok := c.auths[key]; ok {
			if err := json.Unmarshal(text, &entry); err != nil {
				return found, fmt.Errorf("%s: auths: %s: %w", c.path, key, err)
			}
		}
		plain, err := base64.StdEncoding.DecodeString(entry.Auth)
		name, password, ok := strings.Cut(string(plain), ":")
		switch {
		case err != nil || entry.Auth != "" && !ok:
			return found, fmt.Errorf("%s: auths: %s: auth is not the base64 of NAME:PASSWORD; box login %s writes it anew", c.path, key, host)
		case entry.IdentityToken != "":
			return credential{name, entry.IdentityToken, true}, nil
		case ok:
			return credential{name, password, false}, nil
		}
	}
	return found, nil
}

// help asks the program that keeps the credentials of a registry, if there is one: get and
// erase take the registry's name on standard input, store takes JSON, and get returns it.
func (c *dockerConfig) help(ctx context.Context, host, verb, input string) (found credential, err error) {
	name := c.helperOf(host)
	if name == "" {
		return found, nil
	}
	cmd := exec.CommandContext(ctx, "docker-credential-"+name, verb)
	cmd.Stdin = strings.NewReader(input)
	out, err := cmd.Output()
	if err != nil && bytes.Contains(out, []byte("credentials not found")) {
		return found, nil
	}
	if err != nil {
		return found, fmt.Errorf("docker-credential-%s %s, which %s names: %w: %s", name, verb, c.path, err, printable(string(out)))
	}
	if verb != "get" {
		return found, nil
	}
	if err := json.Unmarshal(out, &found); err != nil {
		return found, fmt.Errorf("docker-credential-%s get: %w", name, err)
	}
	found.identity = found.Username == "<token>"
	return found, nil
}

// helperOf is the name of the program that keeps a registry's credentials, or "".
func (c *dockerConfig) helperOf(host string) string {
	return cmp.Or(c.helpers[configKey(host)], c.store)
}

// Login proves a name and a password to the registry, and keeps them for later.
func (r *Registry) Login(ctx context.Context, name, password string) error {
	if name == "" || password == "" || strings.Contains(name, ":") {
		return errors.New("a login needs a name, without a colon, and a password")
	}
	r.login = credential{Username: name, Secret: password}
	if _, _, err := r.fetch(ctx, request{method: "GET", target: "/v2/", why: "are the name and the password right?"}); err != nil {
		return err
	}
	return editDockerConfig(func(c *dockerConfig) error {
		if c.helperOf(r.Host) != "" {
			input, err := json.Marshal(map[string]string{"ServerURL": configKey(r.Host), "Username": name, "Secret": password})
			if err == nil {
				_, err = c.help(ctx, r.Host, "store", string(input))
			}
			return err
		}
		entry, err := json.Marshal(map[string][]byte{"auth": []byte(name + ":" + password)})
		c.auths[configKey(r.Host)] = entry
		return err
	})
}

// logout forgets the credentials of a registry, and says whether there were any.
func logout(ctx context.Context, host string) (were bool, err error) {
	c, err := readDockerConfig()
	if err != nil {
		return false, err
	}
	if kept, err := c.credential(ctx, host); err != nil || kept.Secret == "" {
		return false, err
	}
	return true, editDockerConfig(func(c *dockerConfig) error {
		for _, key := range c.keysOf(host) {
			delete(c.auths, key)
		}
		_, err := c.help(ctx, host, "erase", configKey(host))
		return err
	})
}

// editDockerConfig changes the credentials in the file and nothing else. Two at once wait for
// each other, and a reader sees the old file or the new one. The lock is flock(2)'s, on the
// directory: a file of ours in it would be litter in a place that is not ours.
func editDockerConfig(change func(*dockerConfig) error) error {
	path, err := dockerConfigFile()
	if err != nil {
		return fmt.Errorf("there is no place to keep credentials in: %w; DOCKER_CONFIG can name one", err)
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return err
	}
	lock, err := os.Open(filepath.Dir(path))
	if err != nil {
		return err
	}
	defer lock.Close()
	if err := unix.Flock(int(lock.Fd()), unix.LOCK_EX); err != nil {
		return fmt.Errorf("flock %s: %w", lock.Name(), err)
	}
	c, err := readDockerConfig()
	if err != nil {
		return err
	}
	if err := change(c); err != nil {
		return err
	}
	if c.all["auths"], err = json.Marshal(c.auths); err != nil {
		return err
	}
	data, err := json.MarshalIndent(c.all, "", "\t")
	if err != nil {
		return err
	}
	return c.replace(append(data, '\n'))
}

// replace puts a new file in the place of the old one, or of what a link there leads to.
func (c *dockerConfig) replace(data []byte) error {
	path, err := state.OutputPath(c.path)
	if err != nil {
		return err
	}
	return state.Write(path, data, 0o600, state.Durable) // for nobody else to read
}
