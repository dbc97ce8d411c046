package ingest

import (
	"fmt"

	"pulseboard/store"
)

// Rejection names an item of a batch that was not kept.
type Rejection struct {
	Index   int    `json:"index"` // place in the batch, from 0
	Code    string `json:"code"`  // a stable word for programs
	Message string `json:"message"`
}

// Codes of rejections.
const (
	codeJSON       = "invalid_json"
	codeUTF8       = "invalid_utf8"
	codeType       = "invalid_type"
	codeMissing    = "missing_event"
	codeLong       = "too_long"
	codeProperties = "too_many_properties"
	codeTime       = "invalid_time"
	codeFuture     = "time_in_future"
	codeNumber     = "number_out_of_range"
	codeKeys       = "several_keys"
	codeCSV        = "invalid_csv"
	codeAttribute  = "invalid_attribute"
)

// Batch is what was read of a request.
type Batch struct {
	Events   []store.Event
	Rejected []Rejection
}

// Unreadable says that nothing of a request could be read.
type Unreadable struct{ Code, Message string }

// Error returns the code and the message.
func (e *Unreadable) Error() string { return e.Code + ": " + e.Message }

// TooMany says that a request holds more events than store.MaxBatch.
type TooMany struct{}

// Error says how many events a batch may hold.
func (TooMany) Error() string {
	return fmt.Sprintf("a batch may hold %d events at most; send them in several", store.MaxBatch)
}

// TooLarge says that the events of a request are too large together, though its
// body is not.
type TooLarge struct{}

// Error says what to do about it.
func (TooLarge) Error() string {
	return "the events of this batch are too large together; send them in several"
}

// fault is what is wrong with one item.
type fault struct{ code, message string }

func (f *fault) Error() string { return f.message }

func faultf(code, format string, args ...any) *fault {
	return &fault{code, fmt.Sprintf(format, args...)}
}
