// Package credentials hands the credentials in a request to a job, in a directory for it alone that
// is as Docker's configuration is. A daemon that is killed meanwhile leaves it behind; the next one
// removes it. No lesson reads it.
package credentials

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"time"

	"golang.org/x/sys/unix"

	"stagebox/stage09-daemon/rest"
)

const pattern = "stagebox-credentials-"

// With calls do with a directory that has the credentials of X-Registry-Auth. They are nowhere else,
// and removed at the end.
func With(header string, do func(directory string) error) error {
	config, err := configOf(header)
	if err != nil {
		return err
	}
	directory, err := os.MkdirTemp("", pattern)
	if err != nil {
		return err
	}
	defer os.RemoveAll(directory)
	lock, err := tryLock(directory)
	if err != nil {
		return err
	}
	defer lock.Close()
	if err := os.WriteFile(filepath.Join(directory, "config.json"), config, 0o600); err != nil {
		return err
	}
	return do(directory)
}

// configOf is Docker's config.json with the credentials in a header, which is JSON in base64.
func configOf(header string) ([]byte, error) {
	var a struct{ Username, Password, Auth, ServerAddress, IdentityToken string }
	data, err := base64.URLEncoding.DecodeString(header)
	if err == nil && len(data) > 0 {
		err = json.Unmarshal(data, &a)
	}
	if err != nil {
		return nil, rest.Errorf(http.StatusBadRequest, "X-Registry-Auth: %v", err)
	}
	if a.Username != "" {
		a.Auth = base64.StdEncoding.EncodeToString([]byte(a.Username + ":" + a.Password))
	}
	auths := map[string]map[string]string{}
	if a.Auth != "" || a.IdentityToken != "" {
		auths[a.ServerAddress] = map[string]string{"auth": a.Auth, "identitytoken": a.IdentityToken}
	}
	return json.Marshal(map[string]any{"auths": auths})
}

// tryLock locks a file in a directory (flock(2)), until the file is closed or this process ends. The
// lock on the directory itself is the job's, which writes to the configuration when it logs in.
func tryLock(directory string) (*os.File, error) {
	lock, err := os.OpenFile(filepath.Join(directory, "lock"), os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, err
	}
	if err := unix.Flock(int(lock.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
		lock.Close()
		return nil, fmt.Errorf("flock %s: %w", directory, err)
	}
	return lock, nil
}

// young is how long a directory may be without its lock when it was just made.
const young = 10 * time.Second

// Sweep removes what daemons that were killed have left of this user's.
func Sweep() {
	left, _ := filepath.Glob(filepath.Join(os.TempDir(), pattern+"*")) // the pattern is well formed
	for _, directory := range left {
		info, err := os.Lstat(directory)
		if err != nil || !info.IsDir() || time.Since(info.ModTime()) < young {
			continue
		}
		if lock, err := tryLock(directory); err == nil {
			os.RemoveAll(directory) // what cannot be removed belongs to another user
			lock.Close()
		}
	}
}
