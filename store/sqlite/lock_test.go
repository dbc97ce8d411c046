package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"path/filepath"
	"reflect"
	"slices"
	"sync"
	"testing"
	"time"

	"pulseboard/store"
	"pulseboard/store/fold"
)

// at is a store with something of everything in it.
type at struct {
	t      *testing.T
	dir    string
	s      *Store
	tenant store.TenantID
	user   store.UserID
	key    string
	board  store.Dashboard
	view   store.View
}

func newAt(t *testing.T) *at {
	t.Helper()
	a := &at{t: t, dir: t.TempDir(), board: store.Dashboard{ID: "d", Title: "D", Widgets: []store.Widget{{Key: "n", Kind: store.Stat, Metric: store.Metric{Measure: store.Count}}}}}
	s, err := Open(t.Context(), a.dir)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	a.s, a.tenant = s, newTenant(t, s, "acme")
	a.user = newUser(t, s, a.tenant, "ann@example.com")
	r, err := store.ParseRange("now-30d", "now")
	if err != nil {
		t.Fatal(err)
	}
	a.view = store.View{Tenant: a.tenant, Dashboard: "d", Range: r}
	apply(t, s, a.tenant, a.board)
	record(t, s, a.tenant, noon, event("a", "1", noon), event("a", "2", noon))
	if a.key, err = s.CreateKey(t.Context(), a.tenant, "k"); err == nil {
		_, err = s.SigningSecret(t.Context(), a.tenant)
	}
	for _, do := range []func() error{
		func() error { return err },
		func() error { return s.DefineRollups(t.Context(), a.tenant) },
		func() error { _, err := s.FollowRollups(t.Context(), a.tenant); return err },
		func() error { _, err := s.ServerSecret(t.Context(), "cookie"); return err },
		func() error { return s.Sessions().Commit("session", []byte("x"), time.Now().Add(time.Hour)) },
	} {
		if err := do(); err != nil {
			t.Fatal(err)
		}
	}
	record(t, s, a.tenant, noon, event("a", "3", noon))
	return a
}

// storeReads are the methods of Store that write nothing, and what a session or a page
// reads besides.
var storeReads = map[string]func(context.Context, *at) error{
	"Backup":  func(ctx context.Context, a *at) error { return a.s.Backup(ctx, filepath.Join(a.t.TempDir(), "copy")) },
	"Cadence": func(ctx context.Context, a *at) error { _, err := a.s.Cadence(ctx, a.user); return err },
	"Credentials": func(ctx context.Context, a *at) error {
		_, err := a.s.Credentials(ctx, "ann@example.com", "")
		return err
	},
	"Dashboard":  func(ctx context.Context, a *at) error { _, err := a.s.Dashboard(ctx, a.tenant, "d"); return err },
	"Dashboards": func(ctx context.Context, a *at) error { _, err := a.s.Dashboards(ctx, a.tenant); return err },
	"EventCount": func(ctx context.Context, a *at) error { _, err := a.s.EventCount(ctx); return err },
	"Heads":      func(ctx context.Context, a *at) error { _, err := a.s.Heads(ctx); return err },
	"Holdings":   func(ctx context.Context, a *at) error { _, err := a.s.Holdings(ctx, a.tenant); return err },
	"LastEvent":  func(ctx context.Context, a *at) error { _, err := a.s.LastEvent(ctx, a.tenant); return err },
	"LiveSessions": func(ctx context.Context, a *at) error {
		_, err := a.s.LiveSessions(ctx, []string{"session"})
		return err
	},
	"LiveUsers": func(ctx context.Context, a *at) error {
		_, err := a.s.LiveUsers(ctx, []store.UserID{a.user})
		return err
	},
	"Ping":               func(ctx context.Context, a *at) error { return a.s.Ping(ctx) },
	"Retention":          func(ctx context.Context, a *at) error { _, err := a.s.Retention(ctx, a.tenant); return err },
	"RollupLag":          func(ctx context.Context, a *at) error { _, err := a.s.RollupLag(ctx); return err },
	"ServerSecret":       func(ctx context.Context, a *at) error { _, err := a.s.ServerSecret(ctx, "cookie"); return err },
	"SigningSecret":      func(ctx context.Context, a *at) error { _, err := a.s.SigningSecret(ctx, a.tenant); return err },
	"SigningSecretByKID": func(ctx context.Context, a *at) error { return orNotFound(second(a.s.SigningSecretByKID(ctx, "none"))) },
	"Size":               func(ctx context.Context, a *at) error { _, err := a.s.Size(ctx); return err },
	"Tenant":             func(ctx context.Context, a *at) error { _, err := a.s.Tenant(ctx, "acme"); return err },
	"TenantByID":         func(ctx context.Context, a *at) error { _, err := a.s.TenantByID(ctx, a.tenant); return err },
	"TenantByKey":        func(ctx context.Context, a *at) error { _, err := a.s.TenantByKey(ctx, a.key); return err },
	"Tenants":            func(ctx context.Context, a *at) error { _, err := a.s.Tenants(ctx); return err },
	"SignedInFrom": func(ctx context.Context, a *at) error {
		_, err := a.s.SignedInFrom(ctx, "ann@example.com", []byte("n"), noon)
		return err
	},
	"User":      func(ctx context.Context, a *at) error { _, err := a.s.User(ctx, a.user); return err },
	"ViewState": func(ctx context.Context, a *at) error { _, err := a.s.ViewState(ctx, a.tenant, "v"); return err },
	"EachEvent": func(ctx context.Context, a *at) error {
		return a.s.EachEvent(ctx, a.tenant, store.Scan{}, func(*store.Event) error { return nil })
	},
	"ScanEvents": func(ctx context.Context, a *at) error {
		_, err := a.s.ScanEvents(ctx, a.tenant, store.Scan{}, func(*store.Event) error { return nil })
		return err
	},
	"PropertyValues": func(ctx context.Context, a *at) error {
		_, err := a.s.PropertyValues(ctx, a.tenant, "event", time.Time{}, time.Time{}, 10)
		return err
	},
	"FoldView": func(ctx context.Context, a *at) error {
		window, err := a.view.Range.Window(noon)
		if err == nil {
			_, err = a.s.FoldView(ctx, a.tenant, fold.New(a.board, a.view, window), time.Time{})
		}
		return err
	},
	"Changes": func(ctx context.Context, a *at) error {
		ctx, stop := context.WithCancel(ctx)
		a.s.Changes(ctx, time.Hour, stop) // called once at the start
		return nil
	},
	"Sessions": func(_ context.Context, a *at) error { _, _, err := a.s.Sessions().Find("session"); return err },
	"opening": func(ctx context.Context, a *at) error {
		other, err := Open(ctx, a.dir)
		if err == nil {
			err = other.Close()
		}
		return err
	},
}

