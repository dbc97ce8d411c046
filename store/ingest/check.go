package ingest

import (
	"math"
	"strings"
	"unicode"
	"unicode/utf8"

	"pulseboard/store"
)

// checkText gives a text without control characters, if it is not too long.
func checkText(what, s string, most int) (string, *fault) {
	if len(s) > most && utf8.RuneCountInString(s) > most {
		return "", faultf(codeLong, "%s has %d characters; %d is the most.", what, utf8.RuneCountInString(s), most)
	}
	return clean(s), nil
}

// clean puts U+FFFD in the place of control characters, so that no text can
// break a line, end a field or hide in a page.
func clean(s string) string {
	if isPrintableASCII(s) || strings.IndexFunc(s, unicode.IsControl) < 0 {
		return s
	}
	return strings.Map(func(r rune) rune {
		if unicode.IsControl(r) {
			return utf8.RuneError
		}
		return r
	}, s)
}

// isPrintableASCII says quickly of most texts that nothing is wrong with them.
func isPrintableASCII(s string) bool {
	for i := range len(s) {
		if s[i] < ' ' || s[i] > '~' {
			return false
		}
	}
	return true
}

func checkKey(key string) (string, *fault) {
	key, err := checkText("the key of a property", key, store.MaxPropertyKey)
	if err == nil && key == "" {
		err = faultf(codeType, "The key of a property is empty: name it.")
	}
	return key, err
}

// limited gives properties, if they are not too many.
func limited(properties []store.Property) (store.Properties, *fault) {
	kept := store.NewProperties(properties)
	if len(kept) > store.MaxProperties {
		return nil, faultf(codeProperties, "An event may have %d properties at most; this one has %d.", store.MaxProperties, len(kept))
	}
	return kept, nil
}

func checkNumber(key string, f float64) (store.Value, *fault) {
	if math.IsNaN(f) || math.Abs(f) > store.MaxNumber {
		return store.Null, faultf(codeNumber, "property %s is a number beyond ±1e200.", key)
	}
	return store.Num(f), nil
}
