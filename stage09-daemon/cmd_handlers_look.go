// Handlers that look at containers: lists, details, logs, statistics, and files.

package main

import (
	"archive/tar"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"os"
	"strconv"
	"strings"
	"time"

	"stagebox/stage02-cgroups/stats"
	"stagebox/stage04-unionfs/api"
	"stagebox/stage04-unionfs/files"
	"stagebox/stage04-unionfs/journal"
	"stagebox/stage04-unionfs/listing"
	"stagebox/stage04-unionfs/state"
	"stagebox/stage05-images/layer"
	"stagebox/stage09-daemon/report"
	"stagebox/stage09-daemon/rest"
)

func listContainers(d *daemon, w http.ResponseWriter, r *rest.Request) error {
	filters, err := r.Filters()
	if err != nil {
		return err
	}
	o := listing.Options{All: r.Is("all"), Filter: filters, Last: -1}
	if limit, err := strconv.Atoi(r.Param("limit")); err == nil && limit > 0 {
		o.Last = limit
	}
	list, err := d.selected(o)
	if err != nil {
		return rest.Errorf(http.StatusBadRequest, "%v", err)
	}
	all := []any{}
	for _, c := range list {
		all = append(all, c.line(r.Is("size")))
	}
	return rest.Answer(w, http.StatusOK, all)
}

// selected are the containers that options of ps ask for.
func (s Store) selected(o listing.Options) ([]*Record, error) {
	from := listing.Source[*Record]{All: s.all, Find: s.find,
		Describe: (*Record).summary, Filters: psFilters}
	found, err := from.Select(o)
	var list []*Record
	for _, d := range found {
		list = append(list, d.Item)
	}
	return list, err
}

// line is a container in a list. None is left out for a part of it that cannot be described.
func (r *Record) line(withSize bool) map[string]any {
	c, _ := r.describe() // as far as it is known: inspect has the error
	line := map[string]any{"Id": r.ID, "Names": []string{"/" + r.Name}, "Image": r.Image,
		"ImageID": r.ImageID.String(), "Command": listing.CommandLine(r.Run.Command.argv()),
		"Created": r.Created.Unix(), "Ports": report.Ports(c.NetworkSettings.Ports),
		"Labels": c.Config.Labels, "State": c.State.Status, "Mounts": c.Mounts,
		"Status":          listing.Options{}.Row(r.summary()).Status,
		"HostConfig":      map[string]string{"NetworkMode": c.HostConfig.NetworkMode},
		"NetworkSettings": map[string]any{"Networks": c.NetworkSettings.Networks}}
	if withSize {
		line["SizeRw"] = sizeOf(r.path("upper"))
		line["SizeRootFs"] = sizeOf(r.path("upper"))
		for _, layer := range r.Run.topFirst() {
			line["SizeRootFs"] = line["SizeRootFs"].(int64) + sizeOf(layer)
		}
	}
	return line
}

func inspectContainer(d *daemon, w http.ResponseWriter, r *rest.Request) error {
	c, err := d.find(r.Name)
	if err != nil {
		return err
	}
	object, err := c.describe()
	if err != nil {
		return err
	}
	if !r.Is("size") {
		return rest.Answer(w, http.StatusOK, object)
	}
	own, err := files.Size(c.path("upper"))
	sized := struct {
		*api.Container
		SizeRw, SizeRootFs int64
	}{object, own, own}
	return errorOr(err, func() error { return rest.Answer(w, http.StatusOK, sized) })
}

// errorOr goes on if there is no error.
func errorOr(err error, next func() error) error {
	if err != nil {
		return err
	}
	return next()
}

func containerTop(d *daemon, w http.ResponseWriter, r *rest.Request) error {
	line := append([]string{"top", r.Name}, strings.Fields(r.Param("ps_args"))...)
	if strings.HasPrefix(r.Name, "-") {
		return rest.Errorf(http.StatusNotFound, "No such container: %s", r.Name)
	}
	out, err := d.run(r, line...)
	if err != nil {
		return err
	}
	return rest.Answer(w, http.StatusOK, report.Processes(out))
}

func containerChanges(d *daemon, w http.ResponseWriter, r *rest.Request) error {
	out, err := d.run(r, "diff", "--", r.Name)
	if err != nil {
		return err
	}
	return rest.Answer(w, http.StatusOK, report.Changes(out))
}

