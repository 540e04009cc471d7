package rest_test

import (
	"bytes"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"stagebox/lessons/boxtest"
	"stagebox/stage09-daemon/rest"
)

func TestMain(m *testing.M) { boxtest.Main(m, nil) }

func TestUnversioned(t *testing.T) {
	for path, want := range map[string]string{"/v1.24/x": "/x", "/v1.47/x/y": "/x/y", "/x": "/x", "/v2/x": "/v2/x", "/v1.x/y": "/v1.x/y", "/v1.47": "/v1.47"} {
		got, err := rest.Unversioned(path)
		require.NoError(t, err)
		require.Equal(t, want, got)
	}
	for path, words := range map[string]string{"/v1.23/x": "too old", "/v1.48/x": "too new"} {
		_, err := rest.Unversioned(path)
		require.ErrorContains(t, err, words)
	}
}

// Filters come in two forms; what is neither is refused.
func TestFilters(t *testing.T) {
	filters := func(text string) ([]string, error) {
		list, err := (&rest.Request{Request: httptest.NewRequest("GET", "/?filters="+url.QueryEscape(text), nil)}).Filters()
		slices.Sort(list)
		return list, err
	}
	for _, text := range []string{`{"a":{"x":true,"y":true},"b":["z"]}`, `{"a":["y","x"],"b":{"z":true}}`} {
		list, err := filters(text)
		require.NoError(t, err)
		require.Equal(t, []string{"a=x", "a=y", "b=z"}, list)
	}
	list, err := filters("")
	require.NoError(t, err)
	require.Empty(t, list)
	for _, text := range []string{"x", `{"a":1}`, `[]`} {
		_, err := filters(text)
		require.Error(t, err, text)
	}
}

func TestBodiesAreBounded(t *testing.T) {
	body := func(text string) error {
		return (&rest.Request{Request: httptest.NewRequest("POST", "/", strings.NewReader(text))}).Decode(&struct{ A string }{})
	}
	require.NoError(t, body(""))
	require.NoError(t, body(`{"A":"x","Unknown":1}`))
	var problem rest.Problem
	require.ErrorAs(t, body(`{"A":1}`), &problem)
	require.Equal(t, http.StatusBadRequest, problem.Status)
	require.ErrorAs(t, body(`{"A":"`+strings.Repeat("x", rest.MaxJSON)+`"}`), &problem)
	require.Equal(t, http.StatusRequestEntityTooLarge, problem.Status)
}

func TestFrames(t *testing.T) {
	var out bytes.Buffer
	f := rest.Frames{To: &out}
	for number, text := range map[byte]string{rest.Stdout: "out"} {
		n, err := f.Stream(number).Write([]byte(text))
		require.NoError(t, err)
		require.Equal(t, len(text), n)
	}
	require.Equal(t, "\x01\x00\x00\x00\x00\x00\x00\x03out", out.String())
}

func TestLines(t *testing.T) {
	var got []string
	l := rest.Lines{Do: func(line string) { got = append(got, line) }}
	for _, piece := range []string{"on", "e\ntwo\r", "three"} {
		_, err := l.Write([]byte(piece))
		require.NoError(t, err)
	}
	l.Close()
	require.Equal(t, []string{"one", "two", "three"}, got)
}

// A job that never ends a line cannot make the daemon keep all that it prints.
func TestLongLineComesInPieces(t *testing.T) {
	const most = 64 << 10
	var got []string
	l := rest.Lines{Do: func(line string) { got = append(got, line) }}
	for _, piece := range []string{strings.Repeat("x", most-1), "x", "\n", strings.Repeat("y", 2*most+1), "\r"} {
		n, err := l.Write([]byte(piece))
		require.NoError(t, err)
		require.Equal(t, len(piece), n)
	}
	l.Close()
	require.Equal(t, []string{strings.Repeat("x", most), strings.Repeat("y", most), strings.Repeat("y", most), "y"}, got)
}

func TestFail(t *testing.T) {
	answer := httptest.NewRecorder()
	rest.Fail(answer, errors.New("x"))
	require.Equal(t, 500, answer.Code)
	require.JSONEq(t, `{"message":"x"}`, answer.Body.String())
	answer = httptest.NewRecorder()
	rest.Fail(answer, fmt.Errorf("while: %w", rest.Errorf(http.StatusConflict, "y %d", 1)))
	require.Equal(t, 409, answer.Code)
	require.JSONEq(t, `{"message":"y 1"}`, answer.Body.String())
}

// TestProgress: an error and what is about it are not sent with the lines, and nothing else is left out.
func TestProgress(t *testing.T) {
	for _, c := range []struct{ lines, sent, why string }{
		{"one|two", "ONE|TWO", "two"},
		{"one|box: failed| try this", "ONE", "failed\n try this"},
		{"one| about it", "ONE| ABOUT IT", "one"},
		{"one|no a| about it", "ONE| ABOUT IT", "no a"},
		{"no a| about it|one", "NO A| ABOUT IT|ONE", "one"},
		{"box: failed| try this|one| more", "ONE| MORE", "one"},
		{"box: failed", "", "failed"},
	} {
		answer, want := httptest.NewRecorder(), ""
		p := rest.Progress{Messages: rest.NewMessages(answer), Key: "k", Intro: 1, Format: strings.ToUpper,
			IsError: func(line string) bool { return strings.HasPrefix(line, "no ") }}
		for line := range strings.SplitSeq(c.lines, "|") {
			p.Line(line)
		}
		p.Release(errors.New(p.Why))
		require.Equal(t, c.sent != "", p.Begun, c.lines)
		if p.Begun {
			want = "1\n{\"k\":\"" + strings.ReplaceAll(c.sent, "|", "\"}\n{\"k\":\"") + "\"}\n"
		}
		require.Equal(t, want, answer.Body.String(), c.lines)
		require.Equal(t, c.why, p.Why, c.lines)
	}
	answer := httptest.NewRecorder()
	p := rest.Progress{Messages: rest.NewMessages(answer), Key: "k"} // without Format and IsError
	p.Line("no a")
	p.Release(nil)
	require.JSONEq(t, `{"k":"no a"}`, answer.Body.String())
}

// TestPastTime: a fraction may be one of a second or of an hour, and what is no time is the client's mistake.
func TestPastTime(t *testing.T) {
	at, err := rest.PastTime("12.5")
	require.NoError(t, err)
	require.Equal(t, time.Unix(12, 5e8), at)
	ago, err := rest.PastTime("1.5h")
	require.NoError(t, err)
	require.InDelta(t, 1.5, time.Since(ago).Hours(), 0.1)
	_, err = rest.PastTime("1.x")
	require.Equal(t, rest.Errorf(400, `invalid time "1.x"`), err)
}
