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

func TestProxyEnv(t *testing.T) {
	require.Empty(t, ProxyEnv(map[string]string{"V": "1", "no_proxy": ""}))
	require.Equal(t, []string{"HTTP_PROXY=low", "http_proxy=low", "NO_PROXY=any", "no_proxy=any"},
		ProxyEnv(map[string]string{"HTTP_PROXY": "high", "http_proxy": "low", "No_Proxy": "any"}))
}
