package state_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	jsonv2 "github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
	jsonv1 "github.com/go-json-experiment/json/v1"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
	"stagebox/lessons/boxtest"

	"stagebox/stage04-unionfs/state"
)

func namesIn(t *testing.T, dir string) (names []string) {
	entries, err := os.ReadDir(dir)
	require.NoError(t, err)
	for _, entry := range entries {
		names = append(names, entry.Name())
	}
	return names
}

func contentOf(t *testing.T, path string) string {
	data, err := os.ReadFile(path)
	require.NoError(t, err)
	return string(data)
}

// A writer that is killed at some moment leaves the old file or the new one, all of it.
func TestKilledWriters(t *testing.T) {
	boxtest.Turn(t, 0, 2)
	random, dir := boxtest.Random(t), t.TempDir()
	path, left := filepath.Join(dir, "file"), 0
	for round := 1; round <= 30 || left == 0 && round <= 300; round++ { // a disk may be slow: then later
		require.NoError(t, os.RemoveAll(path))
		cmd := helper("write", path)
		require.NoError(t, cmd.Start())
		require.Eventually(t, func() bool { _, err := os.Stat(path); return err == nil }, time.Minute, time.Millisecond)
		time.Sleep(time.Duration(random.Int64N(int64(5*time.Millisecond)) * int64(1+round/30)))
		require.NoError(t, cmd.Process.Kill())
		require.Error(t, cmd.Wait())
		data := []byte(contentOf(t, path))
		require.Len(t, data, blockSize)
		require.Equal(t, blockSize, bytes.Count(data, data[:1]), "two versions in one file")
		left += len(namesIn(t, dir)) - 1
		require.NoError(t, state.Sweep(dir))
		require.Equal(t, []string{"file"}, namesIn(t, dir))
	}
	require.NotZero(t, left, "none was killed while it was writing")
}

// The file is on the disk before it has its name, and then its name is.
func TestOrderOfTheSteps(t *testing.T) {
	if _, err := exec.LookPath("strace"); err != nil {
		t.Skip("there is no strace")
	}
	steps := func(does string) string {
		path := filepath.Join(t.TempDir(), "file")
		log := filepath.Join(t.TempDir(), "log")
		cmd := helper(does, path, "strace", "-f", "-y", "-o", log, "-e", "trace=fchmod,fsync,rename,renameat")
		out, err := cmd.CombinedOutput()
		require.NoError(t, err, "%s", out)
		var steps []string
		text := strings.ReplaceAll(whole(contentOf(t, log)), filepath.Dir(path), "DIR")
		for _, line := range regexp.MustCompile(`(?m)\w+\(.*DIR.*\) += 0$`).FindAllString(text, -1) {
			line = regexp.MustCompile(`\.new-\w+`).ReplaceAllString(line, "TEMP")
			line = regexp.MustCompile(`AT_FDCWD(<.*?>)?|\d+<|[>" ,]|at\b|= 0|renameat`).ReplaceAllString(line, "")
			steps = append(steps, line)
		}
		return strings.Join(steps, " ")
	}
	require.Regexp(t, `^fchmod\(DIR/TEMP0640\) fsync\(DIR/TEMP\) .*\(?DIR/TEMPDIR/file\) fsync\(DIR\)$`, steps("write once"))
	require.Regexp(t, `^fchmod\(DIR/TEMP0640\) .*\(?DIR/TEMPDIR/file\)$`, steps("write for now"))
}

// whole puts together the calls that strace has written in two lines, because another thread made
// one meanwhile.
func whole(log string) string {
	var text strings.Builder
	begun := map[string]string{}
	for line := range strings.Lines(log) {
		thread, call, _ := strings.Cut(line, " ")
		call = strings.TrimLeft(call, " ")
		if before, unfinished := strings.CutSuffix(call, " <unfinished ...>\n"); unfinished {
			begun[thread] = before
			continue
		}
		if _, after, resumed := strings.Cut(call, " resumed>"); resumed {
			call = begun[thread] + after
		}
		text.WriteString(thread + " " + call)
	}
	return text.String()
}

func TestWholeCalls(t *testing.T) {
	require.Equal(t, "2 fsync(4</b>) = 0\n1 fsync(3</a>)     = 0\n",
		whole("1 fsync(3</a> <unfinished ...>\n2 fsync(4</b>) = 0\n1 <... fsync resumed>)     = 0\n"))
}

// The permissions are those that were asked for, whatever the umask, and nobody else can read
// a file while it is written.
func TestExactMode(t *testing.T) {
	for _, umask := range []int{0, 0o022, 0o777} {
		defer unix.Umask(unix.Umask(umask))
		dir := t.TempDir()
		require.NoError(t, os.Chmod(dir, 0o700))
		p, err := state.Create(dir)
		require.NoError(t, err)
		info, err := p.Stat()
		require.NoError(t, err)
		require.Zero(t, info.Mode()&0o077)
		require.NoError(t, p.Commit(filepath.Join(dir, "file"), 0o664, state.Volatile))
		info, err = os.Stat(filepath.Join(dir, "file"))
		require.NoError(t, err)
		require.Equal(t, os.FileMode(0o664), info.Mode())
	}
}

