package store

import (
	"fmt"
	"math"
	"regexp"
	"strconv"
	"strings"
)

// Operator compares a field of an event with the value of a condition.
type Operator string

// The operators, longest first where one begins another.
const (
	Equal          Operator = "="
	NotEqual       Operator = "!="
	Less           Operator = "<"
	LessOrEqual    Operator = "<="
	Greater        Operator = ">"
	GreaterOrEqual Operator = ">="
	Contains       Operator = "contains"
	StartsWith     Operator = "starts-with"
	In             Operator = "in"
)

var (
	signOperators = []Operator{NotEqual, LessOrEqual, GreaterOrEqual, Equal, Less, Greater}
	wordOperators = []Operator{Contains, StartsWith, In}
)

const operatorHelp = "use = != < <= > >= contains starts-with in"

// Condition holds for some events: `status >= 500`, `path starts-with /docs`,
// `country in DE, FR`. Use [ParseCondition]; the zero Condition is no condition.
type Condition struct {
	Field    string
	Operator Operator
	Value    string // as written, without quotes

	operands []operand // one, or for In one or more
}

type operand struct {
	text     string
	number   float64
	isNumber bool
}

// ParseCondition reads a condition as it stands in a dashboard file: a field,
// an operator, a value. Field and value may stand in double quotes, with the
// escapes of JSON; without them a value goes to the end of the text. The values of `in`
// are separated by commas and may stand in brackets.
func ParseCondition(s string) (Condition, error) {
	rest := strings.TrimSpace(s)
	field, rest, err := cutField(rest)
	if err != nil {
		return Condition{}, fmt.Errorf("condition %s: %w", Quote(s), err)
	}
	operator, rest, err := cutOperator(strings.TrimSpace(rest))
	if err != nil {
		return Condition{}, fmt.Errorf("condition %s: %w", Quote(s), err)
	}
	rest = strings.TrimSpace(rest)
	if rest == "" {
		return Condition{}, fmt.Errorf(`condition %s has no value: write it after %s, or "" for an empty text`, Quote(s), operator)
	}
	c := Condition{Field: field, Operator: operator}
	if operator == In {
		c.Value = rest
		c.operands, err = parseList(rest)
	} else {
		c.Value, err = unquote(rest)
		c.operands = []operand{newOperand(rest, c.Value)}
	}
	if err != nil {
		return Condition{}, fmt.Errorf("condition %s: %w", Quote(s), err)
	}
	return c, nil
}

func newOperand(written, text string) operand {
	f, isNumber := parseNumber(written)
	return operand{text: text, number: f, isNumber: isNumber}
}

func cutField(s string) (field, rest string, err error) {
	if strings.HasPrefix(s, `"`) {
		quoted, rest, err := cutQuoted(s)
		return quoted, rest, err
	}
	end := strings.IndexAny(s, " \t=!<>")
	if end <= 0 {
		return "", "", fmt.Errorf("it should read FIELD OPERATOR VALUE, such as status >= 500")
	}
	return s[:end], s[end:], nil
}

func cutOperator(s string) (Operator, string, error) {
	for _, op := range signOperators {
		if rest, found := strings.CutPrefix(s, string(op)); found {
			return op, rest, nil
		}
	}
	word, rest, _ := strings.Cut(s, " ")
	for _, op := range wordOperators {
		if word == string(op) {
			return op, rest, nil
		}
	}
	return "", "", fmt.Errorf("unknown operator %s: %s", Quote(word), operatorHelp)
}

func cutQuoted(s string) (text, rest string, err error) {
	quoted, err := strconv.QuotedPrefix(s)
	if err != nil {
		return "", "", fmt.Errorf("a double quote is open and never closed")
	}
	text, err = strconv.Unquote(quoted)
	return text, s[len(quoted):], err
}

func unquote(s string) (string, error) {
	if !strings.HasPrefix(s, `"`) {
		return s, nil
	}
	text, rest, err := cutQuoted(s)
	if err == nil && strings.TrimSpace(rest) != "" {
		err = fmt.Errorf("unexpected %s after the closing quote", Quote(rest))
	}
	return text, err
}

