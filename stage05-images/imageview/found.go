package imageview

import (
	"io"

	"stagebox/stage04-unionfs/format"
	"stagebox/stage05-images/registry"
)

// found is a repository as search shows it.
type found struct {
	Name, Description string
	StarCount         int
	IsOfficial        string // "[OK]", or ""
}

var foundTable = format.Table{
	Header: format.Header{"Name": "NAME", "Description": "DESCRIPTION", "StarCount": "STARS", "IsOfficial": "OFFICIAL"},
	Row:    "{{.Name}}\t{{.Description}}\t{{.StarCount}}\t{{.IsOfficial}}",
}

// WriteFound writes what a search has found.
func WriteFound(w io.Writer, form string, list []registry.Found) error {
	var rows []any
	for _, f := range list {
		row := found{Name: f.Name, Description: f.Description, StarCount: f.Stars}
		if f.Official {
			row.IsOfficial = "[OK]"
		}
		rows = append(rows, row)
	}
	return foundTable.Write(w, form, rows)
}