// exportContainer streams what a job writes. The job ends when the client leaves.
func exportContainer(d *daemon, w http.ResponseWriter, r *rest.Request) error {
	if _, err := d.find(r.Name); err != nil {
		return err
	}
	return d.stream(w, r, "export", "--", r.Name)
}

// stream answers with the tar archive that a job writes. An error that comes after the first bytes
// breaks the connection off, so that the client does not take a part for the whole.
func (d *daemon) stream(w http.ResponseWriter, r *rest.Request, args ...string) error {
	job := d.command(r.Context(), r, args...)
	w.Header().Set("Content-Type", "application/x-tar")
	counted := &counter{Writer: w}
	job.Stdout = counted
	job.marked()
	err := job.failure(job.Run())
	if err != nil && counted.n > 0 {
		panic(http.ErrAbortHandler)
	}
	return err
}

// counter counts the bytes that were written.
type counter struct {
	io.Writer
	n int64
}

func (c *counter) Write(p []byte) (int, error) {
	n, err := c.Writer.Write(p)
	c.n += int64(n)
	return n, err
}

// containerLogs streams the log, in frames unless the container has a terminal.
func containerLogs(d *daemon, w http.ResponseWriter, r *rest.Request) error {
	c, err := d.find(r.Name)
	if err != nil {
		return err
	}
	if !r.Is("stdout") && !r.Is("stderr") {
		return rest.Errorf(http.StatusBadRequest, "Bad parameters: you must choose at least one stream")
	}
	selection, err := selectionIn(r)
	if err != nil {
		return err
	}
	// Open before the answer begins: a client may remove the container as soon as it does.
	log, err := os.Open(c.path("log"))
	if err == nil {
		defer log.Close()
		err = selection.Seek(log)
	}
	isEmpty := errors.Is(err, os.ErrNotExist) // it has printed nothing
	if err != nil && !isEmpty {
		return err
	}
	kind := "application/vnd.docker.multiplexed-stream"
	if c.Run.TTY {
		kind = "application/vnd.docker.raw-stream"
	}
	out, err := rest.Begin(w, kind)
	if err != nil || isEmpty {
		return nil // no error is left to tell the client of
	}
	more := func() bool { return state.Held(c.livePath()) && !selection.IsOver(time.Now()) }
	if !r.Is("follow") {
		more = nil
	}
	journal.Read(r.Context(), log, more, printTo(out, c.Run.TTY, r, selection)) // nor here
	return nil
}

// selectionIn is the part of a log that a request is for.
func selectionIn(r *rest.Request) (*journal.Selection, error) {
	s := &journal.Selection{Tail: cmp.Or(r.Param("tail"), "all"), Timestamps: r.Is("timestamps")}
	for key, to := range map[string]*string{"since": &s.Since, "until": &s.Until} {
		if value := r.Param(key); value != "0" {
			*to = value
		}
	}
	if err := s.Parse(time.Now()); err != nil {
		return nil, rest.Errorf(http.StatusBadRequest, "logs: %v", err)
	}
	return s, nil
}

// printTo prints lines of a log to a client: as they are if a terminal printed them, and else in
// frames that say which stream they are of.
func printTo(out io.Writer, isTTY bool, r *rest.Request, s *journal.Selection) func(journal.Line) error {
	frames := &rest.Frames{To: out}
	streams := map[string]io.Writer{"stdout": frames.Stream(rest.Stdout), "stderr": frames.Stream(rest.Stderr)}
	if isTTY {
		streams["stdout"] = out
	}
	return func(line journal.Line) error {
		to, known := streams[line.Stream]
		if text := s.Text(line); known && text != "" && r.Is(line.Stream) {
			_, err := io.WriteString(to, text)
			return err
		}
		return nil
	}
}

// containerStats sends a reading each second, or one.
func containerStats(d *daemon, w http.ResponseWriter, r *rest.Request) error {
	c, err := d.find(r.Name)
	if err != nil {
		return err
	}
	out, err := rest.Begin(w, "application/json")
	if err != nil {
		return nil // the client has left
	}
	lines := json.NewEncoder(out)
	stream := r.Param("stream") == "" || r.Is("stream")
	before := c.usage()
	if !stream && r.Is("one-shot") {
		return lines.Encode(report.Usage(c.ID, c.Name, before, nil))
	}
	for tick := time.NewTicker(time.Second); ; {
		select {
		case <-tick.C:
		case <-r.Context().Done():
			return nil
		}
		now := c.usage()
		err := lines.Encode(report.Usage(c.ID, c.Name, now, before))
		if err != nil || !stream {
			return nil
		}
		if before = now; !exists(c.path()) {
			return nil
		}
	}
}

