package ingest

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"
	"unicode"
	"unicode/utf8"

	"pulseboard/store"
)

// told writes an event as one line: name, id, user, time and properties.
func told(e store.Event) string {
	at := "-"
	if !e.Time.IsZero() {
		at = e.Time.Format(time.RFC3339Nano)
	}
	id := e.ID
	if len(id) > 64 {
		id = "made" + id[64:]
	}
	return fmt.Sprintf("%s|%s|%s|%s|%s", e.Name, id, e.User, at, e.Properties.AppendJSON(nil))
}

// tellAll writes what was read of a request: its events, then the codes of what was rejected.
func tellAll(b Batch, err error) string {
	if err != nil {
		var unreadable *Unreadable
		if errors.As(err, &unreadable) {
			return "unreadable " + unreadable.Code
		}
		return err.Error()
	}
	var lines []string
	for _, e := range b.Events {
		lines = append(lines, told(e))
	}
	for _, r := range b.Rejected {
		lines = append(lines, fmt.Sprint(r.Index, " ", r.Code))
	}
	return strings.Join(lines, "\n")
}

func TestCallsOfSegmentAreRead(t *testing.T) {
	long := strings.Repeat("x", 201)
	for _, c := range []struct{ kind, body, want, key string }{
		{"", `{"batch":[{"type":"track","event":"Order","messageId":"m1","userId":"u1","anonymousId":"x","timestamp":"2026-02-09T15:12:00.5Z","properties":{"total":9.5,"items":[{"n": 1}]},"context":{"ip":"::1"}}],"writeKey":"k","sentAt":"2026-02-09T15:12:01Z","context":{}}`,
			`Order|m1|u1|2026-02-09T15:12:00.5Z|{"items":"[{\"n\":1}]","total":9.5}`, "k"},
		{"", `{"batch":[{"type":"page","name":"Home","category":"Docs","userId":null,"anonymousId":"x","properties":{"path":"/","name":"other"},"originalTimestamp":"2026-02-09T16:12:00+01:00"}]}`,
			`page||x|2026-02-09T15:12:00Z|{"category":"Docs","name":"Home","path":"/"}`, ""},
		{"", `{"batch":[{"type":"screen","name":null,"userId":7},{"type":"identify","userId":"u","traits":{"plan":"pro"}},{"type":"group","groupId":"g","traits":null},{"type":"alias","previousId":"p","userId":"u"}]}`,
			"screen||7|-|{}\nidentify||u|-|{\"plan\":\"pro\"}\ngroup|||-|{\"group_id\":\"g\"}\nalias||u|-|{\"previous_id\":\"p\"}", ""},
		{"", `{"batch":[{"type":"track"},{"type":"odd"},{},3,{"type":"track","event":"ok"},{"type":"track","event":"a","properties":{"":1}},{"type":"track","event":"` + long + `"},{"type":"track","event":"a","timestamp":"2026-11-25T00:00:00Z"}]}`,
			"ok|||-|{}\n0 missing_event\n1 invalid_type\n2 invalid_type\n3 invalid_type\n5 invalid_type\n6 too_long\n7 time_in_future", ""},
		{"track", `{"event":"a","writeKey":"k","timestamp":"2026-02-09 15:12:00.25"}`, `a|made-1||2026-02-09T15:12:00.25Z|{}`, "k"},
		{"page", `[{"name":"` + long + `"},{"type":"track","event":"b"}]`, `page|||-|{"name":"` + long + "\"}\nb|||-|{}", ""},
		{"", `{"batch":[]}`, "", ""},
		{"", `{"batch":{}}`, "unreadable invalid_type", ""},
		{"", `{"batch":[{]}`, "unreadable invalid_json", ""},
		{"", `{"batch":[]} x`, "unreadable invalid_json", ""},
		{"", "{\"batch\":\"\xff\"}", "unreadable invalid_utf8", ""},
		{"", ` `, "unreadable invalid_json", ""},
		{"", `{"writeKey":"a","api_key":"b","batch":[]}`, "unreadable several_keys", ""},
		{"", `{"batch":[` + strings.Repeat(`{},`, store.MaxBatch) + `{}]}`, TooMany{}.Error(), ""},
	} {
		sent, err := DecodeSegment([]byte(c.body), c.kind, now)
		if got := tellAll(sent.Batch, err); got != c.want || sent.Key != c.key {
			t.Errorf("%.200s:\n%s\nwant\n%s\nkey %q", c.body, got, c.want, sent.Key)
		}
	}
}

