package formula

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/expr-lang/expr"
	"github.com/expr-lang/expr/ast"
	"github.com/expr-lang/expr/file"
	"github.com/expr-lang/expr/parser"
	"github.com/expr-lang/expr/vm"
)

// What a formula is made of: the parts of the language that compute with numbers in
// a time that its length bounds.
var (
	functions = []string{"abs", "ceil", "floor", "max", "min", "round"}
	operators = []string{"+", "-", "*", "/", "**", "^", "<", "<=", ">", ">=", "==", "!=", "&&", "||", "and", "or", "!", "not"}
)

// maxLength bounds a formula, in bytes.
const maxLength = 1_000

// Formula computes a number from others, which it names. It belongs to one goroutine at a time.
type Formula struct {
	names   []string // that it reads, sorted
	program *vm.Program
	machine vm.VM
	env     map[string]float64 // reused
}

// Parse compiles a formula such as `100 * signups / visits`, in the language of
// github.com/expr-lang/expr. The error says what is wrong with it, and what would be right.
func Parse(source string) (*Formula, error) {
	if len(source) > maxLength {
		return nil, fmt.Errorf("a formula has %d characters at most; this one has %d", maxLength, len(source))
	}
	// The library's lexer is not made for arbitrary bytes.
	if at := strings.IndexFunc(source, foreign); at >= 0 {
		return nil, fmt.Errorf("what stands at character %d does not compute with numbers; %s", utf8.RuneCountInString(source[:at])+1, help)
	}
	tree, err := parser.Parse(source)
	if err != nil {
		return nil, parseError(err)
	}
	found := visitor{read: map[string]bool{}, declared: map[string]bool{}}
	ast.Walk(&tree.Node, &found)
	if found.foreign != nil {
		return nil, fmt.Errorf("what stands at character %d does not compute with numbers; %s", found.foreign.Location().From+1, help)
	}
	f := &Formula{env: map[string]float64{}}
	for name := range found.read {
		if !found.declared[name] {
			f.names = append(f.names, name)
			f.env[name] = 0
		}
	}
	slices.Sort(f.names)
	if len(f.names) == 0 {
		return nil, errors.New("a formula computes with the widgets of its dashboard: name one by its key, as in signups / visits")
	}
	if f.program, err = expr.Compile(source, expr.Env(f.env), expr.AsFloat64()); err != nil {
		return nil, parseError(err)
	}
	return f, nil
}

// foreign reports whether a character can't stand in a formula.
func foreign(r rune) bool {
	return r > unicode.MaxASCII || !unicode.IsLetter(r) && !unicode.IsDigit(r) && !strings.ContainsRune("_.+-*/^()<>=!&|?:;, \t\n\r", r)
}

var help = "use + - * / ** ( ) < > ? : and " + strings.Join(functions, ", ")

// parseError returns an error of the library as one line.
func parseError(err error) error {
	var fault *file.Error
	if !errors.As(err, &fault) {
		return err
	}
	return fmt.Errorf("%s at character %d; %s", fault.Message, fault.Column+1, help)
}

// visitor collects the names that a formula reads and declares, and finds the first node that
// does not belong in one.
type visitor struct {
	read, declared map[string]bool
	foreign        ast.Node // nil when there is none
}

// Visit implements ast.Visitor.
func (v *visitor) Visit(n *ast.Node) {
	belongs := true
	switch n := (*n).(type) {
	case *ast.IdentifierNode:
		v.read[n.Value] = true
	case *ast.VariableDeclaratorNode:
		v.declared[n.Name] = true
	case *ast.BuiltinNode:
		belongs = slices.Contains(functions, n.Name)
	case *ast.UnaryNode:
		belongs = slices.Contains(operators, n.Operator)
	case *ast.BinaryNode:
		belongs = slices.Contains(operators, n.Operator)
	case *ast.IntegerNode, *ast.FloatNode, *ast.BoolNode, *ast.ConditionalNode:
	default:
		belongs = false
	}
	if !belongs && v.foreign == nil {
		v.foreign = *n
	}
}

// Names returns the names that a formula reads, sorted. The error says what is wrong with the
// formula, and what would be right.
func Names(text string) ([]string, error) {
	f, err := Parse(text)
	if err != nil {
		return nil, err
	}
	return f.names, nil
}

// Names returns the names that the formula reads, sorted.
func (f *Formula) Names() []string { return f.names }

// Value computes the formula of the values of its names, in the order of Names. ok is false
// when the result is not finite.
func (f *Formula) Value(values []float64) (value float64, ok bool) {
	for i, name := range f.names {
		f.env[name] = values[i]
	}
	result, err := f.machine.Run(f.program, f.env)
	value, ok = result.(float64)
	if err != nil || !ok || math.IsInf(value, 0) || math.IsNaN(value) {
		return 0, false
	}
	return value, true
}