func second[T any](_ T, err error) error { return err }

func orNotFound(err error) error {
	if errors.Is(err, store.ErrNotFound) {
		return nil
	}
	return err
}

// storeWrites are the methods that write on behalf of a request.
var storeWrites = map[string]func(context.Context, *at) error{
	"RememberSignIn": func(ctx context.Context, a *at) error {
		return a.s.RememberSignIn(ctx, a.user, []byte("n"), noon)
	},
	"ApplyDashboards": func(ctx context.Context, a *at) error {
		return a.s.ApplyDashboards(ctx, a.tenant, []store.Dashboard{{ID: "e", Title: "E"}})
	},
	"CreateKey": func(ctx context.Context, a *at) error { _, err := a.s.CreateKey(ctx, a.tenant, "k"); return err },
	"CreateTenant": func(ctx context.Context, a *at) error {
		_, err := a.s.CreateTenant(ctx, "other", "", false)
		return err
	},
	"CreateUser": func(ctx context.Context, a *at) error {
		_, err := a.s.CreateUser(ctx, a.tenant, "bob@example.com", store.Viewer, "h")
		return err
	},
	"PruneViewStates": func(ctx context.Context, a *at) error { return a.s.PruneViewStates(ctx, noon) },
	"Record": func(ctx context.Context, a *at) error {
		_, err := a.s.Record(ctx, a.tenant, []store.Event{event("a", "", noon)}, noon)
		return err
	},
	"SaveViewState": func(ctx context.Context, a *at) error {
		return a.s.SaveViewState(ctx, a.tenant, "v", "owner", store.ViewState{})
	},
	"ServerSecret": func(ctx context.Context, a *at) error { _, err := a.s.ServerSecret(ctx, "new"); return err },
	"SetCadence":   func(ctx context.Context, a *at) error { return a.s.SetCadence(ctx, a.user, store.DefaultCadence) },
	"SetRetention": func(ctx context.Context, a *at) error { return a.s.SetRetention(ctx, a.tenant, store.DefaultRetention) },
	"commit of a session": func(_ context.Context, a *at) error {
		return a.s.Sessions().Commit("t", []byte("x"), time.Now().Add(time.Hour))
	},
	"end of a session": func(_ context.Context, a *at) error { return a.s.Sessions().Delete("session") },
}

// storeBackground are the methods that nobody waits for, and those that are no calls.
var storeBackground = []string{"Close", "DefineRollups", "FollowRollups", "Forget", "KeepRollups", "KeepTidy", "PruneCounters", "PruneSignIns", "Shrink", "Writer"}

