// Package boardfile reads and writes dashboards as files: YAML, or JSON, which is also
// YAML. [Parse] reads back the same dashboard that [YAML] wrote.
//
// A file holds one dashboard in each YAML document:
//
//	# yaml-language-server: $schema=https://pulse.example/schema/dashboard.json
//	id: web
//	title: Web traffic
//	range: now-1h
//	variables:
//	  - {name: host, property: host}
//	widgets:
//	  - {key: requests, kind: stat, measure: count, event: request, compare: previous}
//	  - key: error_rate
//	    kind: gauge
//	    measure: ratio
//	    of: ["status >= 500"]
//	    thresholds: [{above: 0.01, state: warning}, {above: 0.05, state: critical}]
//	  - {key: top_pages, kind: bars, measure: count, by: path, where: ["status < 400"]}
//
// [Fields] explains each field, and [Schema] describes all of them to editors; a server
// serves it at /schema/dashboard.json, and the comment in the first line above names it.
//
// Errors name the file, the line, the column, and what would be right. A file has at most
// [MaxSize] bytes and 1,000 documents.
//
// The functions of this package are safe for concurrent use.
package boardfile

import (
	"errors"
	"fmt"

	"pulseboard/store"
	"pulseboard/store/formula"
)

// MaxSize is the largest size of a file, in bytes.
const MaxSize = 1 << 20

// Error says what is wrong at one place of a file, and what would be right.
type Error struct {
	File         string
	Line, Column int // from 1
	Message      string
}

// Error returns the place and the message, in the form that editors jump to.
func (e *Error) Error() string {
	return fmt.Sprintf("%s:%d:%d: %s", e.File, e.Line, e.Column, e.Message)
}

// Parse reads the dashboards of a file, one in each YAML document. Its errors are of type
// *Error and begin with name, the name of the file.
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

// readDashboard returns the dashboard in a document, checked by the rules of store.
func readDashboard(n *node) (store.Dashboard, error) {
	r := reader{}
	d := dashboardRecord.read(&r, n)
	if r.err != nil {
		return d, r.err
	}
	var fault *store.FieldError
	if err := d.Validate(formula.Names); errors.As(err, &fault) {
		return d, n.find(fault.Path).errorf("%s: %s", fault.Path, fault.Message)
	} else if err != nil {
		return d, n.errorf("%v", err)
	}
	return d, nil
}
