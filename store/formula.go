package store

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
	formulaFunctions = []string{"abs", "ceil", "floor", "max", "min", "round"}
	formulaOperators = []string{"+", "-", "*", "/", "**", "^", "<", "<=", ">", ">=", "==", "!=", "&&", "||", "and", "or", "!", "not"}
)

// maxFormula bounds a formula, in bytes.
const maxFormula = 1_000

// formula computes a number from those of other widgets, which it names by their
// keys. It belongs to one goroutine.
type formula struct {
	names   []WidgetKey // that it reads, sorted
	program *vm.Program
	machine vm.VM
	env     map[string]float64 // reused
}

// parseFormula compiles a formula such as `100 * signups / visits`, in the language
// of github.com/expr-lang/expr.
func parseFormula(source string) (*formula, error) {
	if len(source) > maxFormula {
		return nil, fmt.Errorf("a formula has %d characters at most; this one has %d", maxFormula, len(source))
	}
	// The library's lexer is not made for any bytes.
	if at := strings.IndexFunc(source, notInFormula); at >= 0 {
		return nil, fmt.Errorf("what stands at character %d does not compute with numbers; %s", utf8.RuneCountInString(source[:at])+1, formulaHelp)
	}
	tree, err := parser.Parse(source)
	if err != nil {
		return nil, formulaError(err)
	}
	found := formulaVisitor{read: map[string]bool{}, declared: map[string]bool{}}
	ast.Walk(&tree.Node, &found)
	if found.foreign != nil {
		return nil, fmt.Errorf("what stands at character %d does not compute with numbers; %s", found.foreign.Location().From+1, formulaHelp)
	}
	f := &formula{env: map[string]float64{}}
	for name := range found.read {
		if !found.declared[name] {
			f.names = append(f.names, WidgetKey(name))
			f.env[name] = 0
		}
	}
	slices.Sort(f.names)
	if len(f.names) == 0 {
		return nil, errors.New("a formula computes with the widgets of its dashboard: name one by its key, as in signups / visits")
	}
	if f.program, err = expr.Compile(source, expr.Env(f.env), expr.AsFloat64()); err != nil {
		return nil, formulaError(err)
	}
	return f, nil
}

// notInFormula says whether a character can't stand in a formula.
func notInFormula(r rune) bool {
	return r > unicode.MaxASCII || !unicode.IsLetter(r) && !unicode.IsDigit(r) && !strings.ContainsRune("_.+-*/^()<>=!&|?:;, \t\n\r", r)
}

var formulaHelp = "use + - * / ** ( ) < > ? : and " + strings.Join(formulaFunctions, ", ")

// formulaError says what is wrong in one line.
func formulaError(err error) error {
	var fault *file.Error
	if !errors.As(err, &fault) {
		return err
	}
	return fmt.Errorf("%s at character %d; %s", fault.Message, fault.Column+1, formulaHelp)
}

// formulaVisitor collects the names that a formula reads and declares, and finds what
// does not belong into one.
type formulaVisitor struct {
	read, declared map[string]bool
	foreign        ast.Node // nil when there is none
}

// Visit implements ast.Visitor.
func (v *formulaVisitor) Visit(n *ast.Node) {
	belongs := true
	switch n := (*n).(type) {
	case *ast.IdentifierNode:
		v.read[n.Value] = true
	case *ast.VariableDeclaratorNode:
		v.declared[n.Name] = true
	case *ast.BuiltinNode:
		belongs = slices.Contains(formulaFunctions, n.Name)
	case *ast.UnaryNode:
		belongs = slices.Contains(formulaOperators, n.Operator)
	case *ast.BinaryNode:
		belongs = slices.Contains(formulaOperators, n.Operator)
	case *ast.IntegerNode, *ast.FloatNode, *ast.BoolNode, *ast.ConditionalNode:
	default:
		belongs = false
	}
	if !belongs && v.foreign == nil {
		v.foreign = *n
	}
}

// number computes the formula. There is none where one of its numbers is missing or
// the result is not finite.
func (f *formula) number(of func(i int) Number) Number {
	about := false
	for i, name := range f.names {
		n := of(i)
		if !n.Valid {
			return Number{}
		}
		about = about || n.About
		f.env[string(name)] = n.Value
	}
	result, err := f.machine.Run(f.program, f.env)
	v, ok := result.(float64)
	if err != nil || !ok || math.IsInf(v, 0) || math.IsNaN(v) {
		return Number{}
	}
	return Number{Value: v, Valid: true, About: about}
}

// checkFormula says what is wrong with a widget's formula.
func (d Dashboard) checkFormula(w Widget) error {
	f, err := parseFormula(w.Metric.Formula)
	if err != nil {
		return err
	}
	for _, name := range f.names {
		i := slices.IndexFunc(d.Widgets, func(o Widget) bool { return o.Key == name })
		switch {
		case i < 0:
			return fmt.Errorf("%q is no widget of this dashboard: name one by its key%s", name, d.formulaKeys(w))
		case d.Widgets[i].Kind == TextKind:
			return fmt.Errorf("widget %q is a text and has no number", name)
		case d.Widgets[i].Metric.Measure == Formula:
			return fmt.Errorf("widget %q is a formula itself: write out what it computes", name)
		case d.Widgets[i].Metric.By != "":
			return fmt.Errorf("widget %q shows groups, so it has no one number: name one without by", name)
		}
	}
	return nil
}

// formulaKeys lists the widgets that a formula may name.
func (d Dashboard) formulaKeys(except Widget) string {
	var keys []string
	for _, w := range d.Widgets {
		if w.Key != except.Key && w.Kind != TextKind && w.Metric.Measure != Formula && w.Metric.By == "" && !strings.Contains(string(w.Key), "-") {
			keys = append(keys, string(w.Key))
		}
	}
	if len(keys) == 0 {
		return "; a key with '-' can't stand in a formula"
	}
	return ", one of " + strings.Join(keys, ", ") + "; a key with '-' can't stand in a formula"
}
