package buildflags

import (
	"errors"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestAnnotations(t *testing.T) {
	notes, err := annotations([]string{"a=1", "manifest:b=x=y", "c="})
	require.NoError(t, err)
	require.Equal(t, map[string]string{"a": "1", "b": "x=y", "c": ""}, notes)
	for _, text := range []string{"index:a=1", "manifest-descriptor:a=1", "a", "=1"} {
		_, err := annotations([]string{text})
		require.ErrorContains(t, err, "--annotation")
	}
}

func TestEpoch(t *testing.T) {
	const name = "SOURCE_DATE_EPOCH"
	at := func(args, globals map[string]string) *time.Time {
		got, err := epoch(args, globals, nil)
		require.NoError(t, err)
		return got
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
		_, err := epoch(map[string]string{name: text}, nil, nil)
		require.ErrorContains(t, err, name+"="+text)
	}
}

// The word context is what BuildKit documents in build-repro.md.
func TestEpochOfTheContext(t *testing.T) {
	const name = "SOURCE_DATE_EPOCH"
	t.Setenv(name, "")
	newest := time.Unix(8, 0)
	for _, want := range []*time.Time{&newest, nil} {
		args, globals := map[string]string{name: "context"}, map[string]string{name: "context"}
		got, err := epoch(args, globals, func() (*time.Time, error) { return want, nil })
		require.NoError(t, err)
		require.Equal(t, want, got)
		seen := map[string]string{}
		if want != nil {
			seen[name] = "8"
		}
		require.Equal(t, seen, args, "what the steps see")
		require.Equal(t, seen, globals)
	}
	failure := errors.New("no")
	_, err := epoch(map[string]string{name: "context"}, nil, func() (*time.Time, error) { return nil, failure })
	require.ErrorIs(t, err, failure)
}