// usage is what a container uses now; nothing, if it does not run.
func (r *Record) usage() *stats.Usage {
	now, err := r.store.present(r.ID)
	if err == nil && now.isRunning() {
		if g, err := groupOf(now.State.PID); err == nil {
			return g.usage()
		}
	}
	return &stats.Usage{At: time.Now(), Network: &stats.Network{}}
}

// getArchive answers with files of a container, and with the first of them in a header. For HEAD,
// the header is all.
func getArchive(d *daemon, w http.ResponseWriter, r *rest.Request) error {
	c, err := d.find(r.Name)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(r.Context())
	defer cancel() // ends a job whose output is not wanted
	job := d.command(ctx, r, "cp", "--", c.ID+":"+r.Param("path"), "-")
	job.marked()
	out, err := job.StdoutPipe()
	if err != nil {
		return err
	}
	if err := job.Start(); err != nil {
		return err
	}
	var begun strings.Builder
	first, err := tar.NewReader(io.TeeReader(out, &begun)).Next()
	if err != nil {
		return job.notFound(r.Name, r.Param("path"))
	}
	w.Header().Set("X-Docker-Container-Path-Stat", report.PathStat(first, r.Param("path")))
	w.Header().Set("Content-Type", "application/x-tar")
	if r.Method == http.MethodHead {
		cancel()
		job.Wait() // it was ended
		return nil
	}
	_, errCopy := io.Copy(w, io.MultiReader(strings.NewReader(begun.String()), out))
	if errCopy != nil || job.Wait() != nil {
		panic(http.ErrAbortHandler) // a part is not to be taken for the whole
	}
	return nil
}

// notFound is the error of a job that has found no file, in Docker's words.
func (j *job) notFound(container, path string) error {
	err := j.failure(j.Wait())
	if err != nil && !strings.Contains(err.Error(), "no such file") {
		return err
	}
	return rest.Errorf(http.StatusNotFound, "Could not find the file %s in container %s", path, container)
}

func putArchive(d *daemon, w http.ResponseWriter, r *rest.Request) error {
	c, err := d.find(r.Name)
	if err != nil {
		return err
	}
	archive, _, err := layer.Decompress(r.Body) // some clients send it compressed
	if err != nil {
		return rest.Errorf(http.StatusBadRequest, "the archive: %v", err)
	}
	defer archive.Close()
	job := d.command(r.Context(), r, "cp", "--", "-", c.ID+":"+r.Param("path"))
	job.Stdin = archive
	_, err = job.output()
	if err != nil && strings.Contains(err.Error(), "no such file") {
		return rest.Errorf(http.StatusNotFound, "Could not find the file %s in container %s", r.Param("path"), r.Name)
	}
	return done(w, http.StatusOK, err)
}

// pruneContainers removes the containers that do not run.
func pruneContainers(d *daemon, w http.ResponseWriter, r *rest.Request) error {
	filters, err := r.Filters()
	if err != nil {
		return err
	}
	before := time.Now()
	var known []string
	for _, f := range filters {
		if text, is := strings.CutPrefix(f, "until="); is {
			if before, err = rest.PastTime(text); err != nil {
				return err
			}
		} else {
			known = append(known, f)
		}
	}
	list, err := d.selected(listing.Options{All: true, Filter: known, Last: -1})
	if err != nil {
		return rest.Errorf(http.StatusBadRequest, "%v", err)
	}
	removed, freed := []string{}, int64(0)
	for _, c := range list {
		if c.isLive() || c.Created.After(before) {
			continue
		}
		size := sizeOf(c.path("upper"))
		if _, err := d.run(r, "rm", "--", c.ID); err == nil { // else it was started meanwhile
			removed, freed = append(removed, c.ID), freed+size
		}
	}
	return rest.Answer(w, http.StatusOK, map[string]any{"ContainersDeleted": removed, "SpaceReclaimed": freed})
}