func TestOnlyRegularFilesAreReplaced(t *testing.T) {
	for name, make := range map[string]func(path string) error{
		"directory": func(path string) error { return os.Mkdir(path, 0o755) },
		"fifo":      func(path string) error { return unix.Mkfifo(path, 0o600) },
		"link":      func(path string) error { return os.Symlink("/no/such/file", path) },
		"socket":    func(path string) error { return unix.Mknod(path, unix.S_IFSOCK|0o600, 0) },
	} {
		dir := t.TempDir()
		path := filepath.Join(dir, name)
		require.NoError(t, make(path))
		before, err := os.Lstat(path)
		require.NoError(t, err)
		err = state.Write(path, []byte("new"), 0o644, state.Durable)
		require.EqualError(t, err, "replace "+path+": not a regular file; remove it")
		after, err := os.Lstat(path)
		require.NoError(t, err)
		require.True(t, os.SameFile(before, after))
		require.Equal(t, []string{name}, namesIn(t, dir))
	}
	err := state.Write("/no/such/dir/file", nil, 0o644, state.Durable)
	require.ErrorContains(t, err, "/no/such/dir/")
}

// Discard leaves nothing, and does nothing to a file that was committed.
func TestDiscard(t *testing.T) {
	dir := t.TempDir()
	p, err := state.Create(dir)
	require.NoError(t, err)
	require.True(t, state.IsPending(filepath.Base(p.Name())))
	require.NoError(t, p.Discard())
	require.NoError(t, p.Discard())
	require.Empty(t, namesIn(t, dir))
	p, err = state.Create(dir)
	require.NoError(t, err)
	require.NoError(t, p.Commit(filepath.Join(dir, "file"), 0o644, state.Volatile))
	require.NoError(t, p.Discard())
	require.Equal(t, []string{"file"}, namesIn(t, dir))
}

// A file that was closed can be committed later.
func TestReopen(t *testing.T) {
	dir := t.TempDir()
	p, err := state.Create(dir)
	require.NoError(t, err)
	_, err = state.Reopen(p.Name())
	require.ErrorIs(t, err, state.ErrBusy)
	_, err = p.WriteString("data")
	require.NoError(t, err)
	require.NoError(t, p.Close())
	p, err = state.Reopen(p.Name())
	require.NoError(t, err)
	require.NoError(t, p.Commit(filepath.Join(dir, "file"), 0o644, state.Durable))
	require.Equal(t, "data", contentOf(t, filepath.Join(dir, "file")))
}

// Sweep removes what killed processes have left, and nothing else.
func TestSweep(t *testing.T) {
	dir := t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(dir, "file.new"), nil, 0o644))
	alive, err := state.Create(dir)
	require.NoError(t, err)
	kill := start(t, "write half", dir)
	require.NoError(t, state.Sweep(dir))
	require.Len(t, namesIn(t, dir), 3, "both are being written")
	kill()
	require.NoError(t, state.Sweep(dir))
	require.Equal(t, []string{filepath.Base(alive.Name()), "file.new"}, namesIn(t, dir))
	require.NoError(t, alive.Discard())
	require.NoError(t, state.Sweep(filepath.Join(dir, "missing")))
}

// Files can be written while others sweep.
func TestSweepAmongWriters(t *testing.T) {
	boxtest.Turn(t, 1, 2)
	dir := t.TempDir()
	done, stopped := make(chan bool), make(chan error)
	go func() {
		var err error
		for {
			select {
			case <-done:
				stopped <- err
				return
			default:
				if errSweep := state.Sweep(dir); err == nil {
					err = errSweep
				}
			}
		}
	}()
	var all sync.WaitGroup
	for i := range 4 {
		all.Go(func() {
			for n := range 200 {
				path := filepath.Join(dir, fmt.Sprint(i, "-", n%3))
				if err := state.Write(path, []byte("data"), 0o600, state.Volatile); err != nil {
					t.Error(err)
				}
			}
		})
	}
	all.Wait()
	close(done)
	require.NoError(t, <-stopped)
	require.Len(t, namesIn(t, dir), 12)
}

func TestJSON(t *testing.T) {
	path := filepath.Join(t.TempDir(), "record.json")
	require.NoError(t, state.WriteJSON(path, map[string]int{"a": 1}, state.Durable))
	require.Equal(t, "{\n  \"a\": 1\n}\n", contentOf(t, path))
	var got map[string]int
	require.NoError(t, state.ReadJSON(path, &got))
	require.Equal(t, map[string]int{"a": 1}, got)
	require.NoError(t, os.WriteFile(path, nil, 0o644))
	require.EqualError(t, state.ReadJSON(path, &got), path+": unexpected end of JSON input")
	require.ErrorIs(t, state.ReadJSON(path+"x", &got), os.ErrNotExist)
	require.ErrorContains(t, state.WriteJSON(path, func() {}, state.Durable), path+": json: unsupported type")
}

