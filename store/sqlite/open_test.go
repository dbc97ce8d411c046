package sqlite

import (
	"bytes"
	"context"
	"database/sql"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"pulseboard/store"
)

// openerDir, when set, makes this program one of those that open a store at the
// same time.
const openerDir = "PULSEBOARD_TEST_OPEN"

func TestMain(m *testing.M) {
	dir := os.Getenv(openerDir)
	if dir == "" {
		os.Exit(m.Run())
	}
	s, err := Open(context.Background(), dir)
	if err == nil {
		_, err = s.CreateTenant(context.Background(), store.Slug(os.Args[len(os.Args)-1]), "", false)
		s.Close()
	}
	if err != nil {
		os.Stderr.WriteString(err.Error())
		os.Exit(1)
	}
}

func TestOpenMakesAFolderForItsOwnerOnly(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "a", "data 100% #1?")
	s := openIn(t, dir, lockTimeout)
	newTenant(t, s, "acme")
	for path, want := range map[string]os.FileMode{
		dir:                              0o700 | os.ModeDir,
		filepath.Join(dir, File):         0o600,
		filepath.Join(dir, File+"-wal"):  0o600,
		filepath.Join(dir, "..", "data"): 0,
	} {
		info, err := os.Stat(path)
		if want == 0 {
			if err == nil {
				t.Errorf("%s was made", path)
			}
			continue
		}
		if err != nil {
			t.Fatal(err)
		}
		if info.Mode() != want {
			t.Errorf("%s has mode %v, not %v", path, info.Mode(), want)
		}
	}
	if err := s.Ping(t.Context()); err != nil {
		t.Error(err)
	}
	if size, err := s.Size(t.Context()); err != nil || size < 4096 {
		t.Errorf("size %d, error %v", size, err)
	}
}

func TestOpenKeepsItsPromiseOfDurability(t *testing.T) {
	s := newStore(t)
	all := kinds(s)
	all["writer"], all["reader"] = s.writer, s.reader
	for name, db := range all {
		for pragma, want := range map[string]string{"journal_mode": "wal", "synchronous": "2", "foreign_keys": "1"} {
			var got string
			if err := db.Get(&got, "PRAGMA "+pragma); err != nil || got != want {
				t.Errorf("%s of the %s is %q, error %v", pragma, name, got, err)
			}
		}
	}
	delete(all, "writer")
	for name, db := range all {
		if _, err := db.Exec(`DELETE FROM tenants`); err == nil {
			t.Errorf("a reader of %s can write", name)
		}
	}
}

func TestManyProcessesOpenANewStoreAtOnce(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "data")
	slugs := []string{"a", "b", "c", "d", "e"}
	opened := make(chan string)
	for _, slug := range slugs {
		go func() {
			command := exec.Command(os.Args[0], slug)
			command.Env = append(os.Environ(), openerDir+"="+dir)
			if output, err := command.CombinedOutput(); err != nil {
				opened <- err.Error() + ": " + string(output)
				return
			}
			opened <- ""
		}()
	}
	for range slugs {
		if failure := <-opened; failure != "" {
			t.Error(failure)
		}
	}
	s := openIn(t, dir, lockTimeout)
	if tenants, err := s.Tenants(t.Context()); err != nil || len(tenants) != len(slugs) {
		t.Errorf("tenants %v, error %v", tenants, err)
	}
	var twice int
	if err := s.reader.Get(&twice, `SELECT count(*) - count(DISTINCT version_id) FROM goose_db_version`); err != nil || twice != 0 {
		t.Errorf("%d steps were made twice, error %v", twice, err)
	}
}

func TestOpenRefusesANewerDatabaseAndLeavesIt(t *testing.T) {
	dir := t.TempDir()
	s := openIn(t, dir, lockTimeout)
	if _, err := s.writer.Exec(`INSERT INTO goose_db_version (version_id, is_applied) VALUES (99999, 1)`); err != nil {
		t.Fatal(err)
	}
	s.Close()
	before := contents(t, dir)
	refused(t, dir, "newer pulseboard")
	if !bytes.Equal(before, contents(t, dir)) {
		t.Error("the file was changed")
	}
}