func TestEventsOfPostHogAreRead(t *testing.T) {
	for _, c := range []struct{ body, want, key string }{
		{`{"api_key":"k","batch":[{"type":"capture","uuid":"u-1","event":"paid","distinct_id":"d","timestamp":"2026-02-09T15:12:00Z","properties":{"$lib":"posthog-go","token":"BTC"}},{"event":"$identify","distinct_id":5,"$set":{"plan":"pro"}}]}`,
			"paid|u-1|d|2026-02-09T15:12:00Z|{\"$lib\":\"posthog-go\",\"token\":\"BTC\"}\n$identify||5|-|{\"$set\":\"{\\\"plan\\\":\\\"pro\\\"}\"}", "k"},
		{`{"event":"$pageview","properties":{"token":"k","distinct_id":"d","$insert_id":"i","$current_url":"http://x/"},"offset":1500}`,
			`$pageview|i|d|2026-11-23T11:59:58.5Z|{"$current_url":"http://x/","$insert_id":"i"}`, "k"},
		{`[{"event":"a","properties":{"token":"k"}},{"event":"b","properties":{"token":"k","n":1}}]`, "a|||-|{}\nb|||-|{\"n\":1}", "k"},
		{`[{"event":"a","properties":{"token":"k"}},{"event":"b","properties":{"token":"l"}}]`, "unreadable several_keys", ""},
		{`[{"event":"a","token":"k"},{"event":"b","api_key":"l"}]`, "unreadable several_keys", ""},
		{`[{"event":"a","token":"k"},{"distinct_id":"d"},{"event":"b","timestamp":"soon"},{"event":"c","offset":-1},7]`,
			"a|||-|{}\n1 missing_event\n2 invalid_time\n3 invalid_time\n4 invalid_type", "k"},
		{`[{"event":"a","timestamp":"2026-02-09T15:12:00.5Z"},{"event":"a","timestamp":"2026-02-09T15:12:00.5Z"},{"event":"a","timestamp":"2026-02-09T15:12:00Z"},{"event":"a","offset":500}]`,
			"a|made-1||2026-02-09T15:12:00.5Z|{}\na|made-2||2026-02-09T15:12:00.5Z|{}\na|||2026-02-09T15:12:00Z|{}\na|||2026-11-23T11:59:59.5Z|{}", ""},
		{`17`, "unreadable invalid_json", ""},
	} {
		sent, err := DecodePostHog([]byte(c.body), now)
		if got := tellAll(sent.Batch, err); got != c.want || sent.Key != c.key {
			t.Errorf("%s:\n%s\nwant\n%s\nkey %q", c.body, got, c.want, sent.Key)
		}
	}
}

func TestCloudEventsInJSONAreRead(t *testing.T) {
	const head = `"specversion":"1.0","type":"order.paid","source":"/shop","id":"1"`
	const told = "order.paid|/shop 1|"
	for body, want := range map[string]string{
		`{` + head + `,"time":"2026-02-09T15:12:00Z","subject":"o7","user":"u","region":"eu","retries":2,"dataschema":"x","datacontenttype":"application/json","data":{"total":9,"source":"web"}}`: told +
			`u|2026-02-09T15:12:00Z|{"region":"eu","retries":2,"source":"web","subject":"o7","total":9}`,
		`{` + head + `,"userid":"v","data":"text"}`:                                  told + `v|-|{"data":"text","source":"/shop"}`,
		`{` + head + `,"data":[1, 2],"time":null}`:                                   told + `|-|{"data":"[1,2]","source":"/shop"}`,
		`{` + head + `,"data":null}`:                                                 told + `|-|{"source":"/shop"}`,
		`{` + head + `,"data_base64":"eyJhIjoxfQ=="}`:                                told + `|-|{"a":1,"source":"/shop"}`,
		`{` + head + `,"data_base64":"eyJhIjoxfQ==","datacontenttype":"text/plain"}`: told + `|-|{"data":"{\"a\":1}","source":"/shop"}`,
		`{` + head + `,"data_base64":"//8="}`:                                        told + `|-|{"data":"//8=","source":"/shop"}`,
		`{` + head + `,"data_base64":"?"}`:                                           "0 invalid_type",
		`{` + head + `,"time":1}`:                                                    "0 invalid_time",
		`{"specversion":"1.0","source":"s","id":"1"}`:                                "0 missing_event",
		`{"specversion":"1.0","type":"a","id":"1"}`:                                  "0 invalid_attribute",
		`{"specversion":"0.3","type":"a","source":"s","id":"1"}`:                     "0 invalid_attribute",
		`[{` + head + `}]`:                                                           "unreadable invalid_type",
		``:                                                                           "unreadable invalid_json",
	} {
		b, err := DecodeCloudEvents([]byte(body), false, now)
		got := tellAll(b, err)
		if got != want {
			t.Errorf("%s:\n%s\nwant\n%s", body, got, want)
		}
	}
	b, err := DecodeCloudEvents([]byte(`[{`+head+`},{},{`+head+`}]`), true, now)
	if got, want := tellAll(b, err), "order.paid|/shop 1||-|{\"source\":\"/shop\"}\norder.paid|/shop 1||-|{\"source\":\"/shop\"}\n1 invalid_attribute"; got != want {
		t.Errorf("a batch:\n%s", got)
	}
	b, err = DecodeCloudEvents([]byte(`{`+head+`,"source":"`+strings.Repeat("s", 200)+`"}`), false, now)
	if err != nil || len(b.Events) != 1 || len(b.Events[0].ID) != 64 {
		t.Errorf("a long source: %+v, %v", b, err)
	}
	if _, err := DecodeCloudEvents([]byte(`{`+head+`}`), true, now); err == nil {
		t.Error("a batch that is no array is read")
	}
}