func parseList(s string) ([]operand, error) {
	for _, pair := range []string{"[]", "()"} {
		if strings.HasPrefix(s, pair[:1]) && strings.HasSuffix(s, pair[1:]) {
			s = strings.TrimSpace(s[1 : len(s)-1])
		}
	}
	var operands []operand
	for {
		s = strings.TrimSpace(s)
		var written, text string
		if strings.HasPrefix(s, `"`) {
			quoted, rest, err := cutQuoted(s)
			if err != nil {
				return nil, err
			}
			written, text, s = s[:len(s)-len(rest)], quoted, strings.TrimSpace(rest)
		} else {
			end := strings.IndexByte(s, ',')
			if end < 0 {
				end = len(s)
			}
			text = strings.TrimSpace(s[:end])
			written, s = text, s[end:]
			if text == "" {
				return nil, fmt.Errorf("a value is missing: write them as A, B, C")
			}
		}
		operands = append(operands, newOperand(written, text))
		if s == "" {
			return operands, nil
		}
		if s[0] != ',' {
			return nil, fmt.Errorf("unexpected %s: put commas between values", Quote(s))
		}
		s = s[1:]
	}
}

var numberPattern = regexp.MustCompile(`^-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?$`)

// parseNumber reads a JSON number; ok is false for any other text, and for
// what no float64 can hold.
func parseNumber(s string) (f float64, ok bool) {
	if s == "" || (s[0] != '-' && (s[0] < '0' || s[0] > '9')) || !numberPattern.MatchString(s) {
		return 0, false
	}
	f, err := strconv.ParseFloat(s, 64)
	return f, err == nil && !math.IsInf(f, 0)
}

// String writes the condition so that ParseCondition reads the same back.
func (c Condition) String() string {
	value := c.Value
	if c.Operator != In && (value == "" || value != strings.TrimSpace(value) || strings.HasPrefix(value, `"`) || c.quotedNumber()) {
		value = strconv.Quote(value)
	}
	field := c.Field
	if field == "" || strings.ContainsAny(field, " \t=!<>\"") {
		field = strconv.Quote(field)
	}
	return field + " " + string(c.Operator) + " " + value
}

// quotedNumber: a value such as "500" in quotes is a text, not a number.
func (c Condition) quotedNumber() bool {
	_, looksNumeric := parseNumber(c.Value)
	return looksNumeric && len(c.operands) == 1 && !c.operands[0].isNumber
}

// Holds reports whether e fulfils the condition. Two numbers compare as numbers;
// else = != contains starts-with in compare as text and the orderings do not
// hold. A missing field fulfils only !=.
func (c Condition) Holds(e *Event) bool {
	v, ok := e.Field(c.Field)
	if !ok {
		return c.Operator == NotEqual
	}
	switch c.Operator {
	case Equal, In:
		return c.anyEqual(v)
	case NotEqual:
		return !c.anyEqual(v)
	case Contains:
		return strings.Contains(v.String(), c.operands[0].text)
	case StartsWith:
		return strings.HasPrefix(v.String(), c.operands[0].text)
	}
	f, isNumber := v.Number()
	want := c.operands[0]
	if !isNumber || !want.isNumber {
		return false
	}
	switch c.Operator {
	case Less:
		return f < want.number
	case LessOrEqual:
		return f <= want.number
	case Greater:
		return f > want.number
	case GreaterOrEqual:
		return f >= want.number
	}
	return false
}

func (c Condition) anyEqual(v Value) bool {
	f, isNumber := v.Number()
	for _, want := range c.operands {
		if isNumber && want.isNumber {
			if f == want.number {
				return true
			}
		} else if v.String() == want.text {
			return true
		}
	}
	return false
}

// allHold reports whether e fulfils every condition.
func allHold(conditions []Condition, e *Event) bool {
	for i := range conditions {
		if !conditions[i].Holds(e) {
			return false
		}
	}
	return true
}
