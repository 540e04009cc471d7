// Handlers for requests about the daemon itself, and for events.

package main

import (
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"runtime"
	"slices"
	"strings"
	"time"

	"stagebox/stage09-daemon/broker"
	"stagebox/stage09-daemon/credentials"
	"stagebox/stage09-daemon/report"
	"stagebox/stage09-daemon/rest"
)

// ping is how a client asks for the version of the API: it is in the headers.
func ping(_ *daemon, w http.ResponseWriter, _ *rest.Request) error {
	w.Header().Set("Cache-Control", "no-cache, no-store, must-revalidate")
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	fmt.Fprint(w, "OK") // its error is the client's
	return nil
}

func getVersion(_ *daemon, w http.ResponseWriter, _ *rest.Request) error {
	facts := map[string]any{"Version": version, "ApiVersion": rest.Version, "MinAPIVersion": rest.Least,
		"GoVersion": runtime.Version(), "Os": runtime.GOOS, "Arch": runtime.GOARCH,
		"KernelVersion": report.Kernel()}
	facts["Components"] = []any{map[string]any{"Name": "Engine", "Version": version,
		"Details": map[string]string{"ApiVersion": rest.Version, "MinAPIVersion": rest.Least, "Os": runtime.GOOS,
			"Arch": runtime.GOARCH, "GoVersion": runtime.Version(), "KernelVersion": report.Kernel()}}}
	facts["Platform"] = map[string]string{"Name": "Stagebox"}
	return rest.Answer(w, http.StatusOK, facts)
}

func getInfo(d *daemon, w http.ResponseWriter, _ *rest.Request) error {
	all, err := d.all()
	if err != nil {
		return err
	}
	images, err := d.layout().Images()
	if err != nil {
		return err
	}
	counts := map[string]int{}
	for _, c := range all {
		counts[c.stateWord()]++
	}
	return rest.Answer(w, http.StatusOK, map[string]any{"ID": d.networks().ID(""), "Name": report.Hostname(),
		"Containers": len(all), "ContainersRunning": counts["running"] + counts["restarting"],
		"ContainersPaused": counts["paused"], "ContainersStopped": counts["exited"] + counts["created"],
		"Images": len(images), "Driver": "overlay", "DriverStatus": [][2]string{}, "DockerRootDir": d.dir(),
		"Plugins":       map[string][]string{"Volume": {"local"}, "Network": {"bridge", "host", "null"}, "Log": {"json-file"}},
		"ServerVersion": version, "OSType": "linux", "OperatingSystem": report.System(), "Architecture": report.Architecture(),
		"KernelVersion": report.Kernel(), "NCPU": runtime.NumCPU(), "MemTotal": report.Memory(),
		"MemoryLimit": true, "SwapLimit": true, "PidsLimit": true, "CPUShares": true, "CPUSet": true, "CpuCfsPeriod": true,
		"CpuCfsQuota": true, "IPv4Forwarding": true, "LoggingDriver": "json-file", "CgroupDriver": "cgroupfs",
		"CgroupVersion": cgroupVersion(), "DefaultRuntime": "box", "Runtimes": map[string]any{"box": map[string]string{"path": "box"}},
		"SecurityOptions": []string{"name=seccomp,profile=builtin"}, "SystemTime": time.Now().Format(time.RFC3339Nano),
		"IndexServerAddress": "https://index.docker.io/v1/", "RegistryConfig": map[string]any{"IndexConfigs": map[string]any{}},
		"Swarm": map[string]any{"LocalNodeState": "inactive", "NodeID": ""}, "Warnings": []string{},
		"NFd": report.Files(), "NGoroutines": runtime.NumGoroutine()})
}

// cgroupVersion is 2 where the memory of containers is limited there.
func cgroupVersion() string {
	if _, err := os.Stat("/sys/fs/cgroup/cgroup.controllers"); err == nil {
		return "2"
	}
	return "1"
}

