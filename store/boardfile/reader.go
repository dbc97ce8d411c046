package boardfile

import (
	"math"
	"slices"
	"strings"

	"pulseboard/store"
)

// reader takes values out of nodes and keeps the first error.
type reader struct{ err error }

func (r *reader) fail(err *Error) {
	if r.err == nil {
		r.err = err
	}
}

// fields checks that n is a set of fields and has no others than these.
func (r *reader) fields(n *node, what string, known []string) {
	if n.kind != mapNode {
		r.fail(n.errorf("%s should stand here, with the fields %s; this is %s", what, strings.Join(known, ", "), kindNames[n.kind]))
		return
	}
	for i, key := range n.keys {
		if !slices.Contains(known, key) {
			r.fail(n.keyNodes[i].errorf("unknown field %s of %s: %s", store.Quote(key), what, suggest(key, known)))
			return
		}
	}
}

// value returns the value of a field; nil when it is missing or null.
func (r *reader) value(n *node, name string) *node {
	v := n.child(name)
	if v == nil || v.kind == nullNode {
		return nil
	}
	return v
}

// text returns a field's text. A number or a boolean counts as the text that is written,
// because a title or a group may look like one.
func (r *reader) text(n *node, name string) string {
	v := r.value(n, name)
	if v == nil {
		return ""
	}
	if v.kind == listNode || v.kind == mapNode {
		r.fail(v.errorf("%s should be a text, not %s", name, kindNames[v.kind]))
		return ""
	}
	return v.text
}

// optionalWord returns a field's text, which must be one of the known words if the field
// is there.
func (r *reader) optionalWord(n *node, name string, known []string) string {
	if n.child(name) == nil {
		return ""
	}
	v := r.value(n, name)
	if v == nil {
		r.fail(n.errorf("%s is missing: use one of %s", name, strings.Join(known, ", ")))
		return ""
	}
	text := r.text(n, name)
	if !slices.Contains(known, text) {
		r.fail(v.errorf("unknown %s %s: %s", name, store.Quote(text), suggest(text, known)))
	}
	return text
}

func (r *reader) number(n *node, name string) float64 {
	v := r.value(n, name)
	if v == nil {
		return 0
	}
	if v.kind != numberNode {
		r.fail(v.errorf("%s should be a number, not %s", name, kindNames[v.kind]))
	}
	return v.number
}

func (r *reader) whole(n *node, name string, low, high int) int {
	v := r.value(n, name)
	if v == nil {
		return 0
	}
	if v.kind != numberNode || v.number != math.Trunc(v.number) || v.number < float64(low) || v.number > float64(high) {
		r.fail(v.errorf("%s should be a whole number from %d to %d", name, low, high))
		return 0
	}
	return int(v.number)
}

func (r *reader) list(n *node, name string) []*node {
	v := r.value(n, name)
	if v == nil {
		return nil
	}
	if v.kind != listNode {
		r.fail(v.errorf("%s should be a list, not %s", name, kindNames[v.kind]))
		return nil
	}
	return v.items
}

// conditions returns a list of conditions; one alone may stand without a list.
func (r *reader) conditions(n *node, name string) []store.Condition {
	v := r.value(n, name)
	if v == nil {
		return nil
	}
	texts := []*node{v}
	if v.kind == listNode {
		texts = v.items
	}
	var conditions []store.Condition
	for _, t := range texts {
		if t.kind != textNode {
			r.fail(t.errorf(`a condition should be a text such as "status >= 500", not %s`, kindNames[t.kind]))
			continue
		}
		c, err := store.ParseCondition(t.text)
		if err != nil {
			r.fail(t.errorf("%v", err))
			continue
		}
		conditions = append(conditions, c)
	}
	return conditions
}

// suggest names the known word that is most like one, or all of them.
func suggest(word string, known []string) string {
	best, distance := "", min(3, len(word)*2/5+1) // two letters in five may be wrong
	for _, k := range known {
		if max(len(word)-len(k), len(k)-len(word)) >= distance {
			continue // it takes at least so many letters more, or fewer
		}
		if d := editDistance(strings.ToLower(word), k); d < distance {
			best, distance = k, d
		}
	}
	if best != "" {
		return "did you mean " + best + "?"
	}
	return "use one of " + strings.Join(known, ", ")
}

// editDistance counts the letters to insert, delete or replace to make b of a
// (Levenshtein, 1965).
func editDistance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := 1; i <= len(a); i++ {
		diagonal := row[0]
		row[0] = i
		for j := 1; j <= len(b); j++ {
			cost := 1
			if a[i-1] == b[j-1] {
				cost = 0
			}
			diagonal, row[j] = row[j], min(row[j]+1, row[j-1]+1, diagonal+cost)
		}
	}
	return row[len(b)]
}