// lockers hold a store as other programs do, until release.
var lockers = map[string]func(*testing.T, *at) (release func()){
	"a transaction that writes": func(t *testing.T, a *at) func() {
		return holdFor(t, a, "immediate", `INSERT INTO server_secrets (name, secret) VALUES ('x', x'00')`)
	},
	"an exclusive transaction": func(t *testing.T, a *at) func() { return holdFor(t, a, "exclusive", `DELETE FROM sessions`) },
	"a checkpoint that waits for readers": func(t *testing.T, a *at) func() {
		other := connectOther(t, a, "deferred")
		tx, err := other.Begin()
		if err != nil {
			t.Fatal(err)
		}
		var n int
		if err := tx.QueryRow(`SELECT count(*) FROM heads`).Scan(&n); err != nil {
			t.Fatal(err)
		}
		record(t, a.s, a.tenant, noon, event("a", "", noon)) // behind the reader, in the log
		checkpoint := make(chan struct{})
		go func() {
			defer close(checkpoint)
			var busy, log, done int
			if err := connectOther(t, a, "deferred").QueryRow(`PRAGMA wal_checkpoint(TRUNCATE)`).Scan(&busy, &log, &done); err != nil {
				t.Error(err)
			}
		}()
		for began := time.Now(); time.Since(began) < time.Minute; time.Sleep(time.Millisecond) {
			probe, err := sql.Open("sqlite3", "file:"+filepath.Join(a.dir, File)+"?_busy_timeout=0&_txlock=immediate")
			if err != nil {
				t.Fatal(err)
			}
			free, err := probe.Begin()
			if err == nil {
				free.Rollback()
			}
			if probe.Close(); err != nil {
				return func() { tx.Rollback(); <-checkpoint }
			}
		}
		t.Fatal("the checkpoint does not hold the store")
		return nil
	},
}

func connectOther(t *testing.T, a *at, kind string) *sql.DB {
	t.Helper()
	db, err := sql.Open("sqlite3", "file:"+filepath.Join(a.dir, File)+"?_busy_timeout=60000&_txlock="+kind)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { db.Close() })
	return db
}

func holdFor(t *testing.T, a *at, kind, statement string) (release func()) {
	t.Helper()
	tx, err := connectOther(t, a, kind).Begin()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := tx.Exec(statement); err != nil {
		t.Fatal(err)
	}
	return func() { tx.Rollback() }
}

func TestEachMethodIsOneThatReadsOrOneThatWrites(t *testing.T) {
	for method := range reflect.TypeFor[*Store]().Methods() {
		_, reads := storeReads[method.Name]
		_, writes := storeWrites[method.Name]
		if !reads && !writes && !slices.Contains(storeBackground, method.Name) {
			t.Errorf("%s is in none of storeReads, storeWrites and storeBackground: say what it does while another program writes", method.Name)
		}
	}
}

func TestReadingWaitsForNoWriterAndRequestsWriteWithinSeconds(t *testing.T) {
	if testing.Short() {
		t.Skip("takes seconds")
	}
	for name, lock := range lockers {
		t.Run(name, func(t *testing.T) {
			a := newAt(t)
			release := lock(t, a)
			for name, read := range storeReads {
				began := time.Now()
				if err := read(t.Context(), a); err != nil {
					t.Errorf("%s: %v", name, err)
				}
				if took := time.Since(began); took > requestWait {
					t.Errorf("%s took %v", name, took)
				}
			}
			var writing sync.WaitGroup // all at once, and those behind others wait no longer
			for name, write := range storeWrites {
				writing.Go(func() {
					began := time.Now()
					if err := write(t.Context(), a); !errors.Is(err, store.ErrBusy) {
						t.Errorf("%s: error %v", name, err)
					}
					if took := time.Since(began); took < requestWait-100*time.Millisecond || took > 5*time.Second {
						t.Errorf("%s gave up after %v", name, took)
					}
				})
			}
			writing.Wait()
			release()
			for name, write := range storeWrites {
				if err := write(t.Context(), a); err != nil {
					t.Errorf("%s after the lock: %v", name, err)
				}
			}
		})
	}
}

// TestShortReadsWaitForNoLongOnes holds as many scans as there are at once: a page, and the
// sweep that ends streams, ask whether sessions live and are answered.
func TestShortReadsWaitForNoLongOnes(t *testing.T) {
	a := newAt(t)
	scanning, release := make(chan struct{}), make(chan struct{})
	var scans sync.WaitGroup
	for range scanPool.connections {
		scans.Go(func() {
			once := false
			_, err := a.s.ScanEvents(t.Context(), a.tenant, store.Scan{}, func(*store.Event) error {
				if !once {
					once = true
					scanning <- struct{}{}
					<-release
				}
				return nil
			})
			if err != nil {
				t.Error(err)
			}
		})
	}
	for range scanPool.connections {
		<-scanning
	}
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	for _, name := range []string{"LiveSessions", "LiveUsers", "User", "TenantByID", "TenantByKey", "Cadence", "Dashboard", "Dashboards", "Heads", "Ping", "SigningSecretByKID", "ViewState"} {
		if err := storeReads[name](ctx, a); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	close(release)
	scans.Wait()
}