type record struct {
	Text    string
	Number  int
	Pointer *int
	None    []string
	Empty   []string
	When    time.Duration
	At      time.Time
	Below   struct{ Flag bool }
}

// Of a struct, what is zero is left out; all else is as encoding/json writes and reads it.
func TestJSONOfAStruct(t *testing.T) {
	path := filepath.Join(t.TempDir(), "record.json")
	want := record{Text: "a\xff<b>", Pointer: new(int), Empty: []string{}, When: time.Second, At: time.Unix(1, 5).UTC()}
	require.NoError(t, state.WriteJSON(path, want, state.Volatile))
	require.Equal(t, "{\n  \"Text\": \"a\ufffd\\u003cb\\u003e\",\n  \"Pointer\": 0,\n  \"Empty\": [],\n  \"When\": 1000000000,\n"+
		"  \"At\": \"1970-01-01T00:00:01.000000005Z\"\n}\n", contentOf(t, path))
	var got, theirs record
	require.NoError(t, state.ReadJSON(path, &got))
	require.NoError(t, json.Unmarshal([]byte(contentOf(t, path)), &theirs))
	require.Equal(t, theirs, got)
	want.Text = "a\ufffd<b>"
	require.Equal(t, want, got)
	old := `{"text":"x","Number":3,"Pointer":null,"None":null,"Unknown":[{}],"Below":{"Flag":true},"Number":4}`
	require.NoError(t, os.WriteFile(path, []byte(old), 0o600))
	require.NoError(t, state.ReadJSON(path, &got))
	require.NoError(t, json.Unmarshal([]byte(old), &theirs))
	require.Equal(t, theirs, got, "a record of an older box, which has every field")
}

// TestReadJSONKeepsNothing: what was read stays as it is when the next record is read, side by side too.
func TestReadJSONKeepsNothing(t *testing.T) {
	type record struct {
		Name string
		Raw  json.RawMessage
		List []string
	}
	dir := t.TempDir()
	want := make([]record, 50)
	for i := range want {
		word := strings.Repeat(string(rune('a'+i%26)), 1+i*100) // on both sides of the buffer's size
		want[i] = record{word, json.RawMessage(`"` + word + `"`), []string{word, "x"}}
		require.NoError(t, state.WriteJSON(filepath.Join(dir, strconv.Itoa(i)), want[i], state.Volatile))
	}
	got, errs := make([]record, len(want)), make([]error, len(want))
	var all sync.WaitGroup
	for i := range got {
		all.Go(func() { errs[i] = state.ReadJSON(filepath.Join(dir, strconv.Itoa(i)), &got[i]) })
	}
	all.Wait()
	require.NoError(t, errors.Join(errs...))
	require.Equal(t, want, got)
}

type (
	Embedded struct {
		Inner string
		Both  int `json:"both,omitempty"`
	}
	Hidden struct{ Secret string }
	shout  string
)

func (s *shout) MarshalText() ([]byte, error) { return []byte(strings.ToUpper(string(*s))), nil }

// Whatever a record is made of, it is written as encoding/json writes it.
func TestJSONOfAllKindsOfFields(t *testing.T) {
	type wide struct {
		Embedded
		Hidden  `json:"-"`
		*record `json:"Record"`
		Named   Embedded `json:"named"`
		List    []Embedded
		Nothing []string          `json:",omitempty"`
		Labels  map[string]string `json:"labels,omitempty"`
		Any     any
		Bytes   []byte
		Loud    shout
		Louder  *shout
		Zone    time.Time
		private int
	}
	text := shout("x")
	all := &wide{Embedded: Embedded{"<a>", 3}, Hidden: Hidden{"s"}, Named: Embedded{Both: 1}, List: []Embedded{{}, {Inner: "b"}},
		Nothing: []string{}, Labels: map[string]string{}, Any: &Embedded{Inner: "c"}, Bytes: []byte{1, 2}, Loud: text, Louder: &text,
		Zone: time.Time{}.In(time.FixedZone("here", 3600)), private: 1}
	path := filepath.Join(t.TempDir(), "record.json")
	for _, value := range []any{all, *all, &wide{Labels: map[string]string{"b": "1", "a": "2"}}, []*Embedded{{Both: 2}, nil}, (*wide)(nil)} {
		want, err := jsonv2.Marshal(value, jsonv1.DefaultOptionsV1(), jsonv2.OmitZeroStructFields(true), jsontext.WithIndent("  "))
		require.NoError(t, err)
		require.NoError(t, state.WriteJSON(path, value, state.Volatile))
		require.Equal(t, string(want)+"\n", contentOf(t, path))
	}
	require.Contains(t, contentOf(t, path), "null")
}
