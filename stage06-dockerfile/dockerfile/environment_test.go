package dockerfile

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func TestEnvironment(t *testing.T) {
	env := SetEnv(SetEnv([]string{"A=1", "AB=2"}, "A", "x=y"), "C", "")
	require.Equal(t, []string{"A=x=y", "AB=2", "C="}, env)
	require.Equal(t, map[string]string{"A": "x=y", "AB": "2", "C": ""}, EnvMap(env))
}