// getEvents streams events, those that are past first.
func getEvents(d *daemon, w http.ResponseWriter, r *rest.Request) error {
	filters, since, until, err := eventsWanted(r)
	if err != nil {
		return err
	}
	events, past := d.Subscribe(since, func(e broker.Event) bool { return e.Matches(filters) })
	defer d.Leave(events)
	out, err := rest.Begin(w, "application/json")
	if err != nil {
		return nil // the client has left
	}
	lines := json.NewEncoder(out)
	for _, e := range past {
		if until.IsZero() || e.TimeNano <= until.UnixNano() {
			err = lines.Encode(e)
		}
	}
	var end <-chan time.Time
	if !until.IsZero() {
		end = time.After(time.Until(until))
	}
	for open := true; open && err == nil; {
		var e broker.Event
		select {
		case e, open = <-events.C:
			if open {
				err = lines.Encode(e)
			}
		case <-end:
			return nil
		case <-r.Context().Done():
			return nil
		}
	}
	return nil
}

// eventsWanted reads which events a client asks for. A time that is not given is zero.
func eventsWanted(r *rest.Request) (filters []string, since, until time.Time, err error) {
	if filters, err = r.Filters(); err != nil {
		return nil, since, until, err
	}
	for _, f := range filters {
		if name, _, _ := strings.Cut(f, "="); !slices.Contains(broker.Known, name) {
			err = rest.Errorf(http.StatusBadRequest, "events: invalid filter '%s'", name)
			return nil, since, until, err
		}
	}
	for key, to := range map[string]*time.Time{"since": &since, "until": &until} {
		if r.Param(key) == "" {
			continue
		}
		if *to, err = rest.PastTime(r.Param(key)); err != nil {
			return nil, since, until, err
		}
	}
	return filters, since, until, nil
}

// checkAuth has a job log in to a registry. The credentials are kept by the client alone.
func checkAuth(d *daemon, w http.ResponseWriter, r *rest.Request) error {
	var a struct{ Username, Password, ServerAddress string }
	if err := r.Decode(&a); err != nil {
		return err
	}
	return credentials.With("", func(directory string) error {
		args := []string{"login", "--password-stdin", "--username=" + a.Username}
		if a.ServerAddress != "" {
			args = append(args, "--", a.ServerAddress)
		}
		job := d.command(r.Context(), r, args...)
		job.Env = append(job.Env, "DOCKER_CONFIG="+directory)
		job.Stdin = strings.NewReader(a.Password)
		if _, err := job.output(); err != nil {
			return rest.Errorf(http.StatusUnauthorized, "%v", err)
		}
		return rest.Answer(w, http.StatusOK, map[string]string{"Status": "Login Succeeded", "IdentityToken": ""})
	})
}

// diskUsage is what system df shows.
func diskUsage(d *daemon, w http.ResponseWriter, _ *rest.Request) error {
	images, err := d.imagesLike(nil)
	if err != nil {
		return err
	}
	if err := d.share(images); err != nil {
		return err
	}
	layers, err := d.layout().Layers()
	if err != nil {
		return err
	}
	size := int64(0)
	for layer := range layers {
		size += d.layers().Size(layer)
	}
	all, err := d.all()
	if err != nil {
		return err
	}
	containers := []any{}
	for _, c := range all {
		containers = append(containers, c.line(true))
	}
	volumes, err := d.volumes()
	if err != nil {
		return err
	}
	list := []any{}
	for _, v := range volumes {
		list = append(list, map[string]any{"Name": v.Name, "Driver": v.Driver, "Mountpoint": v.Mountpoint, "Labels": v.Labels, "Scope": v.Scope,
			"UsageData": map[string]any{"Size": sizeOf(v.Mountpoint), "RefCount": len(v.Users)}})
	}
	return rest.Answer(w, http.StatusOK, map[string]any{"LayersSize": size, "Images": images, "Containers": containers, "Volumes": list,
		"BuildCache": []any{}})
}

// listPlugins says that there are none.
func listPlugins(_ *daemon, w http.ResponseWriter, _ *rest.Request) error {
	return rest.Answer(w, http.StatusOK, []string{})
}

// inspectPlugin is asked last, when docker inspect looks for an object of any kind.
func inspectPlugin(_ *daemon, _ http.ResponseWriter, r *rest.Request) error {
	return rest.Errorf(http.StatusNotFound, "plugin %s not found", r.Name)
}
