package store

import "testing"

func TestEachKindIsListedOnceWithItsTraits(t *testing.T) {
	seen := map[Kind]bool{}
	for _, k := range Kinds {
		if seen[k] {
			t.Errorf("%s is listed twice", k)
		}
		seen[k] = true
		if columns := k.Traits().Columns; columns < 1 || columns > 12 {
			t.Errorf("%s is %d columns wide", k, columns)
		}
	}
	if got := Kind("pie").Traits(); got != (Traits{}) {
		t.Errorf("an unknown kind has traits: %+v", got)
	}
}

// The rules for a widget follow from the traits of its kind, so each kind is asked, whatever
// kinds there are.
func TestTheTraitsOfAKindDecideItsFields(t *testing.T) {
	takes := func(w Widget) bool {
		w.Key = "k"
		return Dashboard{ID: "d", Widgets: []Widget{w}}.Validate(nil) == nil
	}
	for _, k := range Kinds {
		traits := k.Traits()
		count, by := Metric{Measure: Count}, Metric{Measure: Count, By: "path"}
		compared := Widget{Kind: k, Metric: count, Compare: Previous}
		for what, c := range map[string]struct{ got, want bool }{
			"nothing":             {takes(Widget{Kind: k}), !traits.Measures()},
			"a text":              {takes(Widget{Kind: k, Text: "x"}), !traits.Measures()},
			"a metric":            {takes(Widget{Kind: k, Metric: count}), traits.Computes()},
			"a grouping":          {takes(Widget{Kind: k, Metric: by}), traits.Groups()},
			"a comparison":        {takes(compared), traits.Compares},
			"a metric that folds": {Widget{Kind: k, Metric: count}.Folds(), traits.Measures()},
		} {
			if c.got != c.want {
				t.Errorf("%s: %s: %t, want %t", k, what, c.got, c.want)
			}
		}
	}
}

func TestErrorsOfferTheKindsThatHaveATrait(t *testing.T) {
	for _, c := range []struct {
		got, want string
	}{
		{kindsThat(Traits.Computes), "stat, gauge or line"},
		{kindsThat(func(t Traits) bool { return t.Compares }), "stat"},
		{kindsThat(func(Traits) bool { return false }), ""},
	} {
		if c.got != c.want {
			t.Errorf("%q, want %q", c.got, c.want)
		}
	}
}
