package sqlite

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/binary"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/bits-and-blooms/bloom/v3"
	"github.com/jmoiron/sqlx"

	"pulseboard/store"
)

const (
	// generationIDs is how many ids a generation has, about, and generationSpan how
	// long after its first it takes others.
	generationIDs  = 1 << 17
	generationSpan = 6 * time.Hour
	// A generation's filter takes filterBits for an id; with filterHashes of them one
	// id in some 300 that it does not have looks as if it had. maxFilters bounds the
	// memory of all, to some 50 MB.
	filterBits   = 12
	filterHashes = 8
	maxFilters   = 256
	// reloadEvery is how often the filter of the newest generation is read anew while
	// other processes add to it.
	reloadEvery = 10 * time.Second
	// idsTogether is how many ids are inserted by one statement.
	idsTogether = 40
)

const (
	insertID = `INSERT OR IGNORE INTO event_ids (generation, tenant_id, hash, time, received) VALUES `
	findID   = `SELECT time, received FROM event_ids WHERE generation = ? AND tenant_id = ? AND hash = ?`
)

const idValues = "(?, ?, ?, ?, ?)"

var insertIDs = insertID + strings.Repeat(idValues+", ", idsTogether-1) + idValues

// idHash is what events of one name and id have in common. No two others of a tenant
// that came in together have it by chance, as good as ever: of a thousand million in
// two days, one in fifty such times.
func idHash(e *store.Event) int64 {
	b := make([]byte, 0, 128)
	b = append(b, e.Name...)
	b = append(b, 0) // a name has no control characters, so pairs stay apart
	b = append(b, e.ID...)
	sum := sha256.Sum256(b)
	return int64(binary.BigEndian.Uint64(sum[:]))
}

// generation is some ids that came in one after the other.
type generation struct {
	ID            int64
	IDs           int64 `db:"ids"`
	FirstTime     int64 `db:"first_time"`
	LastTime      int64 `db:"last_time"`
	FirstReceived int64 `db:"first_received"`
	LastReceived  int64 `db:"last_received"`
	BaseTime      int64 `db:"base_time"`
	BaseReceived  int64 `db:"base_received"`
}

// filter says of most ids that a generation does not have them that it does not.
type filter struct {
	*bloom.BloomFilter
	covered int64 // ids that it knows; of a generation with others it says nothing
	loaded  time.Time
}

// ids tells duplicates. What it knows in memory only saves it from looking; what
// counts is on disk. It belongs to whoever holds the write lock of the store.
type ids struct {
	filters map[int64]*filter // by generation
}

// idKey names an id among those of all tenants.
type idKey struct {
	tenant store.TenantID
	hash   int64
}

func (k idKey) bytes() []byte {
	b := binary.LittleEndian.AppendUint64(make([]byte, 0, 16), uint64(k.hash))
	return binary.LittleEndian.AppendUint64(b, uint64(k.tenant))
}

// idSeen is when an event with an id happened and came in, µs since the epoch.
type idSeen struct{ time, received int64 }

// idStatements are what a transaction does with ids.
type idStatements struct {
	find, insert *sqlx.Stmt
	insertMany   *sqlx.Stmt // idsTogether
}

func prepareIDs(ctx context.Context, db sqlx.PreparerContext) (do idStatements, err error) {
	for text, statement := range map[string]**sqlx.Stmt{findID: &do.find, insertID + idValues: &do.insert, insertIDs: &do.insertMany} {
		if *statement, err = sqlx.PreparexContext(ctx, db, text); err != nil {
			return do, err
		}
	}
	return do, nil
}

func (do idStatements) within(ctx context.Context, tx *sqlx.Tx) idStatements {
	return idStatements{tx.StmtxContext(ctx, do.find), tx.StmtxContext(ctx, do.insert), tx.StmtxContext(ctx, do.insertMany)}
}

func (do idStatements) close() {
	for _, s := range []*sqlx.Stmt{do.find, do.insert, do.insertMany} {
		s.Close()
	}
}

// idTransaction is the ids of one transaction.
type idTransaction struct {
	ctx         context.Context
	ids         *ids
	tx          *sqlx.Tx
	do          idStatements
	generations []generation
	loaded      bool // a filter was read in this transaction; others have to wait
	added       map[idKey][]idSeen
	to          int64 // generation that added went to
}

// begin reads which generations there are.
func (x *ids) begin(ctx context.Context, tx *sqlx.Tx, do idStatements) (*idTransaction, error) {
	t := &idTransaction{ctx: ctx, ids: x, tx: tx, do: do, added: map[idKey][]idSeen{}}
	if err := tx.SelectContext(ctx, &t.generations, `SELECT * FROM generations ORDER BY id`); err != nil {
		return nil, err
	}
	known := make(map[int64]*filter, len(t.generations))
	for _, g := range t.generations {
		if f := x.filters[g.ID]; f != nil {
			known[g.ID] = f
		}
	}
	x.filters = known
	return t, nil
}

// duplicate says whether an event with an id was kept before: one of its name and id
// and, if given, its time, or one that came in within store.DuplicateSpan before
// received. If not, it remembers the event.
func (t *idTransaction) duplicate(tenant store.TenantID, e *store.Event, received time.Time, given bool) (bool, error) {
	key := idKey{tenant, idHash(e)}
	is := idSeen{e.Time.UnixMicro(), received.UnixMicro()}
	since := received.Add(-store.DuplicateSpan).UnixMicro()
	same := func(was idSeen) bool { return given && was.time == is.time || was.received >= since }
	if slices.ContainsFunc(t.added[key], same) {
		return true, nil
	}
	locations := bloom.Locations(key.bytes(), filterHashes)
	for i := len(t.generations) - 1; i >= 0; i-- {
		g := &t.generations[i]
		recent := g.LastReceived >= since
		if !recent && !(given && g.FirstTime <= is.time && is.time <= g.LastTime) {
			continue
		}
		f, err := t.filterOf(g, recent)
		if err != nil {
			return false, err
		}
		if f != nil && !f.TestLocations(locations) {
			continue
		}
		seen, err := t.seen(g, key)
		if err != nil {
			return false, err
		}
		if slices.ContainsFunc(seen, same) {
			return true, nil
		}
	}
	t.added[key] = append(t.added[key], is)
	return false, nil
}

