package envfile

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func TestComplete(t *testing.T) {
	t.Setenv("FROM_CALLER", "c")
	for _, c := range []struct{ env, variables, want []string }{
		{[]string{"A=1"}, []string{"A=2", "FROM_CALLER", "NO_SUCH"}, []string{"A=2", "FROM_CALLER=c", "HOME=/h"}},
		{[]string{"HOME=/root"}, nil, []string{"HOME=/root"}},
		{[]string{"HOME=/root"}, []string{"HOME="}, []string{"HOME=/h"}},
		{nil, []string{"HOME=/own"}, []string{"HOME=/own"}},
	} {
		got, err := Complete(c.env, c.variables, "/h")
		require.NoError(t, err)
		require.Equal(t, c.want, got)
	}
	_, err := Complete(nil, []string{"=x"}, "/h")
	require.EqualError(t, err, `environment variable "=x": the name is missing; give NAME=VALUE`)
}

func TestResolve(t *testing.T) {
	t.Setenv("FROM_CALLER", "c")
	list := []string{"A=1", "FROM_CALLER", "FROM_CALLER=x", "NO_SUCH", ""}
	Resolve(list)
	require.Equal(t, []string{"A=1", "FROM_CALLER=c", "FROM_CALLER=x", "NO_SUCH", ""}, list)
}
