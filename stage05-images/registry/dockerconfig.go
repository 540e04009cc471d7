// Where passwords are kept: Docker's config.json, or the credential helper that it names.
// Client.credential in auth.go asks here.

package registry

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
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"

	"golang.org/x/sys/unix"

	"stagebox/stage04-unionfs/state"
)

// dockerConfig is what Docker's config.json says about credentials, and the rest as it is.
type dockerConfig struct {
	path    string
	all     map[string]json.RawMessage
	auths   map[string]json.RawMessage
	helper  string            // the program docker-credential-HELPER has all credentials,
	helpers map[string]string // or one of these has a registry's
}

// dockerConfigFile is $DOCKER_CONFIG/config.json or ~/.docker/config.json.
func dockerConfigFile() (string, error) {
	if dir := os.Getenv("DOCKER_CONFIG"); dir != "" {
		return filepath.Join(dir, "config.json"), nil
	}
	home, err := os.UserHomeDir()
	return filepath.Join(home, ".docker/config.json"), err
}

// readDockerConfig reads the file. A missing file, or no home directory, is like an empty file.
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
	fields := map[string]any{"auths": &c.auths, "credsStore": &c.helper, "credHelpers": &c.helpers}
	for key, into := range fields {
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

// configKey is the name of a registry in config.json.
func configKey(host string) string {
	if host == defaultRegistry {
		return "https://" + defaultIndex + "/v1/"
	}
	return host
}

// keysOf are the names that a registry may have in the file, the standard one first.
func (c *dockerConfig) keysOf(host string) []string {
	keys := []string{configKey(host)}
	for _, key := range slices.Sorted(maps.Keys(c.auths)) {
		if named, err := ParseHost(key); err == nil && named == host {
			keys = append(keys, key)
		}
	}
	return keys
}

// credential is what the file or a helper has for a registry; the zero value if neither has any.
func (c *dockerConfig) credential(ctx context.Context, host string) (credential, error) {
	found, err := c.help(ctx, host, "get", configKey(host))
	if err != nil || found.Secret != "" {
		return found, err
	}
	for _, key := range c.keysOf(host) {
		if found, ok, err := c.entry(key, host); err != nil || ok {
			return found, err
		}
	}
	return credential{}, nil
}

// entry is the credential that the file itself has under a name.
func (c *dockerConfig) entry(key, host string) (found credential, ok bool, err error) {
	var entry struct{ Auth, Username, Password, IdentityToken string }
	if text, ok := c.auths[key]; ok {
		if err := json.Unmarshal(text, &entry); err != nil {
			return found, false, fmt.Errorf("%s: auths: %s: %w", c.path, key, err)
		}
	}
	plain, err := base64.StdEncoding.DecodeString(entry.Auth)
	name, password, ok := strings.Cut(string(plain), ":")
	password = strings.Trim(password, "\x00") // some tools fill it up
	if entry.Auth == "" && entry.Username != "" {
		name, password, ok = entry.Username, entry.Password, true // as they were before auth
	}
	switch {
	case err != nil || entry.Auth != "" && !ok:
		return found, false, fmt.Errorf("%s: auths: %s: auth is not the base64 of NAME:PASSWORD;"+
			" box login %s writes it again", c.path, key, host)
	case entry.IdentityToken != "":
		return credential{name, entry.IdentityToken, true}, true, nil
	}
	return credential{name, password, false}, ok, nil
}

// store puts a credential where the others of its registry are: with a helper, or in the file.
func (c *dockerConfig) store(ctx context.Context, host string, user credential) error {
	key := configKey(host)
	if c.helperOf(host) != "" {
		input, err := json.Marshal(map[string]string{
			"ServerURL": key, "Username": user.Username, "Secret": user.Secret,
		})
		if err == nil {
			_, err = c.help(ctx, host, "store", string(input))
		}
		return err
	}
	entry, err := json.Marshal(map[string][]byte{"auth": []byte(user.Username + ":" + user.Secret)})
	c.auths[key] = entry
	return err
}

// erase removes the credentials of a registry from the file and from its helper.
func (c *dockerConfig) erase(ctx context.Context, host string) error {
	for _, key := range c.keysOf(host) {
		delete(c.auths, key)
	}
	_, err := c.help(ctx, host, "erase", configKey(host))
	return err
}

// help runs the credential helper of a registry, if it has one. get and erase take the registry's
// name on standard input, store takes JSON, and get prints it
// (https://github.com/docker/docker-credential-helpers).
func (c *dockerConfig) help(
	ctx context.Context, host, verb, input string,
) (found credential, err error) {
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
		return found, fmt.Errorf("docker-credential-%s %s, which %s names: %w: %s",
			name, verb, c.path, err, Printable(string(out)))
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

// helperOf is the name of a registry's credential helper, or "".
func (c *dockerConfig) helperOf(host string) string {
	return cmp.Or(c.helpers[configKey(host)], c.helper)
}

// editDockerConfig changes the credentials in the file and nothing else. Two edits at once wait for
// each other, and a reader sees the old file or the new one. The lock is flock(2) on the directory:
// a lock of an open file description needs a file open for writing, and a file of ours would be
// litter in a directory that is Docker's.
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
	return c.write()
}

// write replaces the file by one with the present credentials.
func (c *dockerConfig) write() (err error) {
	if c.all["auths"], err = json.Marshal(c.auths); err != nil {
		return err
	}
	data, err := json.MarshalIndent(c.all, "", "\t")
	if err != nil {
		return err
	}
	return c.replace(append(data, '\n'))
}

// replace puts a new file in place of the old one, or of the file that a link there leads to.
func (c *dockerConfig) replace(data []byte) error {
	path, err := state.OutputPath(c.path)
	if err != nil {
		return err
	}
	return state.Write(path, data, 0o600, state.Durable) // only its owner can read it
}
