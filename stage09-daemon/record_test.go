package main

import (
	"os"
	"path/filepath"
	"reflect"
	"testing"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
	jsonv1 "github.com/go-json-experiment/json/v1"
	"github.com/stretchr/testify/require"

	"stagebox/stage04-unionfs/state"
)

// fill sets all exported fields of a value to something that is not zero.
func fill(v reflect.Value) {
	if at, ok := v.Addr().Interface().(*time.Time); ok {
		*at = time.Unix(1, 5).UTC()
		return
	}
	switch v.Kind() {
	case reflect.Struct:
		for i := range v.NumField() {
			if v.Type().Field(i).IsExported() {
				fill(v.Field(i))
			}
		}
	case reflect.Pointer:
		v.Set(reflect.New(v.Type().Elem()))
		fill(v.Elem())
	case reflect.Slice:
		v.Set(reflect.MakeSlice(v.Type(), 1, 1))
		fill(v.Index(0))
	case reflect.Map:
		key, value := reflect.New(v.Type().Key()).Elem(), reflect.New(v.Type().Elem()).Elem()
		fill(key)
		fill(value)
		v.Set(reflect.MakeMap(v.Type()))
		v.SetMapIndex(key, value)
	case reflect.String:
		v.SetString("<a>")
	case reflect.Bool:
		v.SetBool(true)
	case reflect.Int, reflect.Int64, reflect.Int32:
		v.SetInt(7)
	case reflect.Uint64, reflect.Uint32, reflect.Uint8:
		v.SetUint(7)
	case reflect.Float64:
		v.SetFloat(0.5)
	}
}

// The record of a container has all fields that json writes and reads, in the same form: package
// state, which writes it, does not know them.
func TestRecordHasAllFields(t *testing.T) {
	r, path := &Record{}, filepath.Join(t.TempDir(), "container.json")
	fill(reflect.ValueOf(r).Elem())
	require.NoError(t, state.WriteJSON(path, r, state.Volatile))
	got, err := os.ReadFile(path)
	require.NoError(t, err)
	want, err := json.Marshal(r, jsonv1.DefaultOptionsV1(), json.OmitZeroStructFields(true), jsontext.WithIndent("  "))
	require.NoError(t, err)
	require.Equal(t, string(want)+"\n", string(got))
	require.Contains(t, string(got), `"NetworkAlias": [`, "a field of the last embedded struct")
}
