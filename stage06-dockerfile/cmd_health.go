// The flags about a container's health check.

package main

import (
	"stagebox/stage05-images/oci"
	"stagebox/stage06-dockerfile/health"
)

// HealthOptions are the flags about the health check.
type HealthOptions = health.Options

// healthcheck is what the flags and the image say of the check together; nil if they say nothing.
func (c *Container) healthcheck() *oci.Healthcheck {
	if c.record == nil || c.record.ImageConfig == nil {
		return c.Check(nil)
	}
	return c.Check(c.record.ImageConfig.Healthcheck)
}

// shell is what runs the check, if it is a line: the image's SHELL, nil for the default.
func (r *Record) shell() []string {
	if r.ImageConfig == nil {
		return nil
	}
	return r.ImageConfig.Shell
}
