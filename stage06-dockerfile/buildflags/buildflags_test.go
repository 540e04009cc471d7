package buildflags

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestAnnotations(t *testing.T) {
	notes, err := Annotations([]string{"a=1", "manifest:b=x=y", "c="})
	require.NoError(t, err)
	require.Equal(t, map[string]string{"a": "1", "b": "x=y", "c": ""}, notes)
	for _, text := range []string{"index:a=1", "manifest-descriptor:a=1", "a", "=1"} {
		_, err := Annotations([]string{text})
		require.ErrorContains(t, err, "--annotation")
	}
}

func TestEpoch(t *testing.T) {
	const name = "SOURCE_DATE_EPOCH"
	at := func(args, globals map[string]string) *time.Time {
		epoch, err := Epoch(args, globals)
		require.NoError(t, err)
		return epoch
	}
	t.Setenv(name, "")
	require.Nil(t, at(map[string]string{}, nil))
	require.EqualValues(t, 5, at(map[string]string{}, map[string]string{name: "5"}).Unix())
	require.EqualValues(t, 6, at(map[string]string{name: "6"}, map[string]string{name: "5"}).Unix())
	require.Nil(t, at(map[string]string{name: ""}, map[string]string{name: "5"}))
	t.Setenv(name, "7")
	args := map[string]string{}
	require.EqualValues(t, 7, at(args, nil).Unix())
	require.Equal(t, "7", args[name]) // an ARG of a stage has it too
	require.EqualValues(t, 6, at(map[string]string{name: "6"}, nil).Unix())
	for _, text := range []string{"yesterday", "-1", "1e9", "999999999999999"} {
		_, err := Epoch(map[string]string{name: text}, nil)
		require.ErrorContains(t, err, name+"="+text)
	}
}
