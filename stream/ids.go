package stream

import (
	"crypto/rand"
	"encoding/binary"
	"fmt"
	"time"

	"pulseboard/store"
)

// epochBits is the part of an id that names the history it is from.
const epochBits = 12

// nextSeq gives the id after state.Last: the clock in ms, or one more than the
// last id had where the clock stands still or went back, followed by the view's
// epoch. The epoch is drawn at random once for a view, so that an id of another
// view or of a lost history is taken for one of this view's own in one of 4,096
// cases only. Ids stay below 2^53 until the year 2039, so that a client in
// JavaScript may compare them.
func nextSeq(state store.ViewState, now time.Time) (seq store.Seq, epoch int64, err error) {
	epoch = state.Epoch
	if state.First == 0 {
		var random [8]byte
		if _, err := rand.Read(random[:]); err != nil {
			return 0, 0, fmt.Errorf("draw an epoch: %w", err)
		}
		epoch = int64(binary.LittleEndian.Uint64(random[:]) & (1<<epochBits - 1))
	}
	tick := max(int64(state.Last>>epochBits)+1, now.UnixMilli())
	return store.Seq(tick<<epochBits | epoch), epoch, nil
}

// trusts says whether a cursor is an id that the view issued, as far as can be known.
func trusts(state store.ViewState, cursor store.Seq) bool {
	return state.First != 0 && cursor >= state.First && cursor <= state.Last &&
		int64(cursor)&(1<<epochBits-1) == state.Epoch
}

// resume gives the state that a reader with this cursor has, 0 for none.
func (r *rendition) resume(cursor string) store.Seq {
	if seq, ok := store.ParseSeq(cursor); ok && trusts(r.state, seq) {
		return seq
	}
	return 0
}
