// Handlers for networks and volumes.

package main

import (
	"net/http"
	"slices"
	"strings"

	"stagebox/stage04-unionfs/api"
	"stagebox/stage04-unionfs/filter"
	"stagebox/stage09-daemon/commandline"
	"stagebox/stage09-daemon/report"
	"stagebox/stage09-daemon/rest"
)

// networksLike are the networks that pass filters: those of the store, and the three that every
// daemon has. A client may want to see the default one before the first container makes it.
func (d *daemon) networksLike(filters []string) ([]*api.Network, error) {
	f, err := filter.Parse(filters, "name", "id", "driver", "type", "scope", "label", "dangling")
	if err != nil {
		return nil, rest.Errorf(http.StatusBadRequest, "%v", err)
	}
	list, err := d.networks().List()
	if err != nil {
		return nil, err
	}
	all := []*api.Network{}
	for _, n := range list {
		if object, err := d.networks().Describe(n); err == nil { // else it was removed meanwhile
			all = append(all, object)
		}
	}
	for _, n := range report.Networks(defaultNetwork, d.networks().ID(defaultNetwork), d.path("images", "oci-layout")) {
		if !slices.ContainsFunc(all, func(made *api.Network) bool { return made.Name == n.Name }) {
			all = append(all, n)
		}
	}
	own := map[bool]string{true: "custom", false: "builtin"}
	return slices.DeleteFunc(all, func(n *api.Network) bool {
		named := f.Any("name", filter.Text(n.Name)) && f.Any("id", filter.Text(n.ID))
		kind := own[!slices.Contains(commandline.Predefined, n.Name)]
		is := func(text string) func(string) bool { return func(v string) bool { return v == text } }
		return !named || !f.Any("driver", is(n.Driver)) || !f.Any("type", is(kind)) || !f.Any("scope", is(n.Scope)) || !f.Labels(n.Labels)
	}), nil
}

func listNetworks(d *daemon, w http.ResponseWriter, r *rest.Request) error {
	filters, err := r.Filters()
	if err != nil {
		return err
	}
	all, err := d.networksLike(filters)
	if err != nil {
		return err
	}
	return rest.Answer(w, http.StatusOK, all)
}

// findNetwork finds a network by its name or the beginning of its id.
func (d *daemon) findNetwork(text string) (*api.Network, error) {
	all, err := d.networksLike(nil)
	if err != nil {
		return nil, err
	}
	for _, n := range all {
		if n.Name == text {
			return n, nil
		}
	}
	for _, n := range all {
		if text != "" && strings.HasPrefix(n.ID, text) {
			return n, nil
		}
	}
	return nil, rest.Errorf(http.StatusNotFound, "network %s not found", text)
}

// networkName is the name of a network that is given by name or id. Other modes, such as default or
// container:NAME, stay as they are.
func (d *daemon) networkName(text string) string {
	if n, err := d.findNetwork(text); err == nil {
		return n.Name
	}
	return text
}

func inspectNetwork(d *daemon, w http.ResponseWriter, r *rest.Request) error {
	n, err := d.findNetwork(r.Name)
	return errorOr(err, func() error { return rest.Answer(w, http.StatusOK, n) })
}

func createNetwork(d *daemon, w http.ResponseWriter, r *rest.Request) error {
	var body commandline.Network
	if err := r.Decode(&body); err != nil {
		return err
	}
	line, err := body.Words()
	if err != nil {
		return err
	}
	if _, err := d.run(r, line...); err != nil {
		return err
	}
	answer := map[string]string{"Id": d.networks().ID(body.Name), "Warning": ""}
	return rest.Answer(w, http.StatusCreated, answer)
}

func connectNetwork(d *daemon, w http.ResponseWriter, r *rest.Request) error {
	var body commandline.Connect
	if err := r.Decode(&body); err != nil {
		return err
	}
	n, err := d.findNetwork(r.Name)
	if err != nil {
		return err
	}
	line, err := body.Words(n.Name)
	if err == nil {
		_, err = d.run(r, line...)
	}
	return done(w, http.StatusOK, err)
}

