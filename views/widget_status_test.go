package views

import (
	"regexp"
	"slices"
	"strings"
	"testing"

	"pulseboard/store"
)

// The states of a grid are told by an icon and a word, not by colour alone.
func TestATileSaysItsStateInAWordAndAnIcon(t *testing.T) {
	w := widgets()["status"]
	var got []string
	drawn := map[string]bool{}
	for _, part := range w.Parts() {
		html := markup(t, part.Component)
		word, path := "", ""
		if found := regexp.MustCompile(`([A-Z][a-z]+( [a-z]+)?)</span></li>$`).FindStringSubmatch(strings.TrimSpace(html)); found != nil {
			word = found[1]
		}
		if found := regexp.MustCompile(` d="([^"]+)"`).FindStringSubmatch(html); found != nil {
			path = found[1]
		}
		if word != "No data" && (path == "" || drawn[path]) {
			t.Errorf("%s has no icon of its own: %s", word, html)
		}
		drawn[path] = true
		got = append(got, word)
	}
	if want := []string{"Critical", "Warning", "Normal", "No data"}; !slices.Equal(got, want) {
		t.Errorf("the tiles say %q, want %q", got, want)
	}
	if html := markup(t, w.Whole()); !strings.Contains(html, `data-state="critical" aria-labelledby`) {
		t.Errorf("the widget is not in the worst state of its groups: %.300s", html)
	}
}

func TestATileWithoutThresholdsHasNoState(t *testing.T) {
	html := markup(t, widgets()["status, calm"].Parts()[0].Component)
	if strings.Contains(html, "Normal") || strings.Contains(html, "<svg") || !strings.Contains(html, "5 ms") {
		t.Errorf("it is %s", html)
	}
}

func TestTheTilesKeepTheOrderOfTheRanking(t *testing.T) {
	w := widgets()["status"]
	w.Reading = store.NewWidgetReading(w.Def.Key, store.Ranking{{Group: "z", Number: store.Of(9)}, {Group: "a", Number: store.Of(4)}}, nil)
	html := markup(t, w.Whole())
	if z, a := strings.Index(html, ">z<"), strings.Index(html, ">a<"); z < 0 || a < z {
		t.Errorf("z is at %d and a at %d of %s", z, a, html)
	}
}
