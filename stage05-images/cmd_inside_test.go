package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"stagebox/lessons/boxtest"
)

// asManyUsers runs a script as an ordinary user to whom more users are granted: nobody, in a
// mount namespace with files of its own in the place of /etc/subuid and /etc/subgid.
func asManyUsers(t *testing.T, script string) string {
	tools(t, "unshare", "setpriv", "newuidmap", "newgidmap")
	if os.Geteuid() != 0 {
		t.Skip("only root can grant nobody more users for the time of a test")
	}
	dir, err := os.MkdirTemp("", "stagebox-many-")
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, os.RemoveAll(dir)) })
	sh(t, dir, "echo nobody:100000:65536 >granted; chown nobody:nogroup .")
	require.NoError(t, os.WriteFile(filepath.Join(dir, "script"), []byte(script), 0o644))
	return sh(t, dir, "export HOME=$PWD BOX_ROOT=$PWD/store box="+box+`
		exec unshare --mount sh -euc '
			mount --bind granted /etc/subuid
			mount --bind granted /etc/subgid
			exec setpriv --reuid nobody --regid nogroup --clear-groups sh -eu script'`)
}

// TestManyUsers has files of others in a layer, which their owner on the host cannot even
// read, and takes them through commit, save and load.
func TestManyUsers(t *testing.T) {
	boxtest.Slow(t)
	out := asManyUsers(t, `
		$box run --name one tiny sh -c 'mkdir -m 700 /d; echo secret >/d/f; chown 33:44 /d/f; chmod 4751 /d/f; chown 5 /d'
		$box commit one changed >/dev/null
		$box rm one >/dev/null
		$box save -o changed.tar changed
		$box rmi changed tiny >/dev/null
		BOX_ROOT=$PWD/other
		$box load -i changed.tar
		$box run --rm changed sh -c 'cat /d/f; stat -c "%n %u:%g %a" /d /d/f'
		stat -c %u:%g other/layers/*/d; ! cat other/layers/*/d/f 2>/dev/null
		$box rmi changed >/dev/null
		ls other/layers store/layers`)
	require.Equal(t, `Loaded image: changed:latest
secret
/d 5:0 700
/d/f 33:44 4751
100004:65534
other/layers:

store/layers:`, strings.TrimSpace(out))
}
