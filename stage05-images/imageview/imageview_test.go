package imageview

import (
	"bytes"
	"cmp"
	"io"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"stagebox/lessons/boxtest"
	"stagebox/stage04-unionfs/api"
	"stagebox/stage05-images/digest"
	"stagebox/stage05-images/oci"
	"stagebox/stage05-images/ocispec"
)

func TestMain(m *testing.M) { boxtest.Main(m, nil) }

func layer(n int) digest.Digest { return digest.FromString(strings.Repeat("x", n)) }

// sizes makes the first layer 1 KiB and each further one 1 KiB larger.
func sizes(diffID digest.Digest) int64 {
	for n := 1; n < 9; n++ {
		if layer(n) == diffID {
			return int64(n) << 10
		}
	}
	return 0
}

// images are an old one with two names, and a new one on top of it without a name.
func images() []*oci.Image {
	made := time.Now().Add(-2 * time.Hour)
	list := []*oci.Image{
		{ID: digest.FromString("old"), Names: []string{"docker.io/library/old:1", "h:5/old@" + layer(7).String()}, Origins: []string{"old@" + layer(8).String(), ""}},
		{ID: digest.FromString("new"), Origins: []string{""}},
	}
	for i, image := range list {
		image.Manifest.Digest = digest.FromString("manifest of " + string(image.ID))
		for n := range i + 1 {
			image.Config.RootFS.DiffIDs = append(image.Config.RootFS.DiffIDs, layer(n+1))
		}
	}
	list[1].Config.Created = &made
	return list
}

func TestAge(t *testing.T) {
	require.Equal(t, "N/A", age(time.Time{}))
	require.Equal(t, "N/A", age(time.Unix(0, 0)))
	require.Equal(t, "2 hours ago", age(time.Now().Add(-2*time.Hour)))
}

func TestTables(t *testing.T) {
	write := func(o Options) (lines [][]string) {
		var out bytes.Buffer
		require.NoError(t, o.Write(&out, images(), nil, sizes))
		for line := range strings.Lines(out.String()) {
			lines = append(lines, strings.Fields(line))
		}
		return lines
	}
	id := func(text string) string { return digest.FromString(text).Encoded()[:12] }
	require.Equal(t, [][]string{
		strings.Fields("REPOSITORY TAG IMAGE ID CREATED SIZE"),
		{"<none>", "<none>", id("new"), "2", "hours", "ago", "3", "KiB"},
		{"old", "1", id("old"), "N/A", "1", "KiB"},
		{"h:5/old", "<none>", id("old"), "N/A", "1", "KiB"},
	}, write(Options{}))
	require.Equal(t, [][]string{{id("new")}, {id("old")}, {id("old")}}, write(Options{Quiet: true}))
	digests := write(Options{Digests: true})
	require.Equal(t, layer(8).String(), digests[2][2], "that of the registry")
	require.Equal(t, images()[0].Manifest.Digest.String(), digests[3][2])
	tree := write(Options{Tree: true})
	require.Equal(t, []string{"└─", layer(1).Encoded()[:12], "1", "KiB", "old:1,"}, tree[0][:5])
	require.Len(t, tree, 2)
}

// TestLayersAreAskedOnce: the images of the list share a layer, and one has two names.
func TestLayersAreAskedOnce(t *testing.T) {
	for _, tree := range []bool{false, true} {
		asked := map[digest.Digest]int{}
		count := func(d digest.Digest) int64 { asked[d]++; return sizes(d) }
		require.NoError(t, Options{Tree: tree}.Write(io.Discard, images(), nil, count))
		require.Equal(t, map[digest.Digest]int{layer(1): 1, layer(2): 1}, asked)
	}
}

func TestHistoryHasALineForEachLayer(t *testing.T) {
	image := images()[1]
	long := strings.Repeat("word ", 20)
	image.Config.History = []ocispec.History{{CreatedBy: long}, {CreatedBy: "ENV", EmptyLayer: true, Comment: "note"}}
	var out bytes.Buffer
	require.NoError(t, HistoryOptions{}.Write(&out, image, sizes))
	lines := strings.Split(out.String(), "\n")
	require.Contains(t, lines[0], "CREATED BY")
	require.Contains(t, lines[1], layer(2).Encoded()[:12], "of which the history says nothing")
	require.Contains(t, lines[2], "<none>")
	require.Contains(t, lines[2], "note")
	require.Contains(t, lines[3], layer(1).Encoded()[:12])
	require.Contains(t, lines[3], "…")
	out.Reset()
	require.NoError(t, HistoryOptions{NoTrunc: true}.Write(&out, image, sizes))
	require.Contains(t, out.String(), strings.TrimSpace(long))
	out.Reset()
	require.NoError(t, HistoryOptions{Format: "{{.ID}} {{.Size}} {{.Comment}}"}.Write(&out, image, sizes))
	require.Equal(t, layer(2).Encoded()[:12]+" 2 KiB \n<none> 0 B note\n"+layer(1).Encoded()[:12]+" 1 KiB \n", out.String())
	out.Reset()
	require.NoError(t, HistoryOptions{Quiet: true}.Write(&out, image, sizes))
	require.Equal(t, layer(2).Encoded()[:12]+"\n<none>\n"+layer(1).Encoded()[:12]+"\n", out.String())
}

