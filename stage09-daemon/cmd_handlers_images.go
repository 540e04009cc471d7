// Handlers for images. A pull, a push or a build is a job whose lines become messages as they come.
// When the client leaves, the job ends.

package main

import (
	"cmp"
	"net/http"
	"path"
	"strings"

	"stagebox/stage09-daemon/commandline"
	"stagebox/stage09-daemon/credentials"
	"stagebox/stage09-daemon/report"
	"stagebox/stage09-daemon/rest"
)

func listImages(d *daemon, w http.ResponseWriter, r *rest.Request) error {
	filters, err := r.Filters()
	if err != nil {
		return err
	}
	list, err := d.imagesLike(filters)
	if err == nil && r.Is("shared-size") {
		err = d.share(list)
	}
	if err != nil {
		return err
	}
	return rest.Answer(w, http.StatusOK, list)
}

// imagesLike are the images that pass filters.
func (d *daemon) imagesLike(filters []string) ([]report.ImageSummary, error) {
	images, err := d.layout().Images()
	if err != nil {
		return nil, err
	}
	containers, err := d.all()
	if err != nil {
		return nil, err
	}
	list := []report.ImageSummary{}
	for _, image := range images {
		users := 0
		for _, c := range containers {
			if c.ImageID == image.ID {
				users++
			}
		}
		s := report.Image(image, images, d.layers().Size, users)
		matches, err := s.Matches(filters)
		if err != nil {
			return nil, err
		}
		if matches {
			list = append(list, s)
		}
	}
	return list, nil
}

// share adds to images how much of each is in layers that another one of the store has too.
func (d *daemon) share(list []report.ImageSummary) error {
	all, err := d.layout().Images()
	report.Share(list, all, d.layers().Size)
	return err
}

func inspectImage(d *daemon, w http.ResponseWriter, r *rest.Request) error {
	object, err := d.describeImage(r.Name)
	return found(w, "image", r.Name, object, err)
}

// found answers with an object, or that there is none.
func found(w http.ResponseWriter, kind, name string, object any, err error) error {
	if err == nil && object == nil {
		err = rest.Errorf(http.StatusNotFound, "No such %s: %s", kind, name)
	}
	if err != nil {
		return err
	}
	return rest.Answer(w, http.StatusOK, object)
}

func imageHistory(d *daemon, w http.ResponseWriter, r *rest.Request) error {
	image, err := d.layout().Find(r.Name)
	if err != nil {
		return rest.Errorf(http.StatusNotFound, "No such image: %s", r.Name)
	}
	return rest.Answer(w, http.StatusOK, report.History(image, d.layers().Size))
}

func tagImage(d *daemon, w http.ResponseWriter, r *rest.Request) error {
	name := commandline.Reference(r.Param("repo"), r.Param("tag"))
	_, err := d.run(r, "tag", "--", r.Name, name)
	return done(w, http.StatusCreated, err)
}

func removeImage(d *daemon, w http.ResponseWriter, r *rest.Request) error {
	line := commandline.Words{"rmi"}
	line.On("--force", r.Is("force"))
	out, err := d.run(r, line.With(r.Name)...)
	if err != nil {
		return err
	}
	list, _ := report.Removed(out)
	return rest.Answer(w, http.StatusOK, list)
}

func pruneImages(d *daemon, w http.ResponseWriter, r *rest.Request) error {
	line := commandline.Words{"image", "prune", "--force"}
	filters, err := r.Filters()
	if err != nil {
		return err
	}
	for _, f := range filters {
		switch f {
		case "dangling=false", "dangling=0":
			line.On("--all", true)
		case "dangling=true", "dangling=1":
		default:
			return rest.Errorf(http.StatusNotImplemented, "prune images: box has no filter %s", f)
		}
	}
	out, err := d.run(r, line...)
	if err != nil {
		return err
	}
	list, freed := report.Removed(out)
	return rest.Answer(w, http.StatusOK, map[string]any{"ImagesDeleted": list, "SpaceReclaimed": freed})
}

