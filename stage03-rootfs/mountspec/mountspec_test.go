package mountspec

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"stagebox/lessons/boxtest"
)

func TestMain(m *testing.M) { boxtest.Main(m, nil) }

var (
	without = Types{"bind", "tmpfs"}
	with    = Types{"bind", "tmpfs", "volume"}
)

func TestVolume(t *testing.T) {
	for text, want := range map[string]Spec{
		"/a:/b":                 {Type: "bind", Source: "/a", Target: "/b"},
		"/a:/b:ro":              {Type: "bind", Source: "/a", Target: "/b", ReadOnly: true},
		"/a:/b:rw":              {Type: "bind", Source: "/a", Target: "/b"},
		"/a:/b:ro,z,cached":     {Type: "bind", Source: "/a", Target: "/b", ReadOnly: true, NoEffect: []string{"z", "cached"}},
		"/a:/b:delegated,Z":     {Type: "bind", Source: "/a", Target: "/b", NoEffect: []string{"delegated", "Z"}},
		"/a:/b:rslave":          {Type: "bind", Source: "/a", Target: "/b", Propagation: "slave"},
		"/a:/b:shared":          {Type: "bind", Source: "/a", Target: "/b", Propagation: "shared"},
		"/a:/b:rprivate":        {Type: "bind", Source: "/a", Target: "/b"},
		"name:/b:nocopy":        {Type: "volume", Source: "name", Target: "/b", NoCopy: true},
		"name:/b:ro,consistent": {Type: "volume", Source: "name", Target: "/b", ReadOnly: true, NoEffect: []string{"consistent"}},
	} {
		want.MakeSource = true
		got, err := with.Volume(text)
		require.NoError(t, err, text)
		require.Equal(t, want, got, text)
	}
	got, err := with.Volume("/b")
	require.NoError(t, err)
	require.Equal(t, Spec{Type: "volume", Target: "/b"}, got)
	got, err = without.Volume("name:/b")
	require.NoError(t, err)
	require.Equal(t, "bind", got.Type)
	_, err = without.Volume("/b")
	require.Error(t, err)
	for _, text := range []string{"", ":/b", "/a:", "/a:/b:x", "/a:/b:ro:rw", "/a:/b:", "/a:/b:ro,rw", "/a:/b:z,Z", "/a:/b:nocopy",
		"/a:/b:slave,shared", "name:/b:rslave", "/a:/b:rrslave"} {
		_, err := with.Volume(text)
		require.Error(t, err, text)
	}
}

func TestMount(t *testing.T) {
	for text, want := range map[string]Spec{
		"type=bind,src=/a,dst=/b,readonly":                   {Type: "bind", Source: "/a", Target: "/b", ReadOnly: true},
		"type=bind,source=/a,target=/b,ro=false":             {Type: "bind", Source: "/a", Target: "/b"},
		"type=bind,src=/a,dst=/b,bind-nonrecursive":          {Type: "bind", Source: "/a", Target: "/b", Alone: true},
		"type=bind,src=/a,dst=/b,bind-recursive=disabled":    {Type: "bind", Source: "/a", Target: "/b", Alone: true},
		"type=bind,src=/a,dst=/b,bind-recursive=enabled":     {Type: "bind", Source: "/a", Target: "/b"},
		"type=bind,src=/a,dst=/b,bind-recursive=writable,ro": {Type: "bind", Source: "/a", Target: "/b", ReadOnly: true, ReadOnlyTop: true},
		"src=a,dst=/b,volume-subpath=x/./y":                  {Type: "volume", Source: "a", Target: "/b", Subpath: "x/y"},
		`type=bind,"src=/a,b",destination=/b`:                {Type: "bind", Source: "/a,b", Target: "/b"},
		"bind-propagation=rslave,type=bind,src=/a,dst=/b":    {Type: "bind", Source: "/a", Target: "/b", Propagation: "slave"},
		"type=bind,src=/a,dst=/b,consistency=cached":         {Type: "bind", Source: "/a", Target: "/b", NoEffect: []string{"consistency=cached"}},
		"src=name,dst=/b":                                    {Type: "volume", Source: "name", Target: "/b"},
		"dst=/b,volume-label=a=b=c,volume-label=d":           {Type: "volume", Target: "/b", Labels: map[string]string{"a": "b=c", "d": ""}},
		"dst=/b,volume-nocopy":                               {Type: "volume", Target: "/b", NoCopy: true},
		"type=tmpfs,dst=/t,tmpfs-size=64m,tmpfs-mode=700":    {Type: "tmpfs", Target: "/t", Attrs: tmpfsAttrs, Options: []string{"size=67108864", "mode=700"}},
		"type=tmpfs,dst=/t,tmpfs-size=64m,volume-nocopy=no!": {},
		"type=bind,src=/a,dst=/b,bind-recursive=writable":    {},
		"type=bind,src=/a,dst=/b,bind-recursive=perhaps":     {},
		"src=a,dst=/b,volume-subpath=../x":                   {},
		"src=a,dst=/b,volume-subpath=/x":                     {},
		"src=a,dst=/b,image-subpath=x":                       {},
	} {
		got, err := with.Mount(text)
		if want.Type == "" {
			require.Error(t, err, text)
			continue
		}
		require.NoError(t, err, text)
		require.Equal(t, want, got, text)
	}
	got, err := without.Mount("src=/a,dst=/b")
	require.NoError(t, err)
	require.Equal(t, Spec{Type: "bind", Source: "/a", Target: "/b"}, got)
	for _, text := range []string{"", "type=bind,dst=/b", "type=bind,src=/a", "type=tmpfs,src=/a,dst=/b", "type=x,dst=/b", "dst=/b,x=y",
		"dst=/b,readonly=perhaps", "dst=/b,tmpfs-size=1", "type=tmpfs,dst=/b,tmpfs-size=x", `dst="/b`, "type=tmpfs,dst=/t,volume-nocopy",
		"dst=/b,bind-propagation=slave", "type=volume,dst=/b"} {
		_, err := without.Mount(text)
		require.Error(t, err, text)
	}
}