// An image's history is a stranger's text: what would move a terminal's cursor or shift the columns
// becomes a blank.
func TestHistoryIsFitForATerminal(t *testing.T) {
	image := images()[0]
	image.Config.History = []ocispec.History{{CreatedBy: "RUN \x1b]0;title\a ls\u202e", Comment: "two\nlines\tand \x1b[31mred"}}
	var out bytes.Buffer
	require.NoError(t, HistoryOptions{NoTrunc: true}.Write(&out, image, sizes))
	require.Equal(t, 2, strings.Count(out.String(), "\n"), out.String())
	require.Contains(t, out.String(), "RUN ]0;title ls")
	require.Contains(t, out.String(), "two lines and [31mred\n")
	require.NotContains(t, out.String(), "\x1b")
}

// TestSelection has the flags that leave images out, and the forms of the list.
func TestSelection(t *testing.T) {
	all := images()
	all[0].Config.Config.Labels = map[string]string{"team": "a"}
	find := func(text string) (*oci.Image, error) {
		if text == "old:1" {
			return all[0], nil
		}
		return nil, oci.ErrNoImage
	}
	write := func(o Options) string {
		var out bytes.Buffer
		o.Format = cmp.Or(o.Format, "{{.Repository}}:{{.Tag}}")
		require.NoError(t, o.Write(&out, slices.Clone(all), find, sizes))
		return strings.ReplaceAll(strings.TrimSpace(out.String()), "\n", " ")
	}
	for _, c := range []struct {
		options Options
		shows   string
	}{
		{Options{}, "<none>:<none> old:1 h:5/old:<none>"},
		{Options{Name: "old"}, "old:1"},
		{Options{Name: "old:1"}, "old:1"},
		{Options{Name: "old:2"}, ""},
		{Options{Name: "*/old"}, "h:5/old:<none>"},
		{Options{Filter: []string{"reference=o?d", "reference=nosuch"}}, "old:1"},
		{Options{Filter: []string{"dangling=true"}}, "<none>:<none>"},
		{Options{Filter: []string{"dangling=false", "label=team=a"}}, "old:1 h:5/old:<none>"},
		{Options{Filter: []string{"label=team=b"}}, ""},
		{Options{Filter: []string{"since=old:1"}}, "<none>:<none>"},
		{Options{Filter: []string{"before=old:1"}}, ""},
		{Options{Name: "old", NoTrunc: true, Format: "{{.ID}}"}, string(digest.FromString("old"))},
		{Options{Name: "old", Quiet: true, Format: "table"}, digest.FromString("old").Encoded()[:12]},
		{Options{Name: "old", Format: "table {{.Tag}}\t{{.Size}}"}, "TAG   SIZE 1     1 KiB"},
	} {
		require.Equal(t, c.shows, write(c.options), "%+v", c.options)
	}
	for says, o := range map[string]Options{
		"--filter: " + oci.ErrNoImage.Error():                              {Filter: []string{"since=nosuch"}},
		"images [: syntax error in pattern of a name":                      {Name: "["},
		"--filter dangling=x: invalid value; available: true, 1, false, 0": {Filter: []string{"dangling=x"}},
	} {
		require.EqualError(t, o.Write(io.Discard, all, find, sizes), says)
	}
}

func TestDescriptions(t *testing.T) {
	all := images()
	all[1].Config.Config.Labels = map[string]string{"from": "image"}
	all[1].Config.Config.Entrypoint, all[1].Config.Config.Cmd = []string{"entry"}, []string{"cmd"}
	all[1].Config.Config.ArgsEscaped = true
	d := Describe(all[0], all, sizes, func(d digest.Digest) string { return "/" + d.Encoded()[:4] })
	require.Equal(t, []string{"old:1"}, d.RepoTags)
	require.Equal(t, []string{"old@" + layer(8).String(), "h:5/old@" + layer(7).String()}, d.RepoDigests)
	require.Equal(t, map[string]string{"UpperDir": "/" + layer(1).Encoded()[:4]}, d.GraphDriver.Data)
	d = Describe(all[1], all, sizes, func(d digest.Digest) string { return "/" + d.Encoded()[:4] })
	require.EqualValues(t, 3<<10, d.Size)
	require.True(t, d.Config.ArgsEscaped, "as docker inspect shows it of what BuildKit has built")
	require.Equal(t, "/"+layer(1).Encoded()[:4], d.GraphDriver.Data["LowerDir"])
	container := api.Config{Cmd: []string{"entry", "own"}, Labels: map[string]string{}}
	Inherit(&container, all[1].Config.Config, nil, "TERM")
	require.Equal(t, []string{"entry"}, container.Entrypoint)
	require.Equal(t, []string{"own"}, container.Cmd)
	require.Equal(t, "image", container.Labels["from"])
	none := ""
	container.Labels = map[string]string{"from": "flag"}
	Inherit(&container, all[1].Config.Config, &none, "TERM")
	require.Empty(t, container.Entrypoint)
	require.Equal(t, "flag", container.Labels["from"], "a label of the container's own wins")
}

// Ports are listed one by one, whatever builder wrote the image.
func TestRangesOfPorts(t *testing.T) {
	given := func(keys ...string) (set map[string]struct{}) {
		for _, key := range keys {
			set = api.Set(set, key)
		}
		return set
	}
	image := oci.RunConfig{}
	image.ExposedPorts = given("80/tcp", "8000-8002/udp", "90-91", "7-5/tcp", "1-60000/tcp", "x-y/tcp", "-")
	want := given("80/tcp", "8000/udp", "8001/udp", "8002/udp", "90/tcp", "91/tcp", "7-5/tcp", "1-60000/tcp", "x-y/tcp", "-")
	require.Equal(t, want, runConfig(image).ExposedPorts)
	require.Len(t, image.ExposedPorts, 7, "the image stays as it is")
	var container api.Config
	Inherit(&container, image, nil, "")
	require.Equal(t, want, container.ExposedPorts)
	require.Nil(t, runConfig(oci.RunConfig{}).ExposedPorts)
}
