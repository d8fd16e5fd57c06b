package strictjson

import "bytes"

// yamlScanner finds the tokens of a YAML text as the scanner of libyaml does, which
// go.yaml.in/yaml ports, but keeps none: what is text of a scalar there is skipped here. It
// does not find what is wrong with a text: the parser stops at an error, so that a scanner
// that goes on counts too much.
type yamlScanner struct {
	text      []byte
	pos       int
	lineStart int
	// indents are the columns of the block collections that are open.
	indents []int
	// flow is how many flow collections are open.
	flow int
	// keyAllowed reports whether a key of a block mapping may begin, and key is the column
	// where one did on this line, or -1.
	keyAllowed bool
	key        int

	yamlCounts
}

// yamlCounts are what a YAML text has at most, about.
type yamlCounts struct {
	// values include the aliases.
	values, aliases int
	// directives are the lines that begin with a percent sign before a document, and
	// directiveBytes is how long they are together.
	directives, directiveBytes int
}

// tooLarge reports whether there is more than is converted.
func (c *yamlCounts) tooLarge() bool {
	return c.values > maxYAMLValues || c.aliases > maxYAMLAliases || c.directives > maxYAMLDirectives || c.directiveBytes > maxYAMLDirectiveBytes
}

var (
	byteOrderMark = []byte("\xef\xbb\xbf")
	// rareBreaks are the line breaks of YAML 1.1 beside those of ASCII: NEL, LS and PS.
	rareBreaks = [][]byte{[]byte("\u0085"), []byte("\u2028"), []byte("\u2029")}
)

func hasRareBreak(text []byte) bool {
	for _, rare := range rareBreaks {
		if bytes.Contains(text, rare) {
			return true
		}
	}
	return false
}

// countYAML counts what a YAML text has until it is too large. It takes no memory and some
// milliseconds for a MiB.
func countYAML(text []byte) yamlCounts {
	text = bytes.TrimPrefix(text, byteOrderMark)
	if bytes.HasPrefix(text, []byte("\xff\xfe")) || bytes.HasPrefix(text, []byte("\xfe\xff")) || bytes.Contains(text, byteOrderMark) {
		return yamlCounts{values: len(text), aliases: len(text)} // UTF-16, and marks that the parser skips in places
	}
	for _, rare := range rareBreaks {
		if bytes.Contains(text, rare) {
			text = bytes.ReplaceAll(text, rare, []byte("\n"))
		}
	}
	s := &yamlScanner{text: text, keyAllowed: true, key: -1}
	for !s.tooLarge() && s.skipToToken() {
		s.scanToken()
	}
	return s.yamlCounts
}

// at returns a character behind the position, 0 behind the end.
func (s *yamlScanner) at(offset int) byte {
	if s.pos+offset < len(s.text) {
		return s.text[s.pos+offset]
	}
	return 0
}

func (s *yamlScanner) column() int { return s.pos - s.lineStart }

// indent is the column of the innermost block collection, -1 outside of all.
func (s *yamlScanner) indent() int {
	if len(s.indents) == 0 {
		return -1
	}
	return s.indents[len(s.indents)-1]
}

func isBreak(c byte) bool { return c == '\n' || c == '\r' }
func isBlank(c byte) bool { return c == ' ' || c == '\t' }

// endsToken reports whether a character is white space or the end.
func endsToken(c byte) bool { return isBlank(c) || isBreak(c) || c == 0 }

// newLine goes behind a line break. A key ends in its line.
func (s *yamlScanner) newLine() {
	s.pos++
	s.lineStart, s.key = s.pos, -1
}

func (s *yamlScanner) skipLine() {
	for s.pos < len(s.text) && !isBreak(s.text[s.pos]) {
		s.pos++
	}
}

