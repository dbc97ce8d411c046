package formula

import (
	"strings"
	"testing"

	"pulseboard/store/growth"
)

func TestTimeGrowsWithTheFormula(t *testing.T) {
	for name, c := range map[string]struct{ before, again, after string }{
		"a formula": {"a", " + a", ""},
		"brackets":  {"", "(", ""},
		"signs":     {"", "-", "a"},
		"choices":   {"", "a ? ", "a"},
	} {
		t.Run(name, func(t *testing.T) {
			growth.Check(t, 64<<10, 4<<20, func(n int) string {
				return c.before + strings.Repeat(c.again, n/len(c.again)) + c.after
			}, func(s string) { _, _ = Parse(s) })
		})
	}
}
