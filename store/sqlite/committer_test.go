package sqlite

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"pulseboard/store"
)

// disk is a store that takes a second for each transaction, and says what was in it.
type disk struct {
	transactions [][]string
	bad          store.TenantID // whose batches can't be kept
}

func (d *disk) keep(ctx context.Context, take func() []*batch) error {
	var names []string
	batches := take()
	time.Sleep(time.Second)
	for _, b := range batches {
		if b.tenant == d.bad {
			return store.ErrNotFound
		}
		names = append(names, fmt.Sprint(b.tenant, ":", len(b.events)))
	}
	d.transactions = append(d.transactions, names)
	return nil
}

func ask(c *committer, tenant store.TenantID, events int) error {
	_, err := c.record(context.Background(), &batch{tenant: tenant, events: make([]store.Event, events)})
	return err
}

func TestBatchesThatComeTogetherShareATransactionAndTenantsTakeTurns(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := &disk{}
		c := newCommitter(time.Minute, d.keep)
		var all sync.WaitGroup
		go ask(c, 1, 1)
		synctest.Wait() // it is being kept while the others come
		for range 10 {
			all.Go(func() {
				if err := ask(c, 1, 4000); err != nil {
					t.Error(err)
				}
			})
		}
		synctest.Wait()
		began := time.Now()
		all.Go(func() {
			if err := ask(c, 2, 5); err != nil {
				t.Error(err)
			}
			if took := time.Since(began); took > 2*time.Second {
				t.Errorf("one who sends little waited %v behind one who sends much", took)
			}
		})
		all.Wait()
		c.close()
		if n := len(d.transactions); n < 5 || n > 7 {
			t.Errorf("%d transactions: %v", n, d.transactions)
		}
	})
}

func TestTooMuchIsRefusedAndOthersAreNot(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := &disk{}
		c := newCommitter(time.Minute, d.keep)
		go ask(c, 1, 1)
		synctest.Wait()
		for range maxWaiting / store.MaxBatch {
			go ask(c, 1, store.MaxBatch)
		}
		synctest.Wait()
		if err := ask(c, 1, 1); !errors.Is(err, store.ErrOverloaded) {
			t.Errorf("one too many: %v", err)
		}
		if err := ask(c, 2, 1); err != nil {
			t.Errorf("another tenant: %v", err)
		}
		c.close()
		if err := ask(c, 1, 1); err == nil {
			t.Error("a closed one keeps")
		}
	})
}

func TestABatchThatCannotBeKeptFailsAlone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := &disk{bad: 2}
		c := newCommitter(time.Minute, d.keep)
		go ask(c, 1, 1)
		synctest.Wait()
		var all sync.WaitGroup
		for tenant := range store.TenantID(4) {
			all.Go(func() {
				if err := ask(c, tenant, 1); (err != nil) != (tenant == d.bad) {
					t.Errorf("tenant %d: %v", tenant, err)
				}
			})
		}
		all.Wait()
		c.close()
	})
}

func TestABatchThatIsTakenBackIsNotKept(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := &disk{}
		c := newCommitter(time.Minute, d.keep)
		go ask(c, 1, 1)
		synctest.Wait()
		ctx, cancel := context.WithTimeout(t.Context(), time.Millisecond)
		defer cancel()
		if _, err := c.record(ctx, &batch{tenant: 1, events: make([]store.Event, 7)}); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("it ended with %v", err)
		}
		c.close()
		if got := fmt.Sprint(d.transactions); got != "[[1:1]]" {
			t.Errorf("kept %s", got)
		}
	})
}
