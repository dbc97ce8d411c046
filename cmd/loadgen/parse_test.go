package main

import (
	"strings"
	"testing"
)

// Whatever pieces a body comes in, the same is read of it.
func TestABodyIsReadInAnyPieces(t *testing.T) {
	const body = "5\r\nevent\r\n12\r\n: metric_update\nid\r\nb\r\n: 7\ndata: {\r\n4\r\n}\n\n\n\r\n"
	const plain = "event: metric_update\nid: 7\ndata: {}\n\n\n"
	for size := 1; size <= len(body); size++ {
		d, got := dechunker{on: true}, ""
		for at := 0; at < len(body); at += size {
			got += string(d.next([]byte(body[at:min(at+size, len(body))])))
		}
		if got != plain {
			t.Fatalf("in pieces of %d bytes it is %q", size, got)
		}
	}
	e, rest, whole := parseEvent([]byte(plain))
	if !whole || e.name != "metric_update" || e.id != "7" || string(e.data) != "{}" || string(rest) != "\n" {
		t.Errorf("read %+v, %q", e, rest)
	}
}

func TestAHeadIsReadWhenItIsWhole(t *testing.T) {
	const head = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nrest"
	if _, _, _, whole := parseHead([]byte(head[:20])); whole {
		t.Error("half a head is whole")
	}
	status, chunked, rest, whole := parseHead([]byte(head))
	if status != 200 || !chunked || string(rest) != "rest" || !whole {
		t.Errorf("read %d, %v, %q, %v", status, chunked, rest, whole)
	}
}

func TestDeltasLeadToTheStateTheyAddUpTo(t *testing.T) {
	var s states
	one := s.after(0, []byte(`{"a":1,"b":2}`))
	two := s.after(one, []byte(`{"b":null,"a":3}`))
	if got := s.values(two); len(got) != 1 || got["a"] != "3" {
		t.Errorf("state is %v", got)
	}
	if s.after(0, []byte(`{"a":3}`)) != two {
		t.Error("who knows the same is in another state")
	}
	if again := s.after(0, []byte(strings.Repeat(" ", 1)+`{"a":3}`)); again != two {
		t.Error("the same state was reached another way and is another")
	}
}
