package stream

import (
	"context"
	"strconv"
	"time"

	"pulseboard/store"
	"pulseboard/stream/turns"
)

// buildsAtOnce is how many views are read from the beginning at the same time. A few are
// enough to use the machine, and each takes memory that is not a view's yet.
const buildsAtOnce = 4

// enterBuild waits until a view may be read from the beginning, which may take seconds. leave
// ends that. What the hub refreshes by itself, for those who watch already, has no key and does
// not wait.
func (h *Hub) enterBuild(ctx context.Context, tenant store.TenantID, key QuotaKey) (leave func(), err error) {
	if key == "" {
		return func() {}, nil
	}
	return h.builds.Enter(ctx, turns.Member{Group: strconv.FormatInt(int64(tenant), 10), Name: string(key)})
}

// giveWay returns a function for one build to call now and then. It waits as long as screens are
// being brought up to date, so that whoever watches gets updates as soon as if nobody looked at
// anything new. In all it waits no longer than the build works.
func (h *Hub) giveWay() func() {
	began, waited := time.Now(), time.Duration(0)
	return func() {
		for h.busy() && waited < time.Since(began)-waited {
			time.Sleep(time.Millisecond)
			waited += time.Millisecond
		}
	}
}

// busy reports whether screens are being brought up to date.
func (h *Hub) busy() bool {
	return h.urgent.Load() > 0 || h.writers != nil && h.writers.Writing()
}
