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
		"/etc/group":  "root:x:0:\nstaff:x:50:app,other\napp:x:1001:\naudio:x:29:other,app\n",
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
		"7":         {UID: 70, GID: 70, Home: "/seven"}, // a name first, then a number
	} {
		user, err := Lookup(read, text)
		require.NoError(t, err, text)
		require.Equal(t, want, user, text)
	}
	for _, text := range []string{"nobody-here", "app:no-group", "-1", "2147483648", "app:-2"} {
		_, err := Lookup(read, text)
		require.Error(t, err, text)
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
