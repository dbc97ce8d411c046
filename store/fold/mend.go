package fold

import (
	"slices"

	"pulseboard/store"
)

// A damaged block is made anew from others or from the events, see BlockBuilder. The time of
// events that are lost is a gap, which the widgets that lack them show.

// BlockBuilder makes a block from blocks and steps. The zero builder is empty.
type BlockBuilder struct {
	cells   groups
	partial bool
}

// AddBlock adds a block. The error is store.ErrDamaged when it can't be read, and then nothing
// is added. A block that is partial makes the built one partial.
func (b *BlockBuilder) AddBlock(block []byte) error {
	cells, err := readBlock(block)
	if err != nil {
		return err
	}
	b.add(cells)
	b.partial = b.partial || block[0] == partialVersion
	return nil
}

// AddStep adds a step, which stays as it is.
func (b *BlockBuilder) AddStep(s RollupStep) { b.add(s.cells) }

func (b *BlockBuilder) add(cells groups) {
	if b.cells == nil {
		b.cells = groups{}
	}
	b.cells.merge(cells)
}

// Lack makes the block a partial one: something is missing.
func (b *BlockBuilder) Lack() { b.partial = true }

// Partial reports whether something is missing.
func (b *BlockBuilder) Partial() bool { return b.partial }

// Events returns how many events are counted.
func (b *BlockBuilder) Events() (n int64) {
	for _, c := range b.cells {
		n += c.count
	}
	return n
}

// Block returns the block.
func (b *BlockBuilder) Block() []byte { return b.cells.appendBlock(nil, b.partial) }

// VerifyBlock reads a block of the rollup to its end. The error is store.ErrDamaged
// when no fold could read it.
func (r Rollup) VerifyBlock(block []byte) error {
	cells, err := readBlock(block)
	for name := range cells {
		if _, _, ok := r.split(name); !ok {
			return errBlock
		}
	}
	return err
}

// Gap is a span of time in which events are missing.
type Gap struct{ From, To int64 } // seconds since the epoch; To is not in it

// RollupsRead returns the rollups that the fold's widgets read, by key, also those of a
// window whose steps are too short for them.
func (f *Fold) RollupsRead() map[RollupKey]Rollup {
	all := map[RollupKey]Rollup{}
	for _, w := range f.widgets {
		if w.widget.Folds() {
			all[w.rollup.Key()] = w.rollup
		}
	}
	return all
}

// Lack tells the fold that events of a rollup are missing: the widgets that read it show so as long
// as the gap lies in their window.
func (f *Fold) Lack(key RollupKey, gap Gap) {
	for _, w := range f.readers(key) {
		w.gaps = append(w.gaps, gap)
		w.stale = true
	}
}

// lacks reports whether events are missing that the widget shows in a window.
func (w *widgetFold) lacks(window store.Window) bool {
	from := w.from(window)
	return slices.ContainsFunc(w.gaps, func(g Gap) bool { return g.From < window.To && g.To > from }) ||
		slices.ContainsFunc(w.refs, func(ref *widgetFold) bool { return ref.lacks(window) })
}