func TestTmpfs(t *testing.T) {
	for text, want := range map[string]Spec{
		"/t":                                {Attrs: tmpfsAttrs},
		"/t:size=1k,mode=755,exec,ro":       {ReadOnly: true, Attrs: tmpfsAttrs &^ unix.MOUNT_ATTR_NOEXEC, Options: []string{"size=1024", "mode=755"}},
		"/t:uid=7,gid=8,size=50%":           {Attrs: tmpfsAttrs, Options: []string{"uid=7", "gid=8", "size=50%"}},
		"/t:suid,dev,noatime,defaults":      {Attrs: unix.MOUNT_ATTR_NOEXEC | unix.MOUNT_ATTR_NOATIME},
		"/t:size=0,nr_inodes=9,nosuid,rw,,": {Attrs: tmpfsAttrs, Options: []string{"size=0", "nr_inodes=9"}},
	} {
		want.Type, want.Target = "tmpfs", "/t"
		got, err := Tmpfs(text)
		require.NoError(t, err, text)
		require.Equal(t, want, got, text)
	}
	for _, text := range []string{"/t:size=", "/t:size=101%", "/t:size=-1%", "/t:size=x", "/t:mode=8", "/t:uid=-1", "/t:gid=x",
		"/t:uid=4294967296", "/t:sizes=1", "/t:nonsense", "/t:nono"} {
		_, err := Tmpfs(text)
		require.Error(t, err, text)
	}
}

func TestRelativePathsAreOfTheCurrentDirectory(t *testing.T) {
	t.Chdir(t.TempDir())
	here, err := os.Getwd()
	require.NoError(t, err)
	volumes := []string{".:/a", "./x:/b:ro", "../y:/c", "name:/d", "/e", "."}
	mounts := []string{"type=bind,src=./x,dst=/a", "src=name,dst=/b", `dst=/c,"source=./y,z"`, `"`, "type=volume,src=../v,dst=/d"}
	require.NoError(t, Absolute(volumes, mounts))
	require.Equal(t, []string{here + ":/a", here + "/x:/b:ro", filepath.Dir(here) + "/y:/c", "name:/d", "/e", "."}, volumes)
	require.Equal(t, []string{"type=bind,src=" + here + "/x,dst=/a", "src=name,dst=/b", `dst=/c,"source=` + here + `/y,z"`, `"`,
		"type=volume,src=../v,dst=/d"}, mounts)
}

func TestResolve(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "file")
	require.NoError(t, os.WriteFile(file, nil, 0o600))
	isName := func(text string) bool { return text == "data" }
	types := Types{"bind", "tmpfs", "volume"}
	list, err := types.Resolve([]string{file + ":/a/b/../c", "data:/d", dir + "/gone:/e", dir + ":/dev", dir + ":/sys:rslave"}, nil, []string{"/f"}, isName)
	require.NoError(t, err)
	var got []string
	for _, s := range list {
		got = append(got, fmt.Sprint(s.Type, s.Target, s.IsDir, s.IsMissing))
	}
	require.Equal(t, []string{"volume/dtrue false", "bind/etrue true", "bind/devtrue false", "bind/systrue false", "tmpfs/ftrue false", "bind/a/cfalse false"}, got, "those nearer to the root first")
	for spec, says := range map[string]string{
		dir + ":x":            "--volume " + dir + `:x: the place inside, "x", must be an absolute path`,
		dir + ":/dev/..":      ": / is reserved",
		dir + ":/proc/x":      ": /proc/x is reserved",
		"data:/dev":           ": /dev is reserved",
		dir + ":/sys:rshared": "would be hidden from the host too",
		"no/name:/x":          `: "no/name" is neither a path`,
		dir + ":/d/../taken":  ": duplicate mount point: /taken",
	} {
		_, err := types.Resolve([]string{"data:/taken", spec}, nil, nil, isName)
		require.ErrorContains(t, err, says)
	}
	for spec, says := range map[string]string{
		"src=a,dst=/x":                ": the host's path must begin with / or with a dot: ./a, perhaps",
		"src=" + dir + "/gone,dst=/x": "bind source path does not exist: " + dir + "/gone; make it first",
	} {
		_, err := Types{"bind"}.Resolve(nil, []string{spec}, nil, nil)
		require.ErrorContains(t, err, says)
	}
}

func FuzzResolve(f *testing.F) {
	for _, seed := range []string{"/a:/b:ro", "type=bind,src=/,dst=/x", "/t:size=1m", "type=tmpfs,dst=/t", "/usr:/proc/x", "::::"} {
		f.Add(seed)
	}
	types, isName := Types{"bind", "tmpfs", "volume"}, func(string) bool { return true }
	f.Fuzz(func(t *testing.T, text string) {
		for _, flags := range [][3][]string{{{text}}, {1: {text}}, {2: {text}}} {
			list, err := types.Resolve(flags[0], flags[1], flags[2], isName)
			if err != nil {
				require.Empty(t, list)
				continue
			}
			require.NotContains(t, []string{"/", "/proc", "/sys", "/dev"}, list[0].Target)
			require.True(t, filepath.IsAbs(list[0].Target))
		}
	})
}
