// The routes of the Docker Engine API as one table: method, path, handler. A handler decodes the
// request, asks the store or starts a job, and encodes the answer. All requests of versions 1.24 to
// 1.47 are here: those that box does not serve are refused with 501 and a sentence.

package main

import (
	"net/http"
	"reflect"
	"regexp"
	"runtime"
	"strings"
	"sync"

	"stagebox/stage09-daemon/rest"
)

// route is a line of the table. NAME in a path is any text, also one with slashes.
type route struct {
	method, path string
	handle       handler
}

type handler func(d *daemon, w http.ResponseWriter, r *rest.Request) error

var routes = []route{
	{"GET", "/_ping", ping},
	{"HEAD", "/_ping", ping},
	{"GET", "/version", getVersion},
	{"GET", "/info", getInfo},
	{"GET", "/events", getEvents},
	{"GET", "/system/df", diskUsage},
	{"POST", "/auth", checkAuth},

	{"GET", "/containers/json", listContainers},
	{"POST", "/containers/create", createContainer},
	{"POST", "/containers/prune", pruneContainers},
	{"GET", "/containers/NAME/json", inspectContainer},
	{"GET", "/containers/NAME/top", containerTop},
	{"GET", "/containers/NAME/logs", containerLogs},
	{"GET", "/containers/NAME/changes", containerChanges},
	{"GET", "/containers/NAME/export", exportContainer},
	{"GET", "/containers/NAME/stats", containerStats},
	{"POST", "/containers/NAME/start", startContainer},
	{"POST", "/containers/NAME/stop", stopContainer},
	{"POST", "/containers/NAME/restart", restartContainer},
	{"POST", "/containers/NAME/kill", killContainer},
	{"POST", "/containers/NAME/pause", pauseContainer},
	{"POST", "/containers/NAME/unpause", unpauseContainer},
	{"POST", "/containers/NAME/rename", renameContainer},
	{"POST", "/containers/NAME/update", updateContainer},
	{"POST", "/containers/NAME/wait", waitContainer},
	{"POST", "/containers/NAME/attach", attachContainer},
	{"POST", "/containers/NAME/resize", resizeContainer},
	{"GET", "/containers/NAME/archive", getArchive},
	{"HEAD", "/containers/NAME/archive", getArchive},
	{"PUT", "/containers/NAME/archive", putArchive},
	{"DELETE", "/containers/NAME", removeContainer},
	{"GET", "/containers/NAME/attach/ws", refuse("use POST /containers/NAME/attach")},
	{"POST", "/containers/NAME/copy", refuse("GET the archive instead")},
	{"", "/containers/NAME/checkpoints", refuse("box makes no checkpoints")},
	{"", "/containers/NAME/checkpoints/NAME", refuse("box makes no checkpoints")},

	{"POST", "/containers/NAME/exec", createExec},
	{"POST", "/exec/NAME/start", startExec},
	{"POST", "/exec/NAME/resize", resizeExec},
	{"GET", "/exec/NAME/json", inspectExec},

	{"GET", "/images/json", listImages},
	{"POST", "/images/create", createImage},
	{"POST", "/images/load", loadImages},
	{"POST", "/images/prune", pruneImages},
	{"GET", "/images/get", saveImages},
	{"GET", "/images/search", searchImages},
	{"GET", "/images/NAME/get", saveImages},
	{"GET", "/images/NAME/json", inspectImage},
	{"GET", "/images/NAME/history", imageHistory},
	{"POST", "/images/NAME/push", pushImage},
	{"POST", "/images/NAME/tag", tagImage},
	{"DELETE", "/images/NAME", removeImage},
	{"GET", "/distribution/NAME/json", refuse("box pull --explain shows what a registry says")},
	{"POST", "/commit", commitContainer},
	{"POST", "/build", buildImage},
	{"POST", "/build/prune", pruneBuilds},
	{"POST", "/build/cancel", refuse("close the connection of the build instead")},

	{"GET", "/networks", listNetworks},
	{"POST", "/networks/create", createNetwork},
	{"POST", "/networks/prune", pruneNetworks},
	{"POST", "/networks/NAME/connect", connectNetwork},
	{"POST", "/networks/NAME/disconnect", disconnectNetwork},
	{"GET", "/networks/NAME", inspectNetwork},
	{"DELETE", "/networks/NAME", removeNetwork},

	{"GET", "/volumes", listVolumes},
	{"POST", "/volumes/create", createVolume},
	{"POST", "/volumes/prune", pruneVolumes},
	{"GET", "/volumes/NAME", inspectVolume},
	{"PUT", "/volumes/NAME", refuse("box has no cluster volumes")},
	{"DELETE", "/volumes/NAME", removeVolume},

	{"POST", "/box", runLine},

	{"POST", "/session", refuse("box has no BuildKit: set DOCKER_BUILDKIT=0")},
	{"POST", "/grpc", refuse("box has no BuildKit: set DOCKER_BUILDKIT=0")},
	{"", "/(swarm|nodes|services|tasks|secrets|configs)(/.*)?", refuse("swarm is not supported")},
	{"GET", "/plugins", listPlugins},
	{"GET", "/plugins/NAME/json", inspectPlugin},
	{"", "/plugins(/.*)?", refuse("box has no plugins")},
}

// patterns are the paths of the routes. They are made when a daemon first needs them: a box that
// runs a container should not wait for that.
var patterns = sync.OnceValue(func() (list []*regexp.Regexp) {
	for _, r := range routes {
		pattern := "^" + strings.ReplaceAll(r.path, "NAME", "(.+)") + "$"
		list = append(list, regexp.MustCompile(pattern))
	}
	return list
})

// findRoute returns the route of a request, and the name in its path. The first that fits counts.
func findRoute(method, path string) (to *route, name string, err error) {
	err = rest.Errorf(http.StatusNotFound, "page not found: %s", path)
	for i, pattern := range patterns() {
		match := pattern.FindStringSubmatch(path)
		if match == nil {
			continue
		}
		if routes[i].method != "" && routes[i].method != method {
			err = rest.Errorf(http.StatusMethodNotAllowed,
				"method not allowed: %s %s", method, path)
			continue
		}
		if len(match) > 1 {
			name = match[1]
		}
		return &routes[i], name, nil
	}
	return nil, "", err
}

// name is the name of the handler's function; a closure has that of the function which made it.
func (h handler) name() string {
	words := strings.Split(runtime.FuncForPC(reflect.ValueOf(h).Pointer()).Name(), ".")
	for len(words) > 1 && strings.HasPrefix(words[len(words)-1], "func") {
		words = words[:len(words)-1]
	}
	return words[len(words)-1]
}

// refuse answers with a sentence.
func refuse(sentence string) handler {
	return func(_ *daemon, _ http.ResponseWriter, r *rest.Request) error {
		return rest.Errorf(http.StatusNotImplemented, "%s %s: %s", r.Method, r.URL.Path, sentence)
	}
}
