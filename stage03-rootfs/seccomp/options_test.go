package seccomp

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func TestOptions(t *testing.T) {
	for _, c := range []struct {
		list []string
		want Options
	}{
		{nil, Options{}},
		{[]string{"no-new-privileges"}, Options{NoNewPrivs: true}},
		{[]string{"no-new-privileges:true", "seccomp:unconfined"}, Options{NoNewPrivs: true, Profile: "unconfined"}},
		{[]string{"no-new-privileges=true", "seccomp=/a=b", "no-new-privileges=false"}, Options{Profile: "/a=b"}},
		{[]string{"seccomp=/a:b"}, Options{Profile: "/a:b"}},
		{[]string{`seccomp={"defaultAction":"SCMP_ACT_ALLOW"}`}, Options{Profile: `{"defaultAction":"SCMP_ACT_ALLOW"}`}},
	} {
		got, err := ParseOptions(c.list)
		require.NoError(t, err)
		require.Equal(t, c.want, got)
	}
	for _, option := range []string{"", "seccomp", "seccomp=", "no-new-privileges=maybe", "apparmor=x"} {
		_, err := ParseOptions([]string{option})
		require.EqualError(t, err, "--security-opt "+option+": there are no-new-privileges, seccomp=FILE and seccomp=unconfined")
	}
}
