package views

import (
	"strings"
	"testing"
)

func TestAWidgetSaysThatPartOfItsRangeCannotBeRead(t *testing.T) {
	const notice = "Some events in this range are damaged"
	for name, w := range widgets() {
		whole := w
		if strings.Contains(markup(t, whole.Whole()), notice) {
			t.Errorf("%s: a whole one says so", name)
		}
		w.Reading.Partial = true
		if !strings.Contains(markup(t, w.Whole()), notice) {
			t.Errorf("%s: it does not say so", name)
		}
		if w.Shell() == whole.Shell() {
			t.Errorf("%s: an open screen would not show it", name)
		}
	}
}
