package play

import (
	"context"
	"crypto/sha256"
	"embed"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
)

//go:embed page
var page embed.FS

// terminalFiles are the files of xterm.js that the page loads, below node_modules.
var terminalFiles = map[string]string{
	"xterm.mjs":     "@xterm/xterm/lib/xterm.mjs",
	"xterm.css":     "@xterm/xterm/css/xterm.css",
	"addon-fit.mjs": "@xterm/addon-fit/lib/addon-fit.mjs",
}

// FetchXterm returns the directory with xterm.js. The first time, npm fetches the version that
// the lock file beside the page names, into this user's cache; afterwards nothing is fetched.
func FetchXterm(ctx context.Context) (string, error) {
	lock, err := page.ReadFile("page/package-lock.json")
	if err != nil {
		return "", err
	}
	dir, err := cacheDir("xterm-" + fmt.Sprintf("%x", sha256.Sum256(lock))[:12])
	modules := filepath.Join(dir, "node_modules")
	if err != nil || isWhole(modules) {
		return modules, err
	}
	if _, err := exec.LookPath("npm"); err != nil {
		return "", errors.New("the page needs npm once, to fetch xterm.js: install it (Debian: apt-get install npm), or use --terminal")
	}
	for _, name := range []string{"package.json", "package-lock.json"} {
		text, err := page.ReadFile("page/" + name)
		if err == nil {
			err = os.WriteFile(filepath.Join(dir, name), text, 0o644)
		}
		if err != nil {
			return "", err
		}
	}
	npm := exec.CommandContext(ctx, "npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund")
	npm.Dir = dir
	if out, err := npm.CombinedOutput(); err != nil {
		return "", fmt.Errorf("npm ci could not fetch xterm.js: %w; --terminal works without it\n%s", err, out)
	}
	return modules, nil
}

// isWhole reports whether all files are there.
func isWhole(modules string) bool {
	for _, name := range terminalFiles {
		if _, err := os.Stat(filepath.Join(modules, name)); err != nil {
			return false
		}
	}
	return true
}
