// # A file
//
// A file has at most [MaxSize] bytes and a thousand dashboards, each a YAML document of
// its own:
//
//	id: web                      # letters, digits, '-'
//	title: Web traffic
//	range: now-1h                # default time range
//	variables:                   # optional; a viewer picks a value: ?var-host=…
//	  - {name: host, property: host}
//	widgets:
//	  - {key: requests, title: Requests, kind: stat, measure: count, event: request}
//	  - key: error_rate
//	    kind: gauge
//	    measure: ratio           # the share of the events that pass `of` too
//	    of: ["status >= 500"]
//	    thresholds: [{above: 0.01, state: warning}, {above: 0.05, state: critical}]
//
// An unknown word is an [Error] with file, line and the word that would be right. A list of
// one condition may stand without brackets. Texts that look like numbers, and texts with
// spaces at their ends, stand in double quotes. All fields, measures and operators are
// explained by pulseboard help dashboards.
package boardfile
