package boardfile

// The library parses YAML, and this file walks its tree. Its strict decoder, which fills
// structs, was tried instead (version 1.19.2) with 15 common mistakes:
//
//   - It accepted 7 of them: limit: 2.5 became 2, anchors were followed, and it has no notion
//     of words out of a list, operators, bounds and numbers that must be there.
//   - 2 errors spoke of Go instead of the file: limit: many was "cannot unmarshal string
//     into Go struct field D.Widgets of type int".
//   - Unknown fields had the right line and column, but no "did you mean".
//
// It also reads a title of 0x1f as 31, takes no single condition without a list, and has no
// limits on hostile files. With it only the 90 lines below from convert to child could go;
// the limits, a decoder for each shape of a value, and the search for the place of a
// fault that store finds would remain.

import (
	"bytes"
	"fmt"
	"math"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/lexer"
	"github.com/goccy/go-yaml/parser"
	"github.com/goccy/go-yaml/token"

	"pulseboard/store"
)

// nodeKind is the kind of value that a node holds.
type nodeKind uint8

const (
	nullNode nodeKind = iota
	textNode
	numberNode
	boolNode
	listNode
	mapNode
)

var kindNames = [...]string{"nothing", "a text", "a number", "true or false", "a list", "a set of fields"}

// node is a place in a file with its value.
type node struct {
	kind         nodeKind
	line, column int
	text         string // of a text; of a number or a boolean, as written
	number       float64
	items        []*node
	keys         []string // of a map, in order; items are the values
	keyNodes     []*node
}

// Bounds of a file, beside its size. Dashboards nest four deep, and the longest name of a
// field has ten letters. The parser's memory grows with the square of the indentation, its
// time with the square of the tokens of a document and with the length of a name times
// the fields below it. So its input is bounded first.
const (
	maxDepth     = 32
	maxColumn    = 1_000
	maxDocuments = 1_000
	maxTokens    = 20_000 // of a document, without comments
	maxKey       = 200    // bytes
)

// splitDocuments returns the tokens of each document of a file.
func splitDocuments(data []byte) ([]token.Tokens, error) {
	if len(data) > MaxSize {
		return nil, tooLarge(data)
	}
	if err := checkUTF8(data); err != nil {
		return nil, err
	}
	var documents []token.Tokens
	tokens := lexer.Tokenize(strings.TrimPrefix(string(data), "\ufeff"))
	start := 0
	for i, t := range tokens {
		if t.Type == token.DocumentHeaderType && i > start {
			documents, start = append(documents, tokens[start:i]), i
		}
		if i == start && len(documents) == maxDocuments {
			return nil, errorAt(t, fmt.Sprintf("the file has more than %d documents: put the others into another file", maxDocuments))
		}
		switch {
		case t.Type == token.DocumentEndType:
			documents, start = append(documents, tokens[start:i+1]), i+1
		case t.Type == token.DirectiveType && t.Position.Column > 1:
			return nil, errorAt(t, "a text that begins with % must stand in quotes")
		case t.Type == token.DirectiveType:
			return nil, errorAt(t, "directives are not used in dashboards: leave this line out")
		}
	}
	return append(documents, tokens[start:]), nil
}

// tooLarge returns the error of a file that is too large, at the line that goes over the
// limit.
func tooLarge(data []byte) *Error {
	return &Error{
		Line:    1 + bytes.Count(data[:MaxSize], []byte("\n")),
		Column:  1,
		Message: fmt.Sprintf("the file is larger than %d bytes: put its dashboards into several files", MaxSize),
	}
}

// parseDocument reads a document. It returns nil for an empty one.
func parseDocument(tokens token.Tokens) (*node, error) {
	if err := checkTokens(tokens); err != nil {
		return nil, err
	}
	file, err := parser.Parse(tokens, 0, parser.AllowDuplicateMapKey()) // addFields finds them
	if err != nil {
		return nil, syntaxError(err, tokens)
	}
	for _, document := range file.Docs {
		if document.Body == nil {
			continue
		}
		n, err := convert(document.Body, 0)
		if err != nil || n.kind != nullNode {
			return n, err
		}
	}
	return nil, nil
}

func checkUTF8(data []byte) error {
	for i, line := range bytes.Split(data, []byte("\n")) {
		if !utf8.Valid(line) {
			return &Error{Line: i + 1, Column: 1, Message: "the line is not valid UTF-8: save the file as UTF-8"}
		}
	}
	return nil
}