func TestCloudEventsInHeadersAreRead(t *testing.T) {
	attributes := map[string]string{"specversion": "1.0", "type": "a", "source": "/s", "id": "1", "time": "2026-02-09T15:12:00Z", "subject": "caf%C3%A9", "userid": "u"}
	for _, c := range []struct{ contentType, body, want string }{
		{"application/json", `{"n":1}`, `a|/s 1|u|2026-02-09T15:12:00Z|{"n":1,"source":"/s","subject":"café"}`},
		{"text/plain; charset=utf-8", `{"n":1}`, `a|/s 1|u|2026-02-09T15:12:00Z|{"data":"{\"n\":1}","source":"/s","subject":"café"}`},
		{"", "", `a|/s 1|u|2026-02-09T15:12:00Z|{"source":"/s","subject":"café"}`},
	} {
		if got := tellAll(DecodeBinaryCloudEvent(attributes, c.contentType, []byte(c.body), now), nil); got != c.want {
			t.Errorf("%s %s:\n%s", c.contentType, c.body, got)
		}
	}
	for name, text := range map[string]string{"subject": "%FF", "type": "", "id": "", "time": "x"} {
		bad := map[string]string{"specversion": "1.0", "type": "a", "source": "/s", "id": "1", name: text}
		if b := DecodeBinaryCloudEvent(bad, "", nil, now); len(b.Rejected) != 1 {
			t.Errorf("ce-%s %q: %+v", name, text, b)
		}
	}
}

// checkKept fails where an event breaks a promise of the store.
func checkKept(t *testing.T, b Batch) {
	t.Helper()
	for _, e := range b.Events {
		texts := []string{e.Name, e.ID, e.User}
		for _, p := range e.Properties {
			texts = append(texts, p.Key, p.Value.String())
			if p.Key == "" || utf8.RuneCountInString(p.Key) > store.MaxPropertyKey || utf8.RuneCountInString(p.Value.String()) > store.MaxText {
				t.Fatalf("beyond the limits: %+v", p)
			}
		}
		for i, s := range texts {
			if !utf8.ValidString(s) || strings.ContainsFunc(s, unicode.IsControl) || i < 3 && utf8.RuneCountInString(s) > store.MaxEventName {
				t.Fatalf("%q", s)
			}
		}
		if e.Name == "" || e.Time.After(now.Add(store.MaxFuture)) || len(e.Properties) > store.MaxProperties {
			t.Fatalf("%+v", e)
		}
		if !json.Valid(e.Properties.AppendJSON(nil)) {
			t.Fatalf("%+v", e.Properties)
		}
	}
}

func FuzzDecodeSegment(f *testing.F) {
	for _, s := range []string{`{"batch":[{"type":"track","event":"a","properties":{"a":[1]}}],"writeKey":"k"}`, `{"type":"page","name":"\u0000","category":{}}`, `[{"messageId":1}]`, `{"batch":3}`, `{"timestamp":"2026-02-09"}`} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		if sent, err := DecodeSegment(data, "track", now); err == nil {
			checkKept(t, sent.Batch)
		}
	})
}

func FuzzDecodePostHog(f *testing.F) {
	for _, s := range []string{`{"api_key":"k","batch":[{"event":"a","distinct_id":1,"offset":5}]}`, `[{"event":"a","properties":{"token":{},"distinct_id":[],"$insert_id":"\n"}}]`, `{"event":"a","$set":{},"offset":1e300}`} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		if sent, err := DecodePostHog(data, now); err == nil {
			checkKept(t, sent.Batch)
		}
	})
}

func FuzzDecodeCloudEvents(f *testing.F) {
	for _, s := range []string{`{"specversion":"1.0","type":"a","source":"s","id":"1","data":{"a":1}}`, `[{"specversion":"1.0","type":"a","source":"s","id":"1","data_base64":"eyJhIjoxfQ=="}]`, `{"":1}`} {
		f.Add([]byte(s), true, "type")
		f.Add([]byte(s), false, "time")
	}
	f.Fuzz(func(t *testing.T, data []byte, many bool, name string) {
		if b, err := DecodeCloudEvents(data, many, now); err == nil {
			checkKept(t, b)
		}
		checkKept(t, DecodeBinaryCloudEvent(map[string]string{"specversion": "1.0", "type": "a", "source": "s", "id": "1", name: string(data)}, "", data, now))
	})
}
