package state

import (
	"bytes"
	"cmp"
	"encoding"
	"reflect"
	"strings"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
	jsonv1 "github.com/go-json-experiment/json/v1"
)

// marshal returns a record as JSON by the rules of encoding/json, except that fields that are zero
// are left out. The package json studies all fields of a type before it writes the first value of
// it. For a container, whose record has a field for each flag of run, that took longer than making
// its directories, and few flags are given: so the fields are walked here, and json is asked only
// for the values of those that are set.
func marshal(value any) ([]byte, error) {
	var text bytes.Buffer
	e := encoder{jsontext.NewEncoder(&text, jsonv1.DefaultOptionsV1(),
		json.OmitZeroStructFields(true), jsontext.WithIndent("  "))}
	err := e.value(reflect.ValueOf(value))
	return text.Bytes(), err
}

type encoder struct{ *jsontext.Encoder }

// value writes a value: a record field by field.
func (e encoder) value(v reflect.Value) error {
	if v.Kind() == reflect.Pointer && isRecord(v.Elem()) {
		v = v.Elem()
	}
	if !isRecord(v) {
		if v.CanAddr() { // as json does; a method may want a pointer
			v = v.Addr()
		}
		return json.MarshalEncode(e.Encoder, v.Interface())
	}
	if err := e.WriteToken(jsontext.BeginObject); err != nil {
		return err
	}
	if err := e.fields(v); err != nil {
		return err
	}
	return e.WriteToken(jsontext.EndObject)
}

// fields writes the fields of a record, with those of embedded ones.
func (e encoder) fields(v reflect.Value) error {
	for i := range v.NumField() {
		value := v.Field(i)
		if value.IsZero() {
			continue
		}
		f := v.Type().Field(i)
		name, options, _ := strings.Cut(f.Tag.Get("json"), ",")
		if name == "-" || !f.IsExported() || isEmpty(value, options) {
			continue
		}
		var err error
		if f.Anonymous && name == "" && isRecord(value) {
			err = e.fields(value)
		} else if err = e.WriteToken(jsontext.String(cmp.Or(name, f.Name))); err == nil {
			err = e.value(value)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// isEmpty reports whether a field that is not zero is left out all the same.
func isEmpty(v reflect.Value, options string) bool {
	if zero, ok := v.Interface().(interface{ IsZero() bool }); ok { // a time of another zone
		return zero.IsZero()
	}
	return options == "omitempty" && (v.Kind() == reflect.Map || v.Kind() == reflect.Slice) &&
		v.Len() == 0
}

// isRecord reports whether a value is a struct, and none that has a text or JSON of its own.
func isRecord(v reflect.Value) bool {
	if v.Kind() != reflect.Struct || !v.CanAddr() {
		return false
	}
	switch v.Addr().Interface().(type) {
	case encoding.TextMarshaler, json.Marshaler, json.MarshalerTo:
		return false
	}
	return true
}
