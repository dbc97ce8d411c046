package main

import (
	"embed"
	"fmt"
	"io"
	"path"
	"strings"

	"pulseboard/store"
)

// The manual, one file a topic. It is embedded, so that every binary prints the manual
// of its own version.
//
//go:embed help/*.md
var helpFiles embed.FS

// topic is a part of the manual.
type topic struct {
	name  string // as typed after "help"
	about string // one line
	text  string // Markdown
}

// helpCmd prints the manual.
type helpCmd struct {
	Topic string `arg:"" optional:"" help:"Topic to print."`
}

// Run prints the topic, or without one the list of topics.
func (cmd *helpCmd) Run(c *console) error {
	topics, err := readTopics()
	if err != nil {
		return err
	}
	if cmd.Topic == "" {
		writeTopics(c.out, topics)
		return nil
	}
	var names []string
	for _, t := range topics {
		if t.name == cmd.Topic {
			_, err := io.WriteString(c.out, t.text)
			return err
		}
		names = append(names, t.name)
	}
	return usageError{fmt.Errorf("there is no help topic %q: use %s", cmd.Topic, oneOf(names))}
}

func writeTopics(out io.Writer, topics []topic) {
	fmt.Fprint(out, "The manual, by topic: pulseboard help TOPIC\n\n")
	for _, t := range topics {
		fmt.Fprintf(out, "  %-12s%s\n", t.name, t.about)
	}
	fmt.Fprint(out, "\npulseboard --help lists the commands, pulseboard COMMAND --help the flags of one.\n")
}

// readTopics returns the topics by name. The first line of each file is
// "# name: what it is about"; {{kinds}} in a file stands for the kinds of widgets.
func readTopics() ([]topic, error) {
	files, err := helpFiles.ReadDir("help")
	if err != nil {
		return nil, err
	}
	words := make([]string, len(store.Kinds))
	for i, kind := range store.Kinds {
		words[i] = string(kind)
	}
	kinds := strings.Join(words, ", ")
	var topics []topic
	for _, file := range files { // sorted by name
		text, err := helpFiles.ReadFile(path.Join("help", file.Name()))
		if err != nil {
			return nil, err
		}
		name := strings.TrimSuffix(file.Name(), ".md")
		title, _, _ := strings.Cut(string(text), "\n")
		about, ok := strings.CutPrefix(title, "# "+name+": ")
		if !ok {
			return nil, fmt.Errorf("help/%s does not begin with %q", file.Name(), "# "+name+": ")
		}
		topics = append(topics, topic{name, about, strings.Replace(string(text), "{{kinds}}", kinds, 1)})
	}
	return topics, nil
}

// oneOf joins names as "a, b or c".
func oneOf(names []string) string {
	last := len(names) - 1
	if last < 1 {
		return strings.Join(names, "")
	}
	return strings.Join(names[:last], ", ") + " or " + names[last]
}
