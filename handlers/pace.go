package handlers

import (
	"errors"
	"io"
	"net/http"
	"os"
	"time"
)

const (
	// bodyTimeout bounds how long a sender may take to send a batch.
	bodyTimeout = time.Minute
	// formTimeout bounds all other bodies.
	formTimeout = 10 * time.Second
	// bodyIdleTimeout bounds how long no byte of a body may come.
	bodyIdleTimeout = 10 * time.Second
	// lingerTimeout is how long bytes of a body that nobody wants are still taken in after the
	// answer, so that a sender that first sends all finds it.
	lingerTimeout = time.Second
)

// pacedBody is a body that has to come in time.
type pacedBody struct {
	io.ReadCloser
	control *http.ResponseController
	http1   bool // of HTTP/1, where what is left of a body stands before the next request

	began    time.Time
	allowed  time.Duration // from began until it is complete
	deadline time.Time     // that is set on the connection or stream
	complete bool
	late     bool
}

// paceBody gives the body of a request, with formTimeout to come in; nil when it has none.
func paceBody(w http.ResponseWriter, r *http.Request) *pacedBody {
	if r.Body == nil || r.Body == http.NoBody || r.ContentLength == 0 {
		return nil
	}
	return &pacedBody{ReadCloser: r.Body, control: http.NewResponseController(w), http1: r.ProtoMajor == 1, began: time.Now(), allowed: formTimeout}
}

// allow changes how long the body may take as a whole.
func (b *pacedBody) allow(d time.Duration) { b.allowed = d }

// Read reads, with an *httpError when the body is late.
func (b *pacedBody) Read(p []byte) (n int, err error) {
	if b.complete {
		return 0, io.EOF
	}
	now, end := time.Now(), b.began.Add(b.allowed)
	if b.late || now.After(end) {
		b.late = true
		return 0, b.lateError()
	}
	deadline := now.Add(bodyIdleTimeout)
	if deadline.After(end) {
		deadline = end
	}
	// A deadline is moved once in a while: in HTTP/2 moving it costs as much as a read.
	if deadline.Sub(b.deadline) > bodyIdleTimeout/10 || deadline.Equal(end) && deadline.After(b.deadline) {
		b.setDeadline(deadline)
	}
	n, err = b.ReadCloser.Read(p)
	switch {
	case err == io.EOF:
		b.complete = true
		b.setDeadline(time.Time{}) // in HTTP/2 it would be a timer that goes on
	case errors.Is(err, os.ErrDeadlineExceeded), err != nil && !time.Now().Before(b.deadline):
		b.late = true // net/http has errors of its own for what ends a body of chunks
		err = b.lateError()
	}
	return n, err
}

func (b *pacedBody) setDeadline(t time.Time) {
	b.deadline = t
	_ = b.control.SetReadDeadline(t) // where it is not supported, the server's own limits hold
}

func (b *pacedBody) lateError() *httpError {
	return fail(http.StatusRequestTimeout, "body_timeout", "The body did not come in time: within %s, and without a pause of %s. Nothing was kept; send it again.",
		b.allowed, bodyIdleTimeout).because(os.ErrDeadlineExceeded)
}

// giveUp lets the rest of a body go, and reports whether the connection has to end for
// it. net/http takes in some of the rest after the answer, which without a deadline would last for
// as long as the sender likes.
func (b *pacedBody) giveUp() (end bool) {
	if b.complete || !b.http1 {
		return false
	}
	b.setDeadline(time.Now().Add(lingerTimeout))
	return true
}
