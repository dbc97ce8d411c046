package ingest

import (
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"pulseboard/store"
)

// logTime is the time in a web server's log.
const logTime = "02/Jan/2006:15:04:05 -0700"

// parseLogLine reads a line of the Common Log Format or, with combined, of the
// Combined one:
//
//	address ident user [time] "method path protocol" status bytes "referrer" "agent"
//
// Values that are too long are cut: a log is not its reader's to mend.
// Source: https://httpd.apache.org/docs/current/logs.html
func parseLogLine(line string, combined bool, now time.Time) (e store.Event, _ *fault) {
	bad := func(what string) *fault {
		return faultf("invalid_line", `%s: expected ADDRESS IDENT USER [TIME] "REQUEST" STATUS BYTES%s`, what,
			map[bool]string{true: ` "REFERRER" "AGENT"`}[combined])
	}
	line = strings.ToValidUTF8(line, string(utf8.RuneError))
	address, rest, ok := strings.Cut(line, " ")
	if !ok || address == "" {
		return e, bad("there is no address")
	}
	_, rest, ok = strings.Cut(rest, " [")
	if !ok {
		return e, bad("there is no [time]")
	}
	at, rest, ok := strings.Cut(rest, "] ")
	if !ok {
		return e, bad("the [time] has no end")
	}
	happened, err := time.Parse(logTime, at)
	if err != nil {
		return e, faultf(codeTime, "time %s is not understood: it should look like 17/May/2015:10:05:03 +0000", store.Quote(at))
	}
	when, late := checkTime(happened, now)
	if late != nil {
		return e, late
	}
	request, rest, ok := cutLogQuoted(rest)
	if !ok {
		return e, bad("the request is not in quotes")
	}
	status, rest, _ := strings.Cut(strings.TrimLeft(rest, " "), " ")
	code, err := strconv.ParseUint(status, 10, 16)
	if err != nil {
		return e, bad("the status is no number")
	}
	size, rest, _ := strings.Cut(rest, " ")
	properties := append(requestProperties(request), store.Property{Key: "status", Value: store.Num(float64(code))})
	if size != "-" {
		n, err := strconv.ParseUint(size, 10, 63)
		if err != nil {
			return e, bad("the number of bytes is no number")
		}
		properties = append(properties, store.Property{Key: "bytes", Value: store.Num(float64(n))})
	}
	if combined {
		for _, key := range []string{"referrer", "agent"} {
			var text string
			if text, rest, ok = cutLogQuoted(rest); !ok {
				return e, bad("the " + key + " is not in quotes")
			}
			properties = appendLogText(properties, key, text)
		}
	}
	return store.Event{
		Name:       "request",
		Time:       when,
		User:       clean(store.CutCharacters(address, store.MaxEventName)),
		Properties: store.NewProperties(properties),
	}, nil
}

// requestProperties takes a request line apart. Scanners send anything; what is
// no request line is kept whole.
func requestProperties(request string) []store.Property {
	words := strings.Split(request, " ")
	if len(words) != 3 || !strings.HasPrefix(words[2], "HTTP/") {
		return appendLogText(nil, "request", request)
	}
	var properties []store.Property
	properties = appendLogText(properties, "method", words[0])
	properties = appendLogText(properties, "path", words[1])
	return appendLogText(properties, "protocol", words[2])
}

// appendLogText adds a text property; "-" is how a log writes nothing.
func appendLogText(properties []store.Property, key, text string) []store.Property {
	if text == "-" || text == "" {
		return properties
	}
	return append(properties, store.Property{Key: key, Value: store.Text(clean(store.CutCharacters(text, store.MaxText)))})
}

// cutLogQuoted takes a text in double quotes off the front. A backslash before a
// quote or a backslash keeps it from being one.
func cutLogQuoted(s string) (text, rest string, ok bool) {
	s = strings.TrimLeft(s, " ")
	if !strings.HasPrefix(s, `"`) {
		return "", "", false
	}
	var b strings.Builder
	for i := 1; i < len(s); i++ {
		switch {
		case s[i] == '"':
			return b.String(), s[i+1:], true
		case s[i] == '\\' && i+1 < len(s) && (s[i+1] == '"' || s[i+1] == '\\'):
			i++
			b.WriteByte(s[i])
		default:
			b.WriteByte(s[i])
		}
	}
	return "", "", false
}
