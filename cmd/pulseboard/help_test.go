package main

import (
	"io"
	"log/slog"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/alecthomas/kong"
	"github.com/prometheus/client_golang/prometheus"

	"pulseboard/store"
	"pulseboard/store/boardfile"
	"pulseboard/store/sqlite"
)

// manual is the README and the topics by name.
func manual(t *testing.T) map[string]string {
	t.Helper()
	readme, err := os.ReadFile("../../README.md")
	if err != nil {
		t.Fatal(err)
	}
	texts := map[string]string{"README": string(readme)}
	topics, err := readTopics()
	if err != nil {
		t.Fatal(err)
	}
	for _, topic := range topics {
		texts[topic.name] = topic.text
	}
	return texts
}

func commandTree(t *testing.T) *kong.Application {
	t.Helper()
	parser, err := kong.New(&cli{}, kong.Name("pulseboard"))
	if err != nil {
		t.Fatal(err)
	}
	return parser.Model
}

// words are the parts of a text that match, sorted, each once.
func words(pattern, text string) []string {
	found := regexp.MustCompile(pattern).FindAllString(text, -1)
	slices.Sort(found)
	return slices.Compact(found)
}

const flagPattern = `--[a-z][a-z-]+\b`

func TestTheManualNamesTheFlagsThatThereAre(t *testing.T) {
	t.Parallel()
	texts := manual(t)
	operations := words(flagPattern, texts["operations"])
	known := map[string]bool{"--help": true}
	for _, command := range commandTree(t).Leaves(false) {
		for _, group := range command.AllFlags(false) {
			for _, flag := range group {
				name := "--" + flag.Name
				known[name] = true
				if command.FullPath() == "pulseboard serve" && name != "--help" && !slices.Contains(operations, name) {
					t.Errorf("help operations lacks the flag %s of serve", name)
				}
			}
		}
	}
	if len(known) < 20 {
		t.Fatalf("only %d flags were found", len(known))
	}
	for name, text := range texts {
		for _, flag := range words(flagPattern, text) {
			if !known[flag] {
				t.Errorf("%s names the flag %s, which no command has", name, flag)
			}
		}
	}
}

func TestTheManualNamesEveryCommand(t *testing.T) {
	t.Parallel()
	var all strings.Builder
	for _, text := range manual(t) {
		all.WriteString(text)
	}
	commands := commandTree(t).Leaves(false)
	if len(commands) < 10 {
		t.Fatalf("only %d commands were found", len(commands))
	}
	for _, command := range commands {
		path := strings.TrimPrefix(command.FullPath(), "pulseboard ")
		if !regexp.MustCompile(`(?m)(^ +|pulseboard |` + "`" + `)` + path + `\b`).MatchString(all.String()) {
			t.Errorf("neither the README nor a topic names the command %q", path)
		}
	}
}

