package passwd

import (
	"testing"

	"github.com/stretchr/testify/require"
)

// files reads from a root that has some files in etc.
func files(etc map[string]string) func(name string) ([]byte, error) {
	return func(name string) ([]byte, error) { return []byte(etc[name]), nil }
}

func TestLookup(t *testing.T) {
	read := files(map[string]string{
		"/etc/passwd": "root:x:0:0:root:/root:/bin/sh\napp:x:1000:1001:App:/home/app:/bin/sh\nbroken\n7:x:70:70::/seven:\n",
		"/etc/group":  "root:x:0:\nstaff:x:50:app,other\napp:x:1001:\naudio:x:29:other,app\n8:x:80:\n",
	})
	for text, want := range map[string]User{
		"":          {Home: "/root", Groups: nil},
		"app":       {UID: 1000, GID: 1001, Groups: []int{50, 29}, Home: "/home/app"},
		"1000":      {UID: 1000, GID: 1001, Groups: []int{50, 29}, Home: "/home/app"},
		"app:":      {UID: 1000, GID: 1001, Groups: []int{50, 29}, Home: "/home/app"}, // no group is given
		"app:staff": {UID: 1000, GID: 50, Home: "/home/app"},
		"app:77":    {UID: 1000, GID: 77, Home: "/home/app"},
		"4242":      {UID: 4242, Home: "/"},
		"4242:29":   {UID: 4242, GID: 29, Home: "/"},
		":staff":    {GID: 50, Home: "/root"},
		"7":         {UID: 7, Home: "/"}, // a number is not a name, even where a user has it
		"70":        {UID: 70, GID: 70, Home: "/seven"},
		"01000":     {UID: 1000, GID: 1001, Groups: []int{50, 29}, Home: "/home/app"},
		"0:8":       {GID: 8, Home: "/root"},
		"app:50:x":  {UID: 1000, GID: 50, Home: "/home/app"}, // Docker reads two fields
		"app::x":    {UID: 1000, GID: 1001, Groups: []int{50, 29}, Home: "/home/app"},
	} {
		user, err := Lookup(read, text)
		require.NoError(t, err, text)
		require.Equal(t, want, user, text)
	}
	for _, text := range []string{"nobody-here", "app:no-group", "-1", "2147483648", "4294967296", "99999999999999999999", "app:-2", "app:4294967296", "7x"} {
		_, err := Lookup(read, text)
		require.Error(t, err, text)
	}
}

// Lines that glibc takes, and lines that it ignores.
func TestMalformedLines(t *testing.T) {
	read := files(map[string]string{
		"/etc/passwd": "  blanks:x:5:6::/five\nshort:x:8:9\n#comment:x:1:1::/:\nnouid\nword:x:zero:0::/:\nhuge:x:4294967296:0::/:\nnogid:x:3\nlast:x:11: 12::/home/last",
		"/etc/group":  " staff:x:50: short , blanks\nbad:x\nbad:x:zero:short\n",
	})
	for text, want := range map[string]User{
		"blanks":       {UID: 5, GID: 6, Groups: []int{50}, Home: "/five"},
		"short":        {UID: 8, GID: 9, Groups: []int{50}, Home: "/"},
		"8":            {UID: 8, GID: 9, Groups: []int{50}, Home: "/"},
		"last":         {UID: 11, GID: 12, Home: "/home/last"},
		"0":            {Home: "/root"},
		"blanks:staff": {UID: 5, GID: 50, Home: "/five"},
	} {
		user, err := Lookup(read, text)
		require.NoError(t, err, text)
		require.Equal(t, want, user, text)
	}
	for _, text := range []string{"comment", "#comment", "nouid", "word", "huge", "nogid", "short:bad"} {
		_, err := Lookup(read, text)
		require.Error(t, err, text)
	}
}

func TestGroups(t *testing.T) {
	read := files(map[string]string{"/etc/group": "staff:x:50:\n60:x:0:\n"})
	ids, err := Groups(read, []string{"staff", "60", "7"})
	require.NoError(t, err)
	require.Equal(t, []int{50, 60, 7}, ids)
	for _, group := range []string{"none", "-1", "4294967296", ""} {
		_, err := Groups(read, []string{group})
		require.Error(t, err, group)
	}
}

func FuzzLookup(f *testing.F) {
	f.Add("root:x:0:0::/:", "g:x:1:a", "a:g")
	f.Add(":::::::", ":::", ":")
	f.Fuzz(func(t *testing.T, passwd, group, text string) {
		read := files(map[string]string{"/etc/passwd": passwd, "/etc/group": group})
		if user, err := Lookup(read, text); err == nil {
			require.GreaterOrEqual(t, user.UID, 0)
			require.GreaterOrEqual(t, user.GID, 0)
		}
	})
}