// seen looks an id up in a generation.
func (t *idTransaction) seen(g *generation, key idKey) (seen []idSeen, err error) {
	rows, err := t.do.find.QueryContext(t.ctx, g.ID, int64(key.tenant), key.hash)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	for rows.Next() {
		var s idSeen
		if err := rows.Scan(&s.time, &s.received); err != nil {
			return nil, err
		}
		seen = append(seen, idSeen{s.time + g.BaseTime, s.received + g.BaseReceived})
	}
	return seen, rows.Err()
}

// filterOf gives the filter of a generation, nil when there is none that knows all its
// ids. Those of recent generations are read when they are missing, one a transaction.
func (t *idTransaction) filterOf(g *generation, recent bool) (*filter, error) {
	f := t.ids.filters[g.ID]
	switch {
	case f != nil && f.covered == g.IDs:
		return f, nil
	case !recent, t.loaded, f == nil && len(t.ids.filters) >= maxFilters, f != nil && time.Since(f.loaded) < reloadEvery:
		return nil, nil
	}
	t.loaded = true
	f = newFilter(g.IDs)
	rows, err := t.tx.QueryContext(t.ctx, `SELECT tenant_id, hash FROM event_ids WHERE generation = ?`, g.ID)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	for rows.Next() {
		var key idKey
		if err := rows.Scan(&key.tenant, &key.hash); err != nil {
			return nil, err
		}
		f.Add(key.bytes())
	}
	f.covered = g.IDs
	t.ids.filters[g.ID] = f
	return f, rows.Err()
}

func newFilter(ids int64) *filter {
	return &filter{BloomFilter: bloom.New(filterBits*uint(max(generationIDs, ids)), filterHashes), loaded: time.Now()}
}

// save keeps the ids that were added.
func (t *idTransaction) save() error {
	type row struct {
		idKey
		idSeen
	}
	var rows []row
	span := generation{FirstTime: math.MaxInt64, LastTime: math.MinInt64, FirstReceived: math.MaxInt64, LastReceived: math.MinInt64}
	for key, all := range t.added {
		for _, seen := range all {
			rows = append(rows, row{key, seen})
			span.FirstTime, span.LastTime = min(span.FirstTime, seen.time), max(span.LastTime, seen.time)
			span.FirstReceived, span.LastReceived = min(span.FirstReceived, seen.received), max(span.LastReceived, seen.received)
		}
	}
	if len(rows) == 0 {
		return nil
	}
	g, err := t.extend(span, int64(len(rows)))
	if err != nil {
		return err
	}
	t.to = g.ID
	// In the order of the tree, for neighbours share its pages.
	slices.SortFunc(rows, func(a, b row) int {
		return cmp.Or(cmp.Compare(a.tenant, b.tenant), cmp.Compare(a.hash, b.hash), cmp.Compare(a.time, b.time))
	})
	values := make([]any, 0, 5*idsTogether)
	for i, r := range rows {
		values = append(values, g.ID, int64(r.tenant), r.hash, r.time-g.BaseTime, r.received-g.BaseReceived)
		var err error
		switch {
		case len(values) == 5*idsTogether:
			_, err = t.do.insertMany.ExecContext(t.ctx, values...)
			values = values[:0]
		case i >= len(rows)/idsTogether*idsTogether:
			_, err = t.do.insert.ExecContext(t.ctx, values...)
			values = values[:0]
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// extend gives the generation that so many ids go to, whose span is made to hold theirs:
// the newest one or, when that is full or old, a new one.
func (t *idTransaction) extend(span generation, n int64) (generation, error) {
	if len(t.generations) > 0 {
		g := t.generations[len(t.generations)-1]
		if g.IDs < generationIDs && span.LastReceived-g.BaseReceived < generationSpan.Microseconds() {
			_, err := t.tx.ExecContext(t.ctx, `UPDATE generations SET ids = ids + ?, first_time = min(first_time, ?), last_time = max(last_time, ?),
				first_received = min(first_received, ?), last_received = max(last_received, ?) WHERE id = ?`,
				n, span.FirstTime, span.LastTime, span.FirstReceived, span.LastReceived, g.ID)
			return g, err
		}
	}
	g := span
	g.BaseTime, g.BaseReceived = span.FirstTime, span.FirstReceived
	err := t.tx.GetContext(t.ctx, &g.ID, `INSERT INTO generations (ids, first_time, last_time, first_received, last_received, base_time, base_received)
		VALUES (?, ?, ?, ?, ?, ?, ?) RETURNING id`, n, g.FirstTime, g.LastTime, g.FirstReceived, g.LastReceived, g.BaseTime, g.BaseReceived)
	t.generations = append(t.generations, g) // with no ids yet, as for the others here
	return g, err
}

// committed lets the filter know what was added. Before the commit it must not.
func (t *idTransaction) committed() {
	if t.to == 0 {
		return
	}
	n := int64(0)
	f := t.ids.filters[t.to]
	if f == nil && len(t.ids.filters) < maxFilters {
		f = newFilter(0)
		t.ids.filters[t.to] = f
	}
	if f == nil {
		return
	}
	for key, all := range t.added {
		f.Add(key.bytes())
		n += int64(len(all))
	}
	f.covered += n
}