func TestTheManualNamesTheMetricsThatThereAre(t *testing.T) {
	t.Parallel()
	log := slog.New(slog.DiscardHandler)
	st, err := sqlite.Open(t.Context(), t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	defer st.Close()
	var flags cli
	parser, err := kong.New(&flags)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := parser.Parse([]string{"serve"}); err != nil {
		t.Fatal(err)
	}
	_, registry, err := flags.Serve.server(t.Context(), st, log)
	if err != nil {
		t.Fatal(err)
	}
	registered := registeredMetrics(registry)
	if len(registered) < 15 {
		t.Fatalf("only these metrics are registered: %q", registered)
	}
	const pattern = `\bpulseboard_[a-z_]+`
	texts := manual(t)
	named := words(pattern, texts["operations"])
	for _, metric := range registered {
		if !slices.Contains(named, metric) {
			t.Errorf("help operations lacks the metric %s", metric)
		}
	}
	for name, text := range texts {
		for _, metric := range words(pattern, text) {
			if !slices.Contains(registered, metric) {
				t.Errorf("%s names the metric %s, which the server does not have", name, metric)
			}
		}
	}
}

// registeredMetrics returns the names of the product's metrics, with a number in them yet
// or not.
func registeredMetrics(registry *prometheus.Registry) []string {
	descs := make(chan *prometheus.Desc)
	go func() {
		defer close(descs)
		registry.Describe(descs)
	}()
	var all strings.Builder
	for desc := range descs {
		all.WriteString(desc.String())
	}
	return words(`\bpulseboard_[a-z_]+`, strings.Join(words(`fqName: "[^"]*"`, all.String()), " "))
}

func TestHelpPrintsTopicsAndTheirList(t *testing.T) {
	t.Parallel()
	s := &site{t: t, dir: t.TempDir()}
	list := s.command("", "help")
	for name, text := range manual(t) {
		if name == "README" {
			continue
		}
		if got, _, code := s.try("", "help", name); code != 0 || got != text {
			t.Errorf("help %s: exit %d, and %d bytes instead of %d", name, code, len(got), len(text))
		}
		title, _, _ := strings.Cut(text, "\n")
		about := strings.TrimPrefix(title, "# "+name+": ")
		if !regexp.MustCompile(`(?m)^ +` + name + ` +` + regexp.QuoteMeta(about) + `$`).MatchString(list) {
			t.Errorf("the list of topics lacks %q:\n%s", name, list)
		}
	}
	stdout, stderr, code := s.try("", "help", "nothing")
	if code != exitUsage || stdout != "" || !strings.Contains(stderr, "use dashboards, embeds, formats, operations, senders or stream") {
		t.Errorf("an unknown topic: exit %d, stdout %q, stderr %q", code, stdout, stderr)
	}
	if entries, err := os.ReadDir(s.dir); err != nil || len(entries) != 0 {
		t.Errorf("help left %v in the data folder (%v)", entries, err)
	}
}

func TestTheReadmeIsShortAndPointsToEveryTopic(t *testing.T) {
	t.Parallel()
	texts := manual(t)
	if lines := strings.Count(texts["README"], "\n"); lines > 150 {
		t.Errorf("the README has %d lines; 150 is the most: move reference to a topic", lines)
	}
	for name := range texts {
		if name != "README" && !strings.Contains(texts["README"], "`help "+name+"`") {
			t.Errorf("the README does not point to help %s", name)
		}
	}
	for name, text := range texts {
		for _, named := range words("`help [a-z]+`", text) {
			if topic := strings.Trim(named, "`")[len("help "):]; texts[topic] == "" {
				t.Errorf("%s points to help %s, which there is not", name, topic)
			}
		}
	}
}

// blocks returns the fenced blocks of a language.
func blocks(text, language string) []string {
	var found []string
	for _, match := range regexp.MustCompile("(?s)```"+language+"\n(.*?)```").FindAllStringSubmatch(text, -1) {
		found = append(found, match[1])
	}
	return found
}

func TestTheManualListsTheKindsOfWidgets(t *testing.T) {
	t.Parallel()
	text := manual(t)["dashboards"]
	_, kinds, _ := strings.Cut(text, "\n    kind ")
	kinds, _, _ = strings.Cut(kinds, "\n")
	if got := strings.Fields(strings.ReplaceAll(kinds, ",", " ")); len(got) == 0 || len(got) != len(store.Kinds) {
		t.Errorf("the manual lists the kinds %q", got)
	}
	for name, text := range manual(t) {
		if strings.Contains(text, "{{") {
			t.Errorf("%s holds a name in braces", name)
		}
	}
}

func TestTheDashboardOfTheManualIsValid(t *testing.T) {
	t.Parallel()
	examples := blocks(manual(t)["dashboards"], "yaml")
	if len(examples) == 0 {
		t.Fatal("there is no example")
	}
	for _, example := range examples {
		if _, err := boardfile.Parse("example", []byte(example)); err != nil {
			t.Error(err)
		}
	}
}

// A newcomer types what the README says in the folder of the binary, and sees a board with
// the events.
func TestTheReadmesFiveMinutes(t *testing.T) {
	t.Parallel()
	scripts := blocks(manual(t)["README"], "sh")
	if len(scripts) != 3 {
		t.Fatalf("the README has %d scripts, want those that make the file, apply it, and send events", len(scripts))
	}
	dir := t.TempDir()
	if err := os.Symlink(binary, filepath.Join(dir, "pulseboard")); err != nil {
		t.Fatal(err)
	}
	shell := func(script string) string {
		t.Helper()
		cmd := exec.Command("sh", "-e", "-c", script)
		cmd.Dir = dir
		out, err := cmd.CombinedOutput()
		if err != nil {
			t.Fatalf("%s\n%v: %s", script, err, out)
		}
		return string(out)
	}
	prepare, ok := strings.CutSuffix(scripts[1], "./pulseboard serve &\n")
	if !ok {
		t.Fatalf("the second script does not end by serving: %s", scripts[1])
	}
	out := shell(scripts[0] + prepare + `echo "KEY=$KEY"`)
	key := regexp.MustCompile(`KEY=\S+`).FindString(out)
	s := &site{t: t, dir: filepath.Join(dir, "data")}
	s.start()
	if answer := shell(key + "\n" + strings.ReplaceAll(scripts[2], "localhost:8080", s.url)); !strings.Contains(answer, `{"accepted":2,"duplicate":0,"rejected":[]}`) {
		t.Errorf("the events are answered with %s", answer)
	}

	board := regexp.MustCompile(`localhost:8080(/\S+), sign in as ` + "`(.*?)` with `(.*?)`").FindStringSubmatch(manual(t)["README"])
	if board == nil {
		t.Fatal("the README does not say where to sign in, and as whom")
	}
	jar, _ := cookiejar.New(nil)
	client := &http.Client{Jar: jar}
	response, err := client.PostForm(s.url+"/login?next="+url.QueryEscape(board[1]), url.Values{"email": {board[2]}, "password": {board[3]}})
	if err != nil {
		t.Fatal(err)
	}
	response.Body.Close()
	response, err = client.Get(s.url + board[1] + "?var-country=FR")
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	page, _ := io.ReadAll(response.Body)
	for _, seen := range []string{"Web traffic", "Top pages", "/docs"} {
		if !strings.Contains(string(page), seen) {
			t.Errorf("GET %s is %s, and its page lacks %q", board[1], response.Status, seen)
		}
	}
	if got, want := string(s.readings(client)["requests"]), "2"; got != want {
		t.Errorf("the board counts %s requests, want %s", got, want)
	}
}
