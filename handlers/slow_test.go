package handlers_test

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"
)

// hang sends a part of a body and then nothing more, until the test ends.
func (w *world) hang(path string, sent, announced int, fields ...string) net.Conn {
	w.t.Helper()
	conn, err := net.Dial("tcp", strings.TrimPrefix(w.url, "http://"))
	must(w.t, err)
	w.t.Cleanup(func() { conn.Close() })
	fields = append(fields, "Host: pulse.example", fmt.Sprintf("Content-Length: %d", announced))
	_, err = io.WriteString(conn, "POST "+path+" HTTP/1.1\r\n"+strings.Join(fields, "\r\n")+"\r\n\r\n"+strings.Repeat(" ", sent))
	must(w.t, err)
	return conn
}

// However many send slowly, with a key or without, others don't notice.
func TestSlowSendersDelayNobody(t *testing.T) {
	w := newWorld(t)
	for range 40 {
		w.hang("/api/events", 100, 1000, "Authorization: Bearer "+w.key)
		w.hang("/v1/batch", 100, 1000)
		w.hang("/v1/traces", 100, 1000, "Authorization: Bearer "+w.key, "Content-Type: application/json")
	}
	time.Sleep(200 * time.Millisecond) // for their bodies to be waited for
	began := time.Now()
	w.send(`{"event":"ev"}`).taken(t)
	if a := w.do(w.client(), "POST", "/v1/track", `{"event":"ev","writeKey":"`+w.key+`"}`); a.status != http.StatusOK {
		t.Errorf("%d %s", a.status, a.body)
	}
	if took := time.Since(began); took > 5*time.Second {
		t.Errorf("it took %v", took)
	}
}

// Who sends more at once than there is room for is told to come again, once for each
// batch; others go on.
func TestWhoSendsTooMuchAtOnceIsSentAwayAlone(t *testing.T) {
	w := newWorld(t)
	other := w.newTenant("globex", "bob@example.com")
	otherKey, err := w.store.CreateKey(t.Context(), other.ID, "test")
	must(t, err)
	const senders = 40
	answers := make(chan answer, senders)
	for range senders {
		conn := w.hang("/api/events", 300<<10, 8<<20, "Authorization: Bearer "+w.key)
		go func() {
			response, err := http.ReadResponse(bufio.NewReader(conn), nil)
			if err != nil {
				return // it hangs until the end
			}
			text, _ := io.ReadAll(response.Body)
			answers <- answer{response.StatusCode, response.Header, string(text)}
		}()
	}
	refused := 0
	for deadline := time.Now().Add(patience); ; time.Sleep(20 * time.Millisecond) {
		for len(answers) > 0 {
			a := <-answers
			if refused++; a.status != http.StatusTooManyRequests || a.header.Get("Retry-After") == "" || a.code(t) != "too_much_at_once" {
				t.Fatalf("%d %s", a.status, a.body)
			}
		}
		counted := fmt.Sprintf("\npulseboard_event_batches_refused_total %d\n", refused)
		if refused > 0 && strings.Contains(w.get(w.client(), "/metrics").body, counted) {
			break
		}
		if time.Now().After(deadline) {
			t.Fatalf("%d are refused; the metrics never say so", refused)
		}
	}
	if refused == senders {
		t.Error("all were refused")
	}
	large := `{"event":"ev"}` + strings.Repeat(" ", 2<<20)
	if a := w.do(http.DefaultClient, "POST", "/api/events", large, "Authorization", "Bearer "+otherKey); a.status != http.StatusAccepted {
		t.Errorf("another key: %d %s", a.status, a.body)
	}
	if a := w.do(http.DefaultClient, "POST", "/v1/track", `{"event":"ev","writeKey":"`+w.key+`"}`); a.status != http.StatusOK {
		t.Errorf("a key in the body: %d %s", a.status, a.body)
	}
	metrics := w.get(w.client(), "/metrics").body
	if want := "\npulseboard_events_total{outcome=\"accepted\"} 2\n"; !strings.Contains(metrics, want) {
		t.Errorf("the metrics don't say%s", want)
	}
}
