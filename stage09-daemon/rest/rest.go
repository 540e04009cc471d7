// Package rest has the conventions that the Docker Engine API adds to HTTP: the version in front
// of a path, errors as JSON with a status, parameters that are true in several ways, filters, and
// the frames in which two streams share a connection. The lesson reads
// Unversioned and Frames.
package rest

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// Version and Least are the newest and the oldest version of the API that are served.
const (
	Version = "1.47"
	Least   = "1.24"
)

// MaxJSON is how large a body of JSON may be.
const MaxJSON = 16 << 20

// Problem is an error with a status of HTTP.
type Problem struct {
	Status int
	Text   string
}

func (p Problem) Error() string { return p.Text }

// Errorf makes a Problem.
func Errorf(status int, format string, args ...any) error {
	return Problem{status, fmt.Sprintf(format, args...)}
}

// NotStarted is the error of a job of which no process came to be: the client's, if that is for a text
// that execve(2) takes for no argument.
func NotStarted(err error) error {
	if errors.Is(err, syscall.EINVAL) || errors.Is(err, syscall.E2BIG) {
		return Errorf(http.StatusBadRequest, "a text of the request has a NUL in it, or is longer than an argument may be")
	}
	return err
}

// Request is a request with the name that is part of its path.
type Request struct {
	*http.Request
	Name   string
	Number int64 // of the requests that were narrated
}

// Param is a parameter of the query, "" if it is not given.
func (r *Request) Param(key string) string { return r.URL.Query().Get(key) }

// Is reports whether a parameter is given as true, in any of Docker's ways.
func (r *Request) Is(key string) bool {
	switch strings.ToLower(strings.TrimSpace(r.Param(key))) {
	case "", "0", "no", "false", "none":
		return false
	}
	return true
}

// Decode reads a body of JSON, and nothing after it. Unknown fields are ignored, as Docker does; so
// is a missing body.
func (r *Request) Decode(to any) error {
	if kind := r.Header.Get("Content-Type"); kind != "" && kind != "application/json" && !strings.HasPrefix(kind, "application/json;") {
		return Errorf(http.StatusBadRequest, "unsupported Content-Type header (%s): must be 'application/json'", kind)
	}
	body := json.NewDecoder(http.MaxBytesReader(nil, r.Body, MaxJSON))
	err := body.Decode(to)
	if err == nil && body.More() {
		return Errorf(http.StatusBadRequest, "body of %s: unexpected content after JSON", r.URL.Path)
	}
	if errors.As(err, new(*http.MaxBytesError)) {
		return Errorf(http.StatusRequestEntityTooLarge, "body of %s: more than %d bytes", r.URL.Path, MaxJSON)
	}
	if err != nil && err != io.EOF {
		return Errorf(http.StatusBadRequest, "body of %s: invalid JSON: %v", r.URL.Path, err)
	}
	return nil
}

// JSONParam reads a parameter that is JSON; it may be missing.
func (r *Request) JSONParam(key string, to any) error {
	text := r.Param(key)
	if text == "" {
		return nil
	}
	if err := json.Unmarshal([]byte(text), to); err != nil {
		return Errorf(http.StatusBadRequest, "%s: %v", key, err)
	}
	return nil
}

// Filters are the filters of a request, each as NAME=VALUE. They are sent as {"name":{"value":true}},
// and by old clients as {"name":["value"]}.
func (r *Request) Filters() (list []string, err error) {
	var all map[string]json.RawMessage
	if err := r.JSONParam("filters", &all); err != nil {
		return nil, err
	}
	for name, raw := range all {
		set, values := map[string]bool{}, []string{}
		if json.Unmarshal(raw, &set) != nil {
			if err := json.Unmarshal(raw, &values); err != nil {
				return nil, Errorf(http.StatusBadRequest, "filters: %s: %v", name, err)
			}
		}
		for value := range set {
			values = append(values, value)
		}
		for _, value := range values {
			list = append(list, name+"="+value)
		}
	}
	return list, nil
}

// PastTime reads a time as clients send it: seconds since 1970 with a fraction, a date, or how long
// ago it was.
func PastTime(text string) (time.Time, error) {
	seconds, fraction, _ := strings.Cut(text, ".")
	n, err := strconv.ParseInt(seconds, 10, 64)
	nanos, errNanos := strconv.ParseInt((fraction + "000000000")[:9], 10, 64)
	if err == nil && errNanos == nil { // else it may be 1.5h
		return time.Unix(n, nanos), nil
	}
	if t, err := time.Parse(time.RFC3339Nano, text); err == nil {
		return t, nil
	}
	if ago, err := time.ParseDuration(text); err == nil {
		return time.Now().Add(-ago), nil
	}
	return time.Time{}, Errorf(http.StatusBadRequest, "invalid time %q", text)
}

// Unversioned takes the version off a path, and refuses one that is not served. The words are
// Docker's.
func Unversioned(path string) (string, error) {
	rest, found := strings.CutPrefix(path, "/v1.")
	number, rest, cut := strings.Cut(rest, "/")
	minor, err := strconv.ParseUint(number, 10, 16)
	if !found || !cut || err != nil {
		return path, nil
	}
	switch {
	case minor < 24:
		return "", Errorf(http.StatusBadRequest, "client version 1.%s is too old. Minimum supported API version is %s, "+
			"please upgrade your client to a newer version", number, Least)
	case minor > 47:
		return "", Errorf(http.StatusBadRequest, "client version 1.%s is too new. Maximum supported API version is %s", number, Version)
	}
	return "/" + rest, nil
}

// Answer writes a value as JSON.
func Answer(w http.ResponseWriter, status int, value any) error {
	text, err := json.Marshal(value)
	if err != nil {
		return err
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	w.Write(append(text, '\n')) // its error is the client's
	return nil
}

// Fail writes an error as Docker does.
func Fail(w http.ResponseWriter, err error) {
	problem := Problem{http.StatusInternalServerError, err.Error()}
	errors.As(err, &problem)
	Answer(w, problem.Status, map[string]string{"message": problem.Text}) // text is always JSON
}
