package store

import (
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/rivo/uniseg"
	"pgregory.net/rapid"
)

// graphemes returns a text's graphemes.
func graphemes(s string) (all []string) {
	for g := uniseg.NewGraphemes(s); g.Next(); {
		all = append(all, g.Str())
	}
	return all
}

// joins are texts whose graphemes have several code points, and what makes such.
var joins = []string{"👩‍👩‍👧‍👦", "🇩🇪", "🇫🇷", "🇩", "e\u0301", "a\u0308\u0323", "한", "\u1112\u1161\u11ab", "नि", "👍🏽", "1️⃣", "\u200d", "\u0301", "\r\n", "\r", "a", "ß", "世", "\U0010ffff", "\x00"}

func drawText(t *rapid.T) string {
	return strings.Join(rapid.SliceOfN(rapid.OneOf(rapid.SampledFrom(joins), rapid.String()), 0, 12).Draw(t, "text"), "")
}

// checkCut checks a text that was cut to a number of what length counts.
func checkCut(t interface{ Fatalf(string, ...any) }, s, got string, most int, length func(string) int) {
	if utf8.ValidString(s) && !utf8.ValidString(got) {
		t.Fatalf("%q cut to %d is %q: no UTF-8", s, most, got)
	}
	if length(s) <= most {
		if got != s {
			t.Fatalf("%q is no longer than %d, and was cut to %q", s, most, got)
		}
		return
	}
	start, cut := strings.CutSuffix(got, Ellipsis)
	if !cut || !strings.HasPrefix(s, start) {
		t.Fatalf("%q cut to %d is %q: want its start and an ellipsis", s, most, got)
	}
	if n := length(start); n+1 > max(most, 1) {
		t.Fatalf("%q cut to %d is %q: %d without the ellipsis", s, most, got, n)
	}
	all := graphemes(s)
	end := len(graphemes(start))
	if strings.Join(all[:end], "") != start {
		t.Fatalf("%q cut to %d is %q: a grapheme is split", s, most, got)
	}
	if next := length(start + all[end]); next < most {
		t.Fatalf("%q cut to %d is %q: one more grapheme has room", s, most, got)
	}
}

func countGraphemes(s string) int { return len(graphemes(s)) }

func TestTextsAreCutBetweenGraphemes(t *testing.T) {
	for _, c := range []struct {
		text string
		most int
		want string
	}{
		{"", 0, ""}, {"abc", 3, "abc"}, {"abcd", 3, "ab…"}, {"abc", 0, "…"}, {"ä", 1, "ä"}, {"éé", 1, "…"},
		{"👩‍👩‍👧‍👦👩‍👩‍👧‍👦👩‍👩‍👧‍👦", 2, "👩‍👩‍👧‍👦…"}, {"🇩🇪🇫🇷🇮🇹", 2, "🇩🇪…"}, {"e\u0301e\u0301e\u0301", 2, "e\u0301…"}, {"\u1112\u1161\u11abxy", 2, "\u1112\u1161\u11ab…"},
	} {
		if got := Cut(c.text, c.most); got != c.want {
			t.Errorf("Cut(%q, %d) = %q, want %q", c.text, c.most, got, c.want)
		}
	}
	if got := CutCharacters("aae\u0301bbbb", 4); got != "aa…" {
		t.Errorf("four characters would split é: %q", got)
	}
	rapid.Check(t, func(t *rapid.T) {
		s, most := drawText(t), rapid.IntRange(0, 20).Draw(t, "most")
		checkCut(t, s, Cut(s, most), most, countGraphemes)
		checkCut(t, s, CutCharacters(s, most), most, utf8.RuneCountInString)
	})
}

func FuzzCut(f *testing.F) {
	for _, s := range joins {
		f.Add(s+s+"x"+s, 2)
	}
	f.Fuzz(func(t *testing.T, s string, most int) {
		most &= 0xff
		checkCut(t, s, Cut(s, most), most, countGraphemes)
		checkCut(t, s, CutCharacters(s, most), most, utf8.RuneCountInString)
		if !utf8.ValidString(s) {
			return
		}
		if got := Capitalized(s); !utf8.ValidString(got) || !strings.HasSuffix(got, strings.TrimPrefix(s, FirstGrapheme(s))) {
			t.Fatalf("Capitalized(%q) = %q", s, got)
		}
		if got := Quote(s); !utf8.ValidString(got) || strings.Contains(got, "\n") {
			t.Fatalf("Quote(%q) = %q", s, got)
		}
	})
}

func TestACapitalIsAWholeLetter(t *testing.T) {
	for text, want := range map[string]string{"": "", "path": "Path", "äpfel": "Äpfel", "e\u0301t": "E\u0301t", "👩‍👩‍👧‍👦 x": "👩‍👩‍👧‍👦 x"} {
		if got := Capitalized(text); got != want {
			t.Errorf("Capitalized(%q) = %q, want %q", text, got, want)
		}
	}
}
