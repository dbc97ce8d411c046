package growth

import (
	"flag"
	"os"
	"os/exec"
	"strings"
	"testing"
)

var square = flag.Bool("square", false, "check what takes the square of its input")

// sink keeps the compiler from leaving work out.
var sink int

func work(n int) {
	for i := range n {
		sink += i
	}
}

func size(n int) int { return n }

func TestCheckPassesWhatIsLinear(t *testing.T) {
	if *square {
		Check(t, 1<<10, 1<<20, size, func(n int) { work(n * n / 100) })
		return
	}
	Check(t, 1<<10, 1<<30, size, func(n int) { work(n) })
	Check(t, 1<<10, 1<<30, size, func(int) {})
}

func TestCheckFailsWhatIsQuadratic(t *testing.T) {
	out, err := exec.Command(os.Args[0], "-test.run", "^TestCheckPassesWhatIsLinear$", "-square").CombinedOutput()
	if err == nil || !strings.Contains(string(out), "and twice as many") {
		t.Errorf("%v: %s", err, out)
	}
}
