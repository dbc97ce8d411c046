// Package boardfile reads and writes dashboards as files: YAML, or JSON, which
// is YAML too. What it writes it reads back as the same dashboard.
//
// Its functions may be called by any number of goroutines.
package boardfile

import (
	"errors"
	"fmt"

	"pulseboard/store"
)

// MaxSize is the size a file may have, in bytes.
const MaxSize = 1 << 20

// Error is what is wrong at one place of a file, and what would be right.
type Error struct {
	File         string
	Line, Column int // from 1
	Message      string
}

func (e *Error) Error() string {
	return fmt.Sprintf("%s:%d:%d: %s", e.File, e.Line, e.Column, e.Message)
}

// Parse reads the dashboards of a file, one a YAML document. name is the file's,
// for errors, which are of type *Error.
func Parse(name string, data []byte) ([]store.Dashboard, error) {
	documents, err := splitDocuments(data)
	if err != nil {
		return nil, located(name, err)
	}
	var dashboards []store.Dashboard
	seen := map[store.DashboardID]bool{}
	for _, tokens := range documents {
		document, err := parseDocument(tokens)
		if err != nil {
			return nil, located(name, err)
		}
		if document == nil {
			continue
		}
		d, err := readDashboard(document)
		if err == nil && seen[d.ID] {
			err = document.child("id").errorf("dashboard %q stands in this file twice: ids are unique", d.ID)
		}
		if err != nil {
			return nil, located(name, err)
		}
		seen[d.ID] = true
		dashboards = append(dashboards, d)
	}
	if len(dashboards) == 0 {
		return nil, located(name, errors.New("the file is empty: it should hold a dashboard, with an id and widgets"))
	}
	return dashboards, nil
}

func located(name string, err error) error {
	var e *Error
	if !errors.As(err, &e) {
		e = &Error{Line: 1, Column: 1, Message: err.Error()}
	}
	e.File = name
	return e
}

// readDashboard makes a dashboard of a document, checked by the rules of store.
func readDashboard(n *node) (store.Dashboard, error) {
	r := reader{}
	d := dashboardRecord.read(&r, n)
	if r.err != nil {
		return d, r.err
	}
	var fault *store.FieldError
	if err := d.Validate(); errors.As(err, &fault) {
		return d, n.find(fault.Path).errorf("%s: %s", fault.Path, fault.Message)
	} else if err != nil {
		return d, n.errorf("%v", err)
	}
	return d, nil
}