func TestOpenLeavesADamagedFileAsItIs(t *testing.T) {
	for name, content := range map[string]string{
		"no database":     strings.Repeat("these are my holiday pictures ", 500),
		"short":           "x",
		"nothing in it":   fileHeader + strings.Repeat("\xff", 8000),
		"cut in a header": fileHeader[:9],
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			if err := os.WriteFile(filepath.Join(dir, File), []byte(content), 0o600); err != nil {
				t.Fatal(err)
			}
			refused(t, dir, "damaged")
			if string(contents(t, dir)) != content {
				t.Error("the file was changed")
			}
			if entries, _ := os.ReadDir(dir); len(entries) != 1 {
				t.Errorf("other files were made: %v", entries)
			}
		})
	}
}

func TestOpenRefusesAStoreThatLostAPartOfItself(t *testing.T) {
	dir := t.TempDir()
	s := openIn(t, dir, lockTimeout)
	acme := newTenant(t, s, "acme")
	for range 20 {
		record(t, s, acme, noon, store.Event{Name: "a", User: incompressible(20_000)})
	}
	s.Close()
	whole := contents(t, dir)
	for name, damage := range map[string]func([]byte) []byte{
		"cut":         func(b []byte) []byte { return b[:len(b)/2] },
		"overwritten": func(b []byte) []byte { copy(b[len(b)/2:], incompressible(len(b)/3)); return b },
	} {
		t.Run(name, func(t *testing.T) {
			broken := damage(bytes.Clone(whole))
			if err := os.WriteFile(filepath.Join(dir, File), broken, 0o600); err != nil {
				t.Fatal(err)
			}
			refused(t, dir, "damaged")
			if !bytes.Equal(contents(t, dir), broken) {
				t.Error("the file was changed")
			}
		})
	}
}

func TestOpenSaysWhatToDoAboutAFolder(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	refused(t, file, "--data")
	refused(t, filepath.Join(file, "data"), "--data")
	if err := os.MkdirAll(filepath.Join(dir, "taken", File), 0o700); err != nil {
		t.Fatal(err)
	}
	refused(t, filepath.Join(dir, "taken"), "--data")
	if os.Getuid() == 0 {
		t.Log("rights can't be tested as root")
		return
	}
	locked := filepath.Join(dir, "locked")
	if err := os.Mkdir(locked, 0o500); err != nil {
		t.Fatal(err)
	}
	refused(t, locked, "--data")
}

func TestOpenNeedsNoLockOnceTheTablesAreThere(t *testing.T) {
	dir := t.TempDir()
	release := holdLock(t, dir)
	defer release()
	openIn(t, dir, 50*time.Millisecond)
}

func TestOpenGivesUpOnANewFileThatIsHeld(t *testing.T) {
	dir := t.TempDir()
	holder, err := sql.Open("sqlite3", filepath.Join(dir, File)+"?_txlock=exclusive")
	if err != nil {
		t.Fatal(err)
	}
	defer holder.Close()
	tx, err := holder.Begin()
	if err != nil {
		t.Fatal(err)
	}
	s, err := open(t.Context(), dir, waits{100 * time.Millisecond, 100 * time.Millisecond})
	if err == nil {
		s.Close()
	}
	if !errors.Is(err, store.ErrBusy) || !strings.Contains(err.Error(), "another program") {
		t.Errorf("error %v", err)
	}
	if err := tx.Rollback(); err != nil {
		t.Fatal(err)
	}
	openIn(t, dir, lockTimeout)
}

// refused checks that a folder can't be opened, and that one line says why.
func refused(t *testing.T, dir, advice string) {
	t.Helper()
	s, err := Open(t.Context(), dir)
	if err == nil {
		s.Close()
		t.Fatal("it was opened")
	}
	if text := err.Error(); !strings.Contains(text, advice) || strings.Contains(text, "\n") {
		t.Errorf("the error is %q and should be a line with %q", text, advice)
	}
}

func contents(t *testing.T, dir string) []byte {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(dir, File))
	if err != nil {
		t.Fatal(err)
	}
	return b
}