// checkTokens refuses documents that would cost a recursive parser too much: those that nest
// too deep (by brackets, by dashes and question marks in one line, or by indentation),
// have too many tokens, or have a name that is too long.
func checkTokens(tokens token.Tokens) error {
	line, dashes, open, count := 0, 0, 0, 0
	var last *token.Token
	for _, t := range tokens {
		first := t.Position.Line != line
		if first {
			line, dashes = t.Position.Line, 0
		}
		switch t.Type {
		case token.CommentType:
			continue
		case token.SequenceStartType, token.MappingStartType:
			open++
		case token.SequenceEndType, token.MappingEndType:
			open--
		case token.SequenceEntryType, token.MappingKeyType:
			dashes++
		case token.MappingValueType:
			if last != nil && len(last.Value) > maxKey {
				return errorAt(last, fmt.Sprintf("the name of a field is longer than %d bytes", maxKey))
			}
		}
		if open+dashes > maxDepth || (first && open == 0 && t.Position.Column > maxColumn) {
			return errorAt(t, "this nests too deep")
		}
		last = t
		if count++; count > maxTokens {
			return errorAt(t, fmt.Sprintf("the dashboard is too large: it may have %d names, values and signs", maxTokens))
		}
	}
	return nil
}

func errorAt(t *token.Token, message string) *Error {
	return &Error{Line: t.Position.Line, Column: t.Position.Column, Message: message}
}

// convert returns the node for one of the parser's. Anchors, tags and other things that
// dashboards have no use for are errors.
func convert(from ast.Node, depth int) (*node, error) {
	n := &node{line: 1, column: 1}
	if t := from.GetToken(); t != nil && t.Position != nil {
		n.line, n.column = t.Position.Line, t.Position.Column
	}
	if depth > maxDepth {
		return nil, n.errorf("this nests too deep")
	}
	switch from := from.(type) {
	case *ast.NullNode:
	case *ast.BoolNode:
		n.kind, n.text = boolNode, from.GetToken().Value
	case *ast.StringNode:
		n.kind, n.text = textNode, from.Value
		if f, ok := exponentialNumber(from.GetToken()); ok {
			n.kind, n.number = numberNode, f
		}
	case *ast.LiteralNode:
		n.kind, n.text = textNode, from.Value.Value
	case *ast.IntegerNode, *ast.FloatNode:
		n.kind, n.text = numberNode, from.GetToken().Value
		return n, n.readNumber(from)
	case *ast.SequenceNode:
		n.kind = listNode
		for _, value := range from.Values {
			item, err := convert(value, depth+1)
			if err != nil {
				return nil, err
			}
			n.items = append(n.items, item)
		}
	case *ast.MappingNode:
		n.kind = mapNode
		return n, n.addFields(from.Values, depth)
	case *ast.MappingValueNode:
		n.kind = mapNode
		return n, n.addFields([]*ast.MappingValueNode{from}, depth)
	default:
		return nil, n.errorf("%s is not used in dashboards: write the value itself", strings.ToLower(from.Type().String()))
	}
	return n, nil
}

func (n *node) readNumber(from ast.Node) error {
	var value any
	switch from := from.(type) {
	case *ast.IntegerNode:
		value = from.Value
	case *ast.FloatNode:
		value = from.Value
	}
	switch v := value.(type) {
	case int64:
		n.number = float64(v)
	case uint64:
		n.number = float64(v)
	case float64:
		n.number = v
	}
	if math.IsInf(n.number, 0) || math.IsNaN(n.number) {
		return n.errorf("%s is no finite number", store.Cut(n.text, 40))
	}
	return nil
}

func (n *node) addFields(values []*ast.MappingValueNode, depth int) error {
	seen := make(map[string]bool, len(values))
	for _, field := range values {
		key, err := convert(field.Key, depth+1)
		if err != nil {
			return err
		}
		if key.kind != textNode {
			return key.errorf("the name of a field must be a text, not %s", kindNames[key.kind])
		}
		if seen[key.text] {
			return key.errorf("%s stands here twice: leave one out", store.Quote(key.text))
		}
		seen[key.text] = true
		value, err := convert(field.Value, depth+1)
		if err != nil {
			return err
		}
		n.keys = append(n.keys, key.text)
		n.keyNodes = append(n.keyNodes, key)
		n.items = append(n.items, value)
		if len(n.keys) == 1 {
			n.line, n.column = key.line, key.column
		}
	}
	return nil
}

// child returns the value of a field; nil when there is none.
func (n *node) child(name string) *node {
	for i, key := range n.keys {
		if key == name {
			return n.items[i]
		}
	}
	return nil
}

// find returns the node that a path such as "widgets[2].measure" leads to, or the
// last one on the way that is there.
func (n *node) find(path string) *node {
	for _, step := range strings.FieldsFunc(path, func(r rune) bool { return r == '.' || r == '[' }) {
		next := n.child(step)
		if index, found := strings.CutSuffix(step, "]"); found {
			i, err := strconv.Atoi(index)
			if err == nil && i < len(n.items) {
				next = n.items[i]
			}
		}
		if next == nil {
			return n
		}
		n = next
	}
	return n
}

func (n *node) errorf(format string, args ...any) *Error {
	return &Error{Line: n.line, Column: n.column, Message: fmt.Sprintf(format, args...)}
}
