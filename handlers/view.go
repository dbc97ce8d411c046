package handlers

import (
	"net/http"
	"net/url"
	"strings"

	"pulseboard/store"
)

// allValues is how Grafana writes that a variable narrows nothing.
const allValues = "$__all"

// viewOf reads a view from a query: from, to and var-NAME. Pinned values stand
// above the query's and, unlike those, must name a variable of the dashboard.
func viewOf(tenant store.TenantID, d store.Dashboard, query url.Values, pinned store.Vars) (store.View, error) {
	from, to := query.Get("from"), query.Get("to")
	if from == "" {
		from = d.Range
	}
	if from == "" {
		from = store.DefaultRange
	}
	if to == "" {
		to = "now"
	}
	span, err := store.ParseRange(from, to)
	if err != nil {
		return store.View{}, badRequest(err)
	}
	vars := store.Vars{}
	for name, values := range query {
		if name, ok := strings.CutPrefix(name, "var-"); ok {
			for _, v := range values {
				if v != "" && v != allValues {
					vars[name] = append(vars[name], v)
				}
			}
		}
	}
	vars = d.Known(vars)
	if err := vars.Validate(); err != nil {
		return store.View{}, badRequest(err)
	}
	for name, values := range pinned {
		if len(d.Known(store.Vars{name: values})) == 0 {
			return store.View{}, unauthorized(errPinnedUnknown)
		}
		vars[name] = values
	}
	return store.View{Tenant: tenant, Dashboard: d.ID, Range: span, Vars: vars}, nil
}

// viewQuery writes a view as a query that viewOf reads.
func viewQuery(v store.View) url.Values {
	q := url.Values{"from": {v.Range.From.String()}, "to": {v.Range.To.String()}}
	for name, values := range v.Vars {
		q["var-"+name] = values
	}
	return q
}

// cursorOf gives the cursor a client brings, in the header or in the query.
func cursorOf(r *http.Request) string {
	query := r.URL.Query()
	for _, cursor := range []string{r.Header.Get("Last-Event-ID"), query.Get("last_event_id"), query.Get("lastEventId")} {
		if cursor != "" {
			return cursor
		}
	}
	return ""
}