// createImage pulls an image, or makes one of an archive in the body.
func createImage(d *daemon, w http.ResponseWriter, r *rest.Request) error {
	if from := r.Param("fromSrc"); from != "" {
		return d.importImage(w, r, from)
	}
	name := commandline.Reference(r.Param("fromImage"), r.Param("tag"))
	if err := commandline.CheckImage(name); err != nil {
		return err
	}
	had := d.imageID(name)
	line := commandline.Words{"pull"}
	line.Add("--platform", r.Param("platform"))
	return credentials.With(r.Header.Get("X-Registry-Auth"), func(directory string) error {
		job := d.command(r.Context(), r, line.With(name)...)
		job.Env = append(job.Env, "DOCKER_CONFIG="+directory)
		if strings.HasPrefix(name, "moby/buildkit:") { // a client of BuildKit's is about to run one
			job.hint = "; box builds images without BuildKit: set DOCKER_BUILDKIT=0"
		}
		job.intro = report.Pulling(name)
		return job.messages(w, "status", func(m rest.Messages, _ string) error {
			has, status := d.imageID(name), "Status: Downloaded newer image for "
			if has == had {
				status = "Status: Image is up to date for "
			}
			return m.Say("status", status+name)
		})
	})
}

// imageID is the id of the image that has a name, or "".
func (d *daemon) imageID(name string) string {
	image, err := d.layout().Find(name)
	if err != nil {
		return ""
	}
	return string(image.ID)
}

func (d *daemon) importImage(w http.ResponseWriter, r *rest.Request, from string) error {
	if from != "-" {
		return rest.Errorf(http.StatusNotImplemented, "import %s: box fetches no archive: send it in the body, as from -", from)
	}
	line := commandline.Words{"import"}
	line.Add("--change", r.URL.Query()["changes"]...)
	args := line.With("-")
	if name := commandline.Reference(r.Param("repo"), r.Param("tag")); name != "" {
		args = append(args, name)
	}
	job := d.command(r.Context(), r, args...)
	job.Stdin = r.Body
	return job.messages(w, "status", func(m rest.Messages, out string) error {
		return m.Say("status", out)
	})
}

func pushImage(d *daemon, w http.ResponseWriter, r *rest.Request) error {
	name := commandline.Reference(r.Name, r.Param("tag"))
	if _, err := d.layout().Find(name); err != nil {
		return rest.Errorf(http.StatusNotFound, "An image does not exist locally with the tag: %s", name)
	}
	return credentials.With(r.Header.Get("X-Registry-Auth"), func(directory string) error {
		job := d.command(r.Context(), r, "push", "--", name)
		job.Env = append(job.Env, "DOCKER_CONFIG="+directory)
		job.intro = report.Pushing(name)
		return job.messages(w, "status", func(m rest.Messages, out string) error {
			status, _, _ := strings.Cut(out, "\n")
			return errorOr(m.Say("status", status), func() error { return m.Encode(report.Pushed(status)) })
		})
	})
}

// messages runs a job, and sends each line that it prints on standard error as a message. At the
// end, last may say something about its output. An error is a message too, unless it is of a pull
// or a push that has said nothing yet: then the answer has its status.
func (j *job) messages(w http.ResponseWriter, key string, last func(m rest.Messages, out string) error) error {
	p := rest.Progress{Messages: rest.NewMessages(w), Key: key, Intro: j.intro}
	if key == "stream" {
		p.Format = func(line string) string { return report.BuildLine(line) + "\n" }
		p.IsError = report.IsMistake
	}
	j.Stderr = &rest.Lines{Do: func(line string) {
		if !j.isKind(line) {
			p.Line(line)
		}
	}}
	out, err := j.output()
	p.Release(err)
	if err == nil {
		p.Begin()
		last(p.Messages, out) // its error is the client's, as below
		return nil
	}
	text, code := report.BuildError(cmp.Or(p.Why, err.Error()))
	if j.intro != nil && !p.Begun {
		return withStatus(j.kind.New(text + j.hint))
	}
	p.Fail(text+j.hint, code)
	return nil
}

