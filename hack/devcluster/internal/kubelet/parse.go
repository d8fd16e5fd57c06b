package kubelet

import (
	"errors"
	"fmt"
	"strings"
	"unicode"
)

// part is a piece of a word; a literal one is not expanded.
type part struct {
	text    string
	literal bool
}

// word is one argument, made of pieces that were quoted differently.
type word []part

// listItem is a command and the operator between it and the one before.
type listItem struct {
	after string
	words []word
}

// parseScript splits a text into commands.
func parseScript(text string) ([]listItem, error) {
	p := &parser{rest: []rune(text), item: listItem{after: ";"}}
	for len(p.rest) > 0 {
		if err := p.step(); err != nil {
			return nil, err
		}
	}
	p.endItem(";")
	return p.list, nil
}

type parser struct {
	rest []rune
	list []listItem
	item listItem
	word word
}

func (p *parser) step() error {
	c := p.rest[0]
	switch {
	case c == '\n' || c == ';':
		p.rest = p.rest[1:]
		p.endItem(";")
	case c == '#' && p.word == nil:
		p.rest = p.rest[p.until('\n'):]
	case unicode.IsSpace(c):
		p.rest = p.rest[1:]
		p.endWord()
	case p.has("&&"), p.has("||"):
		operator := string(p.rest[:2])
		p.rest = p.rest[2:]
		p.endItem(operator)
	case strings.ContainsRune("|&<>`()", c):
		return fmt.Errorf("%q is more than this toy shell can do", c)
	case c == '\'' || c == '"':
		return p.quoted(c)
	case c == '\\' && len(p.rest) > 1:
		p.add(string(p.rest[1]), true)
		p.rest = p.rest[2:]
	default:
		p.add(string(c), false)
		p.rest = p.rest[1:]
	}
	return nil
}

func (p *parser) quoted(quote rune) error {
	p.rest = p.rest[1:]
	end := p.until(quote)
	if end == len(p.rest) {
		return errors.New("unterminated quoted string")
	}
	p.add(string(p.rest[:end]), quote == '\'')
	p.rest = p.rest[end+1:]
	return nil
}

// add grows the word, joining what is expanded together: $ and the name after
// it arrive one by one.
func (p *parser) add(text string, literal bool) {
	if n := len(p.word); n > 0 && p.word[n-1].literal == literal {
		p.word[n-1].text += text
		return
	}
	p.word = append(p.word, part{text: text, literal: literal})
}

func (p *parser) endWord() {
	if p.word != nil {
		p.item.words = append(p.item.words, p.word)
		p.word = nil
	}
}

func (p *parser) endItem(operator string) {
	p.endWord()
	if len(p.item.words) > 0 {
		p.list = append(p.list, p.item)
	}
	p.item = listItem{after: operator}
}

func (p *parser) has(prefix string) bool {
	return strings.HasPrefix(string(p.rest[:min(len(p.rest), len(prefix))]), prefix)
}

func (p *parser) until(end rune) int {
	for i, c := range p.rest {
		if c == end {
			return i
		}
	}
	return len(p.rest)
}

// expandVariables replaces $NAME, ${NAME} and $?.
func expandVariables(text string, lookup func(string) string) string {
	var b strings.Builder
	for {
		before, after, ok := strings.Cut(text, "$")
		b.WriteString(before)
		if !ok {
			return b.String()
		}
		name, rest := variable(after)
		if name == "" {
			b.WriteByte('$')
		} else {
			b.WriteString(lookup(name))
		}
		text = rest
	}
}

// variable splits off the name at the start of s.
func variable(s string) (name, rest string) {
	if inner, ok := strings.CutPrefix(s, "{"); ok {
		if name, rest, ok := strings.Cut(inner, "}"); ok && isName(name) {
			return name, rest
		}
		return "", s
	}
	if rest, ok := strings.CutPrefix(s, "?"); ok {
		return "?", rest
	}
	end := 0
	for end < len(s) && isName(s[:end+1]) {
		end++
	}
	return s[:end], s[end:]
}

func isName(s string) bool {
	for i, c := range s {
		letter := c == '_' || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z'
		if !letter && (i == 0 || c < '0' || c > '9') {
			return false
		}
	}
	return s != ""
}
