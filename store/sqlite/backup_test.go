package sqlite

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"pulseboard/store"
)

func TestABackupMadeUnderLoadRestoresToOneMoment(t *testing.T) {
	dir, file := t.TempDir(), filepath.Join(t.TempDir(), "b a%20c#kup.db")
	s := openIn(t, dir, lockTimeout)
	acme := newTenant(t, s, "acme")
	record(t, s, acme, noon, event("order", "first", noon))
	var sending sync.WaitGroup
	stop := make(chan struct{})
	sending.Go(func() {
		for i := 0; ; i++ {
			select {
			case <-stop:
				return
			default:
				record(t, s, acme, noon, event("order", fmt.Sprint("a", i), noon), event("order", fmt.Sprint("b", i), noon))
			}
		}
	})
	err := s.Backup(t.Context(), file)
	close(stop)
	sending.Wait()
	if err != nil {
		t.Fatal(err)
	}
	if info, err := os.Stat(file); err != nil || info.Mode() != 0o600 {
		t.Errorf("the backup has mode %v, %v", info.Mode(), err)
	}
	if entries, _ := os.ReadDir(filepath.Dir(file)); len(entries) != 1 {
		t.Errorf("beside the backup there are %v", entries)
	}
	if err := s.Backup(t.Context(), file); !errors.Is(err, fs.ErrExist) {
		t.Errorf("over a backup: %v", err)
	}

	if _, err := Restore(t.Context(), dir, file); err == nil || !strings.Contains(err.Error(), "in use") {
		t.Errorf("while the store is open: %v", err)
	}
	all, _ := scanned(t, s, acme, store.Scan{})
	s.Close()
	kept, err := Restore(t.Context(), dir, file)
	if err != nil || kept == "" {
		t.Fatalf("kept as %q, %v", kept, err)
	}
	again := openIn(t, dir, lockTimeout)
	found, head := scanned(t, again, acme, store.Scan{})
	if len(found)%2 != 1 || len(found) > len(all) || int(head) != len(found) {
		t.Errorf("%d events up to %d are there of %d: pairs were torn", len(found), head, len(all))
	}
	if got := record(t, again, acme, noon, event("order", "first", noon)); !got[0] {
		t.Error("the ids are not there")
	}
	entries, _ := filepath.Glob(filepath.Join(dir, "*"))
	if len(entries) < 2 || !strings.HasPrefix(kept, filepath.Join(dir, File)+".replaced-") {
		t.Errorf("the folder has %v", entries)
	}
	if info, err := os.Stat(kept); err != nil || info.Size() == 0 {
		t.Errorf("what was there is lost: %v", err)
	}
}

func TestRestoreTakesSoundBackupsOnlyAndChangesNothingElse(t *testing.T) {
	dir, other := t.TempDir(), t.TempDir()
	s := openIn(t, dir, lockTimeout)
	acme := newTenant(t, s, "acme")
	for range 20 {
		record(t, s, acme, noon, store.Event{Name: "a", User: incompressible(20_000)})
	}
	backup := filepath.Join(other, "backup")
	if err := s.Backup(t.Context(), backup); err != nil {
		t.Fatal(err)
	}
	s.Close()
	before := contents(t, dir)
	sound, err := os.ReadFile(backup)
	if err != nil {
		t.Fatal(err)
	}
	for name, content := range map[string][]byte{
		"text":        []byte("these are my holiday pictures"),
		"empty":       nil,
		"cut":         sound[:len(sound)/2],
		"overwritten": append(bytes.Clone(sound[:len(sound)/2]), incompressible(len(sound)/2)...),
		"other's":     append([]byte(fileHeader), make([]byte, 5000)...),
	} {
		file := filepath.Join(other, "bad")
		if err := os.WriteFile(file, content, 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := Restore(t.Context(), dir, file); err == nil || !strings.Contains(err.Error(), "no backup") || strings.Contains(err.Error(), "\n") {
			t.Errorf("%s: error %v", name, err)
		}
		if !bytes.Equal(contents(t, dir), before) {
			t.Fatalf("%s: the database was changed", name)
		}
		if entries, _ := os.ReadDir(dir); len(entries) != 1 {
			t.Errorf("%s: other files were made: %v", name, entries)
		}
	}
	fresh := filepath.Join(t.TempDir(), "new")
	if kept, err := Restore(t.Context(), fresh, backup); err != nil || kept != "" {
		t.Fatal(kept, err)
	}
	if n, err := openIn(t, fresh, lockTimeout).EventCount(t.Context()); n != 20 || err != nil {
		t.Errorf("%d events are restored, %v", n, err)
	}
	if err := os.WriteFile(filepath.Join(dir, File), []byte("damaged"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := Restore(t.Context(), dir, backup); err != nil {
		t.Errorf("over a damaged one: %v", err)
	}
}
