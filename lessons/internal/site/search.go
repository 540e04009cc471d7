package site

import (
	"encoding/json"
	"fmt"
	"strings"
)

// found is an entry of the search's index: what it is, its name, where that is and, for
// prose, its words. More are further places of the same name, by stage.
type found struct {
	Kind  string  `json:"k"`
	Title string  `json:"t"`
	Where string  `json:"w,omitempty"`
	Href  string  `json:"h"`
	Words string  `json:"x,omitempty"`
	More  []place `json:"m,omitempty"`
}

// place is a link to a name at another stage.
type place struct {
	Stage int    `json:"s"`
	Href  string `json:"h"`
}

// searchIndex lists sections of prose, files and declarations, as JSON.
func (s *Site) searchIndex() ([]byte, error) {
	var list []found
	for _, d := range s.docs {
		for i := range d.sections {
			sec := &d.sections[i]
			where := d.title
			if sec.level == 1 {
				where = ""
			}
			list = append(list, found{Kind: "lesson", Title: sec.title, Where: where, Href: d.page + "#" + sec.id, Words: strings.Join(strings.Fields(sec.words.String()), " ")})
		}
	}
	return json.Marshal(append(list, s.code()...))
}

// code are the tools, files and declarations: each once, at the stage where it is new, with the
// stages that change it.
func (s *Site) code() []found {
	known := map[string]int{}
	var list []found
	add := func(st *stage, e found) {
		key := e.Title + " " + e.Where
		if i, ok := known[key]; ok {
			list[i].More = append(list[i].More, place{st.Number, e.Href})
			return
		}
		known[key] = len(list)
		e.More = []place{{st.Number, e.Href}}
		list = append(list, e)
	}
	for _, st := range s.stages {
		for _, t := range st.tools {
			add(st, found{Kind: "file", Title: t.Name + "/", Href: st.page() + "#" + t.Name + "/"})
		}
		for _, f := range st.all() {
			add(st, found{Kind: "file", Title: f.Name, Href: st.page() + "#" + f.Name})
			for _, d := range f.decls {
				if !d.touched {
					continue
				}
				for _, name := range d.names {
					if name != "_" {
						add(st, found{Kind: "code", Title: name, Where: f.Name, Href: st.page() + "#" + anchor(f.Name, name)})
					}
				}
			}
		}
	}
	for i := range list {
		if list[i].Where == "" {
			list[i].Where = fmt.Sprintf("stage %d", list[i].More[0].Stage)
		}
	}
	return list
}
