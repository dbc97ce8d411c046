package sqlite

import (
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"pulseboard/store"
)

// queueModel is what a committer's queue must do, in the plainest way: it holds the
// batches of each tenant, and how often every other tenant had a turn since a tenant
// began to wait for its own.
type queueModel struct {
	c       *committer
	waiting map[store.TenantID][]*batch
	passed  map[store.TenantID]map[store.TenantID]int
}

func (m *queueModel) add(t *rapid.T, b *batch) {
	if err := m.c.add(b); err != nil {
		t.Fatal(err)
	}
	if len(m.waiting[b.tenant]) == 0 {
		m.passed[b.tenant] = map[store.TenantID]int{}
	}
	m.waiting[b.tenant] = append(m.waiting[b.tenant], b)
}

// remove forgets a batch, which must be its tenant's first unless any may go.
func (m *queueModel) remove(t *rapid.T, b *batch, any bool) {
	queue := m.waiting[b.tenant]
	i := slices.Index(queue, b)
	if i < 0 || i > 0 && !any {
		t.Fatalf("tenant %d gets its batch %d of %d", b.tenant, i, len(queue))
	}
	if m.waiting[b.tenant] = slices.Delete(slices.Clone(queue), i, i+1); len(queue) == 1 {
		delete(m.waiting, b.tenant)
	}
}

// served notes a turn of a tenant: none that waits is passed twice by the same.
func (m *queueModel) served(t *rapid.T, b *batch) {
	m.remove(t, b, false)
	for tenant := range m.waiting {
		if tenant == b.tenant {
			continue
		}
		if m.passed[tenant][b.tenant]++; m.passed[tenant][b.tenant] > 1 {
			t.Fatalf("tenant %d has two turns while %d waits for one", b.tenant, tenant)
		}
	}
	m.passed[b.tenant] = map[store.TenantID]int{}
}

// check compares the queue with the model: each tenant that has a batch waiting stands in
// line once, and no other does.
func (m *queueModel) check(t *rapid.T) {
	all, tenants := 0, []store.TenantID{}
	for tenant, queue := range m.waiting {
		tenants = append(tenants, tenant)
		events := 0
		for _, b := range queue {
			events += len(b.events)
		}
		all += events
		if !slices.Equal(m.c.waiting[tenant], queue) || m.c.events[tenant] != events {
			t.Fatalf("tenant %d: %d batches of %d events wait, want %d of %d", tenant, len(m.c.waiting[tenant]), m.c.events[tenant], len(queue), events)
		}
	}
	line := slices.Sorted(slices.Values(m.c.turns))
	if slices.Sort(tenants); !slices.Equal(line, tenants) {
		t.Fatalf("in line stand %v, want %v", line, tenants)
	}
	if len(m.c.waiting) != len(m.waiting) || len(m.c.events) != len(m.waiting) || m.c.all != all {
		t.Fatalf("%d tenants and %d events wait, want %d and %d", len(m.c.waiting), m.c.all, len(m.waiting), all)
	}
}

func TestEachTenantStandsInLineOnce(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		m := &queueModel{&committer{waiting: map[store.TenantID][]*batch{}, events: map[store.TenantID]int{}}, map[store.TenantID][]*batch{}, map[store.TenantID]map[store.TenantID]int{}}
		now := time.Unix(0, 0)
		anyOf := func() (all []*batch) {
			for _, tenant := range slices.Sorted(slices.Values(m.c.turns)) {
				all = append(all, m.waiting[tenant]...)
			}
			return all
		}
		t.Repeat(map[string]func(*rapid.T){
			"add": func(t *rapid.T) {
				now = now.Add(time.Second)
				m.add(t, &batch{
					tenant: store.TenantID(rapid.IntRange(1, 4).Draw(t, "tenant")),
					events: make([]store.Event, rapid.SampledFrom([]int{1, 10, maxTogether / 2}).Draw(t, "events")),
					asked:  now,
				})
			},
			"take back": func(t *rapid.T) {
				all := anyOf()
				if len(all) == 0 {
					t.Skip("none waits")
				}
				b := all[rapid.IntRange(0, len(all)-1).Draw(t, "batch")]
				if !m.c.takeBack(b) {
					t.Fatal("a batch that waits is not taken back")
				}
				m.remove(t, b, true)
				if m.c.takeBack(b) {
					t.Fatal("a batch is taken back twice")
				}
			},
			"take": func(t *rapid.T) {
				batches := m.c.take()
				if len(batches) == 0 && len(m.waiting) > 0 {
					t.Fatal("none gets a turn")
				}
				for _, b := range batches {
					m.served(t, b)
				}
			},
			"expire": func(t *rapid.T) {
				before := now.Add(-time.Duration(rapid.IntRange(0, 8).Draw(t, "seconds")) * time.Second)
				for _, b := range m.c.expired(before) {
					if b.asked.After(before) {
						t.Fatal("a batch expires too soon")
					}
					m.remove(t, b, false)
				}
				for tenant, queue := range m.waiting {
					if !queue[0].asked.After(before) {
						t.Fatalf("a batch of tenant %d does not expire", tenant)
					}
				}
			},
			"": m.check,
		})
	})
}
