package main

import (
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"
)

// kills can be set higher to try longer.
var kills = flag.Int("kills", 10, "how often the server is killed under load")

// sender sends events, each with an id, one after the other or a few at once. An
// event that was not answered is sent again, as a client does.
type sender struct {
	name       string
	next       int      // number of the next event
	unanswered []string // ids
	answered   int
}

// send goes on until the server is gone.
func (c *sender) send(t *testing.T, url, key string) {
	for {
		ids := c.unanswered
		if len(ids) == 0 {
			for range 1 + rand.IntN(20) {
				ids = append(ids, fmt.Sprint(c.name, c.next))
				c.next++
			}
			c.unanswered = ids
		}
		var body strings.Builder
		for _, id := range ids {
			fmt.Fprintf(&body, `{"event":"signup","id":%q,"user":%q}`+"\n", id, c.name)
		}
		request, _ := http.NewRequest("POST", url+"/api/events", strings.NewReader(body.String()))
		request.Header.Set("Authorization", "Bearer "+key)
		request.Header.Set("Content-Type", "application/x-ndjson")
		response, err := http.DefaultClient.Do(request)
		if err != nil {
			return
		}
		text, err := io.ReadAll(response.Body)
		response.Body.Close()
		if err != nil {
			return
		}
		var answer struct{ Accepted, Duplicate int }
		if err := json.Unmarshal(text, &answer); err != nil || response.StatusCode != http.StatusAccepted || answer.Accepted+answer.Duplicate != len(ids) {
			t.Errorf("sent %d events, answered %s %s", len(ids), response.Status, text)
			return
		}
		c.answered += len(ids)
		c.unanswered = nil
	}
}

// The server is killed at any moment under load, again and again. Each time it comes
// back, every event that it had answered is there, and none twice.
func TestAfterEachKillEveryAnsweredEventIsThereOnce(t *testing.T) {
	slow(t)
	t.Parallel()
	s := newSite(t)
	client := s.signIn(email)
	senders := make([]*sender, 4)
	for i := range senders {
		senders[i] = &sender{name: fmt.Sprintf("s%d-", i)}
	}
	for round := range *kills {
		var all sync.WaitGroup
		for _, c := range senders {
			all.Go(func() { c.send(t, s.url, s.key) })
		}
		time.Sleep(time.Duration(rand.IntN(150)) * time.Millisecond)
		s.kill()
		all.Wait()
		s.start()
		answered, sent := 0, 0
		for _, c := range senders {
			answered, sent = answered+c.answered, sent+c.next
		}
		var there int
		if err := json.Unmarshal(s.readings(client)["signups"], &there); err != nil || there < answered || there > sent {
			t.Fatalf("round %d: %d events are there, %v; %d were answered of %d sent", round, there, err, answered, sent)
		}
	}
	t.Logf("%d events were sent in %d rounds", senders[0].next+senders[1].next+senders[2].next+senders[3].next, *kills)
}
