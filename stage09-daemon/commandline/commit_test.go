package commandline_test

import (
	"encoding/json"
	"net/http/httptest"
	"testing"

	"github.com/stretchr/testify/require"

	"stagebox/stage09-daemon/commandline"
	"stagebox/stage09-daemon/rest"
)

// TestCommit: the body of a commit becomes changes, and those of the parameters come after.
func TestCommit(t *testing.T) {
	for body, want := range map[string][]string{
		`{}`:   {"--change=CMD x"},
		`null`: {"--change=CMD x"},
		`{"Cmd":["echo","$A \"b\""],"Entrypoint":["/bin/sh","-c"]}`: {`--change=ENTRYPOINT ["/bin/sh","-c"]`, `--change=CMD ["echo","$A \"b\""]`, "--change=CMD x"},
		`{"Env":["A=1 \"$2\" \\","B=","C"],"Labels":{"b c":"d"}}`:   {`--change=ENV A="1 \"\$2\" \\"`, `--change=ENV B=""`, `--change=LABEL "b c"="d"`, "--change=CMD x"},
		`{"User":"www","WorkingDir":"/a b","ExposedPorts":{"80/tcp":{}},"Volumes":{"/v":{}},"StopSignal":"HUP"}`: {"--change=EXPOSE 80/tcp", `--change=VOLUME ["/v"]`, "--change=USER www",
			"--change=WORKDIR /a b", "--change=STOPSIGNAL HUP", "--change=CMD x"},
		`{"Healthcheck":{"Test":["CMD","a"],"Interval":2000000000,"Retries":2}}`: {`--change=HEALTHCHECK --interval=2s --retries=2 CMD ["a"]`, "--change=CMD x"},
		`{"Healthcheck":{"Test":["NONE"]}}`:                                      {"--change=HEALTHCHECK NONE", "--change=CMD x"},
	} {
		var c commandline.Create
		require.NoError(t, json.Unmarshal([]byte(body), &c))
		line, err := c.Commit(&rest.Request{Request: httptest.NewRequest("POST", "/commit?author=me&changes=CMD+x", nil)})
		require.NoError(t, err, body)
		require.Equal(t, append([]string{"commit", "--author=me"}, want...), []string(line), body)
	}
	_, err := (&commandline.Create{Env: []string{"A=b\nc"}}).Commit(&rest.Request{Request: httptest.NewRequest("POST", "/commit", nil)})
	require.ErrorContains(t, err, "ENV of two lines is not supported")
}