func disconnectNetwork(d *daemon, w http.ResponseWriter, r *rest.Request) error {
	var body commandline.Connect
	if err := r.Decode(&body); err != nil {
		return err
	}
	n, err := d.findNetwork(r.Name)
	if err != nil {
		return err
	}
	line := commandline.Words{"network", "disconnect"}
	line.On("--force", body.Force)
	_, err = d.run(r, line.With(n.Name, body.Container)...)
	return done(w, http.StatusOK, err)
}

func removeNetwork(d *daemon, w http.ResponseWriter, r *rest.Request) error {
	n, err := d.findNetwork(r.Name)
	err = errorOr(err, func() error { return commandline.NotPredefined(n.Name) })
	if err == nil {
		_, err = d.run(r, "network", "rm", "--", n.Name)
	}
	return done(w, http.StatusNoContent, err)
}

// pruneNetworks removes the networks that no container is on, all but the default one.
func pruneNetworks(d *daemon, w http.ResponseWriter, r *rest.Request) error {
	filters, err := r.Filters()
	if err != nil {
		return err
	}
	all, err := d.networksLike(filters)
	if err != nil {
		return err
	}
	removed := []string{}
	for _, n := range all {
		if len(n.Containers) > 0 || slices.Contains(commandline.Predefined, n.Name) || d.isNetworkUsed(n.Name) {
			continue
		}
		if _, err := d.run(r, "network", "rm", "--", n.Name); err == nil { // else it came in use
			removed = append(removed, n.Name)
		}
	}
	return rest.Answer(w, http.StatusOK, map[string]any{"NetworksDeleted": removed})
}

// isNetworkUsed reports whether there is a container that was created for a network.
func (d *daemon) isNetworkUsed(name string) bool {
	all, err := d.all()
	return err != nil || slices.ContainsFunc(all, func(r *Record) bool { return r.isOn(name) })
}

func listVolumes(d *daemon, w http.ResponseWriter, r *rest.Request) error {
	filters, err := r.Filters()
	if err != nil {
		return err
	}
	f, err := filter.Parse(filters, "name", "driver", "label", "dangling")
	if err != nil {
		return rest.Errorf(http.StatusBadRequest, "%v", err)
	}
	list, err := d.volumes()
	if err != nil {
		return err
	}
	all := []api.Volume{}
	for _, v := range list {
		unused := func(value string) bool { return (value == "true" || value == "1") == (len(v.Users) == 0) }
		if f.Any("name", filter.Text(v.Name)) && f.Labels(v.Labels) && f.Any("dangling", unused) {
			all = append(all, v.Volume)
		}
	}
	return rest.Answer(w, http.StatusOK, map[string]any{"Volumes": all, "Warnings": nil})
}

func inspectVolume(d *daemon, w http.ResponseWriter, r *rest.Request) error {
	object, err := d.describeVolume(r.Name)
	return found(w, "volume", r.Name, object, err)
}

func createVolume(d *daemon, w http.ResponseWriter, r *rest.Request) error {
	var body commandline.Volume
	if err := r.Decode(&body); err != nil {
		return err
	}
	line, err := body.Words()
	if err != nil {
		return err
	}
	name, err := d.run(r, line...)
	if err != nil {
		return err
	}
	object, err := d.describeVolume(name)
	return errorOr(err, func() error { return rest.Answer(w, http.StatusCreated, object) })
}

func removeVolume(d *daemon, w http.ResponseWriter, r *rest.Request) error {
	line := commandline.Words{"volume", "rm"}
	line.On("--force", r.Is("force"))
	_, err := d.run(r, line.With(r.Name)...)
	return done(w, http.StatusNoContent, err)
}

func pruneVolumes(d *daemon, w http.ResponseWriter, r *rest.Request) error {
	filters, err := r.Filters()
	if err != nil {
		return err
	}
	line := commandline.Words{"volume", "prune", "--force"}
	for _, f := range filters {
		name, value, _ := strings.Cut(f, "=")
		line.On("--all", name == "all" && value != "false" && value != "0")
		if name != "all" {
			line.Add("--filter", f)
		}
	}
	out, err := d.run(r, line...)
	if err != nil {
		return err
	}
	names, freed := report.Pruned(out)
	return rest.Answer(w, http.StatusOK, map[string]any{"VolumesDeleted": names, "SpaceReclaimed": freed})
}
