package fold

import (
	"errors"
	"testing"
	"time"

	"pulseboard/store"
	"pulseboard/store/pack"
)

func TestAPartialBlockStaysPartial(t *testing.T) {
	rollup := RollupOf(store.Dashboard{}, store.Metric{Measure: store.Count})
	fold := NewRollupBuilder(rollup)
	fold.Add(&store.Event{Name: "a", Time: time.Unix(60, 0)})
	for step := range fold.Steps() {
		b := BlockBuilder{}
		b.AddStep(step)
		whole := b.Block()
		b.Lack()
		for _, c := range []struct {
			block   []byte
			partial bool
		}{{whole, false}, {b.Block(), true}} {
			merged, _, err := step.Merge(c.block)
			if err != nil {
				t.Fatal(err)
			}
			if partial, err := CheckBlock(merged); err != nil || partial != c.partial {
				t.Errorf("partial %t, error %v", partial, err)
			}
			again := BlockBuilder{}
			if err := again.AddBlock(merged); err != nil || again.Partial() != c.partial || again.Events() != 2 {
				t.Errorf("partial %t, %d events, error %v", again.Partial(), again.Events(), err)
			}
		}
		if _, _, err := step.Merge([]byte{}); !errors.Is(err, store.ErrDamaged) {
			t.Errorf("an empty block merges: %v", err)
		}
	}
}

// sealed puts the right checksum behind what is no block.
func sealed(b ...byte) []byte {
	return pack.Seal(b, 0)
}

func TestABlockThatNoFoldCanReadIsDamaged(t *testing.T) {
	rollup := RollupOf(store.Dashboard{Variables: []store.Variable{{Name: "x", Property: "x"}}}, store.Metric{Measure: store.Count})
	for name, block := range map[string][]byte{
		"nothing": nil, "no version": sealed(), "another version": sealed(9, 0), "an end too soon": sealed(blockVersion, 3),
		"bytes behind": sealed(blockVersion, 0, 0), "a group without a name": sealed(blockVersion, 1, 1, 200, 0, 1),
	} {
		if err := rollup.VerifyBlock(block); !errors.Is(err, store.ErrDamaged) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if err := rollup.VerifyBlock(groups{}.append(nil)); err != nil {
		t.Error(err)
	}
}