// saveImages streams an archive of images.
func saveImages(d *daemon, w http.ResponseWriter, r *rest.Request) error {
	names := r.URL.Query()["names"]
	if r.Name != "" {
		names = []string{r.Name}
	}
	for _, name := range names {
		if _, err := d.layout().Find(name); err != nil {
			return rest.Errorf(http.StatusNotFound, "No such image: %s", name)
		}
	}
	if len(names) == 0 {
		return rest.Errorf(http.StatusBadRequest, "save: no image is named")
	}
	return d.stream(w, r, append([]string{"save", "--"}, names...)...)
}

func loadImages(d *daemon, w http.ResponseWriter, r *rest.Request) error {
	job := d.command(r.Context(), r, "load")
	job.Stdin = r.Body
	return job.messages(w, "stream", func(m rest.Messages, out string) error {
		return m.Say("stream", out+"\n")
	})
}

// searchImages asks a registry what box search does.
func searchImages(d *daemon, w http.ResponseWriter, r *rest.Request) error {
	if r.Param("term") == "" {
		return rest.Errorf(http.StatusBadRequest, "search: no term is given")
	}
	if filters, err := r.Filters(); err != nil || len(filters) > 0 {
		return cmp.Or(err, rest.Errorf(http.StatusNotImplemented, "search: box has no filters"))
	}
	line := commandline.Words{"search", "--format=json"}
	if limit := r.Param("limit"); limit != "0" {
		line.Add("--limit", limit)
	}
	return credentials.With(r.Header.Get("X-Registry-Auth"), func(directory string) error {
		job := d.command(r.Context(), r, line.With(r.Param("term"))...)
		job.Env = append(job.Env, "DOCKER_CONFIG="+directory)
		out, err := job.output()
		return errorOr(err, func() error { return rest.Answer(w, http.StatusOK, report.Found(out)) })
	})
}

func commitContainer(d *daemon, w http.ResponseWriter, r *rest.Request) error {
	var config commandline.Create
	if err := r.Decode(&config); err != nil {
		return err
	}
	c, err := d.find(r.Param("container"))
	if err != nil {
		return err
	}
	line, err := config.Commit(r)
	if err != nil {
		return err
	}
	words := []string{c.ID}
	if name := commandline.Reference(r.Param("repo"), r.Param("tag")); name != "" {
		words = append(words, name)
	}
	id, err := d.run(r, line.With(words...)...)
	if err != nil {
		return err
	}
	d.emit("commit", c, map[string]string{"comment": r.Param("comment")})
	return rest.Answer(w, http.StatusCreated, map[string]string{"Id": id})
}

// buildImage builds with the classic builder's request: the context is the body.
func buildImage(d *daemon, w http.ResponseWriter, r *rest.Request) error {
	if r.Param("version") == "2" {
		return rest.Errorf(http.StatusNotImplemented, "box has no BuildKit: set DOCKER_BUILDKIT=0")
	}
	line, err := commandline.Build(r)
	if err != nil {
		return err
	}
	job := d.command(r.Context(), r, line...)
	job.Stdin = r.Body
	return job.messages(w, "stream", func(m rest.Messages, id string) error {
		if r.Is("q") {
			return m.Say("stream", id+"\n")
		}
		err := m.Encode(map[string]any{"aux": map[string]string{"ID": id}})
		if err == nil {
			err = m.Say("stream", "Successfully built "+strings.TrimPrefix(id, "sha256:")[:12]+"\n")
		}
		for _, name := range r.URL.Query()["t"] {
			if !strings.Contains(path.Base(name), ":") {
				name += ":latest"
			}
			if err == nil {
				err = m.Say("stream", "Successfully tagged "+name+"\n")
			}
		}
		return err
	})
}

func pruneBuilds(d *daemon, w http.ResponseWriter, r *rest.Request) error {
	filters, err := r.Filters()
	if err != nil {
		return err
	}
	line := commandline.Words{"builder", "prune", "--force"}
	line.On("--all", r.Is("all"))
	line.Add("--keep-storage", r.Param("keep-storage"))
	line.Add("--filter", filters...)
	out, err := d.run(r, line...)
	if err != nil {
		return err
	}
	_, freed := report.Removed(out)
	return rest.Answer(w, http.StatusOK, map[string]any{"CachesDeleted": []string{}, "SpaceReclaimed": freed})
}
