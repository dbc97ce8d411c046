package stream

import (
	"crypto/rand"
	"encoding/binary"
	"fmt"
	"slices"
	"time"

	"pulseboard/store"
)

// epochBits is the part of an id that names the history it is from.
const epochBits = 12

// nextSeq returns the id after last: the clock in ms, or one more than the last id had where
// the clock stands still or went back, followed by an epoch. An epoch is drawn at random
// once for a history, so that an id of another view or of a lost history is taken for one of
// this history in one of 4,096 cases only. Ids stay below 2^53 until the year 2039, so that a
// client in JavaScript may compare them.
func nextSeq(last store.Seq, epoch int64, now time.Time) store.Seq {
	tick := max(int64(last>>epochBits)+1, now.UnixMilli())
	return store.Seq(tick<<epochBits | epoch)
}

// drawEpoch returns an epoch that is another than taken.
func drawEpoch(taken int64) (int64, error) {
	for {
		var random [8]byte
		if _, err := rand.Read(random[:]); err != nil {
			return 0, fmt.Errorf("draw an epoch: %w", err)
		}
		if epoch := int64(binary.LittleEndian.Uint64(random[:]) & (1<<epochBits - 1)); epoch != taken {
			return epoch, nil
		}
	}
}

// maxLoose is how many ranges of loose ids a view remembers. A reader whose cursor is in none
// of them gets a snapshot.
const maxLoose = 8

// loosen adds a loose id to the ranges of a state. The ranges of the state it came from stay
// as they are.
func loosen(ranges []store.IDRange, seq store.Seq, epoch int64) []store.IDRange {
	ranges = slices.Clone(ranges)
	if n := len(ranges); n > 0 && ranges[n-1].Epoch == epoch {
		ranges[n-1].Last = seq
		return ranges
	}
	ranges = append(ranges, store.IDRange{Epoch: epoch, First: seq, Last: seq})
	return ranges[max(0, len(ranges)-maxLoose):]
}

// trusts reports whether a cursor is an id that the view issued, as far as can be known.
func trusts(state store.ViewState, cursor store.Seq) bool {
	within := func(r store.IDRange) bool {
		return cursor >= r.First && cursor <= r.Last && int64(cursor)&(1<<epochBits-1) == r.Epoch
	}
	return state.First != 0 && within(store.IDRange{Epoch: state.Epoch, First: state.First, Last: state.Last}) ||
		slices.ContainsFunc(state.Loose, within)
}

// resume gives the state that a reader with this cursor has, 0 for none.
func (r *rendition) resume(cursor string) store.Seq {
	if seq, ok := store.ParseSeq(cursor); ok && trusts(r.state, seq) {
		return seq
	}
	return 0
}