// skipToToken goes to the next token, and reports whether there is one.
func (s *yamlScanner) skipToToken() bool {
	for s.pos < len(s.text) {
		switch c := s.text[s.pos]; {
		case isBlank(c):
			s.pos++
		case c == '#':
			s.skipLine()
		case c == 0:
			return false // the parser reads no control characters
		case isBreak(c):
			s.newLine()
			if s.flow == 0 {
				s.keyAllowed = true
			}
		default:
			return true
		}
	}
	return false
}

// open begins a block collection at a column, unless one is open there.
func (s *yamlScanner) open(column int) {
	if s.flow == 0 && s.indent() < column {
		s.indents = append(s.indents, column)
	}
}

// closeTo ends the block collections right of a column.
func (s *yamlScanner) closeTo(column int) {
	for s.flow == 0 && s.indent() > column {
		s.indents = s.indents[:len(s.indents)-1]
	}
}

// mayBeKey marks the token at the position as the beginning of a key, where one may begin.
func (s *yamlScanner) mayBeKey() {
	if s.flow == 0 && s.keyAllowed {
		s.key = s.column()
	}
	s.keyAllowed = false
}

// isDocumentMark reports whether the position is at the beginning or the end of a document.
func (s *yamlScanner) isDocumentMark() bool {
	c := s.at(0)
	return s.column() == 0 && (c == '-' || c == '.') && s.at(1) == c && s.at(2) == c && endsToken(s.at(3))
}

// scanToken goes behind the token at the position and adds the values that may begin there.
func (s *yamlScanner) scanToken() {
	s.closeTo(s.column())
	c := s.at(0)
	switch {
	case s.column() == 0 && c == '%':
		s.skipLine()
		s.directives++
		s.directiveBytes += s.column()
	case s.isDocumentMark():
		s.flow, s.key, s.keyAllowed = 0, -1, false
		s.closeTo(-1)
		s.pos += 3
		s.values++
	case c == '[' || c == '{':
		s.mayBeKey()
		s.flow++
		s.pos++
		s.values++
	case c == ']' || c == '}':
		s.flow = max(0, s.flow-1)
		s.keyAllowed = false
		s.pos++
	case c == ',':
		s.keyAllowed = true
		s.pos++
		s.values++
	case c == '-' && endsToken(s.at(1)):
		s.open(s.column())
		s.keyAllowed, s.key = true, -1
		s.pos++
		s.values++
	case c == '?' && (s.flow > 0 || endsToken(s.at(1))):
		s.open(s.column())
		s.keyAllowed, s.key = s.flow == 0, -1
		s.pos++
		s.values += 2
	case c == ':' && (s.flow > 0 || endsToken(s.at(1))):
		s.scanValueIndicator()
	case c == '*' || c == '&':
		s.scanAnchor()
	case c == '!':
		s.mayBeKey()
		for !endsToken(s.at(0)) {
			s.pos++
		}
		s.values++ // of an empty scalar
	case (c == '|' || c == '>') && s.flow == 0:
		s.values++
		s.skipBlockScalar()
	case c == '\'' || c == '"':
		s.values++
		s.skipQuoted(c)
	default:
		s.values++
		s.skipPlain()
	}
}

// scanValueIndicator goes behind the colon of a mapping.
func (s *yamlScanner) scanValueIndicator() {
	s.values++ // the mapping, or an empty value
	if s.flow > 0 {
		s.values++ // the mapping of a pair in a sequence
	}
	if s.key >= 0 {
		s.open(s.key)
		s.keyAllowed = false
	} else {
		s.open(s.column())
		s.keyAllowed = s.flow == 0
	}
	s.key = -1
	s.pos++
}

// scanAnchor goes behind an anchor or an alias.
func (s *yamlScanner) scanAnchor() {
	if s.at(0) == '*' {
		s.aliases++
	}
	s.values++
	s.mayBeKey()
	for s.pos++; isAnchorCharacter(s.at(0)); s.pos++ {
	}
}

func isAnchorCharacter(c byte) bool {
	return c >= '0' && c <= '9' || c >= 'A' && c <= 'Z' || c >= 'a' && c <= 'z' || c == '_' || c == '-'
}
