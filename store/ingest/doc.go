// Package ingest reads events from the forms they are sent in: JSON, NDJSON,
// CloudEvents and the requests of Segment's and PostHog's SDKs over HTTP, and files
// of NDJSON, CSV and the log formats of web servers. Package otlp within it reads
// those of OpenTelemetry, package follow a log file while it grows.
//
// It knows the limits of an event and names what breaks one, so that good items
// of a batch are kept and bad ones can be mended. Functions may be called by any
// number of goroutines; a [Reader] belongs to one.
//
// # Formats
//
// [Decode] reads one JSON object, an array or NDJSON; [DecodeCloudEvents],
// [DecodeSegment] (which is RudderStack's too) and [DecodePostHog] read theirs. Files are
// NDJSON, CSV, and the Common and Combined Log Formats; a [Reader] reads them line by line,
// and [Unpack] unpacks gzip and zstd.
//
// # What becomes of an item
//
// Segment's track is an event named by its event; page, screen, identify, group and alias
// are events of that name, with properties or traits and name, category, group_id and
// previous_id, by userId or else anonymousId. An event of PostHog keeps all properties
// but token and distinct_id, its user. A CloudEvent is named by its type, with the members of
// its data, its source, subject and extensions; user or userid among these is the user. A
// line of a web server's log is an event "request" by its address.
//
// In CSV the first row names the columns ([Columns]). A cell that looks like a number is one
// unless it begins with a zero; true and false are booleans; empty cells are left out.
//
// # Limits
//
// A name, id or user has at most [store.MaxEventName] characters, an event at most
// [store.MaxProperties] properties with keys of [store.MaxPropertyKey] and texts of
// [store.MaxText] characters; numbers are at most [store.MaxNumber] in size, times at most
// [store.MaxFuture] ahead. Deeper JSON is kept as its text, control characters become
// U+FFFD. A batch has at most [store.MaxBatch] events and [store.MaxBatchBytes] bytes.
// Logs and OpenTelemetry have texts that are too long cut, because their senders can't mend
// them; elsewhere such an item is a [Rejection].
//
// The manual for senders is printed by pulseboard help formats and help senders.
package ingest
