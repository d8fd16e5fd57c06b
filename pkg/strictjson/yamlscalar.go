package strictjson

// skipQuoted goes behind a scalar in quotes.
func (s *yamlScanner) skipQuoted(quote byte) {
	s.mayBeKey()
	for s.pos++; s.pos < len(s.text); {
		switch c := s.text[s.pos]; {
		case c == quote && quote == '\'' && s.at(1) == '\'':
			s.pos += 2
		case c == quote:
			s.pos++
			return
		case c == '\\' && quote == '"' && !isBreak(s.at(1)):
			s.pos += 2
		case isBreak(c):
			s.newLine()
		default:
			s.pos++
		}
	}
}

// skipPlain goes behind a scalar without quotes, which goes on in lines that are indented
// more than the collection it is in.
func (s *yamlScanner) skipPlain() {
	s.mayBeKey()
	least := s.indent() + 1
	for s.pos < len(s.text) && !s.isDocumentMark() && s.at(0) != '#' {
		for !endsToken(s.at(0)) && !s.endsPlain() {
			s.pos++
		}
		if !isBlank(s.at(0)) && !isBreak(s.at(0)) {
			break
		}
		lineBefore := s.lineStart
		for isBlank(s.at(0)) || isBreak(s.at(0)) {
			if isBreak(s.at(0)) {
				s.newLine()
			} else {
				s.pos++
			}
		}
		if s.lineStart != lineBefore && (s.endsPlain() || s.at(0) == '#') {
			s.keyAllowed = true
		}
		if s.flow == 0 && s.column() < least {
			s.keyAllowed = true
			break
		}
	}
}

// endsPlain reports whether a scalar without quotes ends at the position.
func (s *yamlScanner) endsPlain() bool {
	switch s.at(0) {
	case ':':
		return endsToken(s.at(1))
	case ',', '?', '[', ']', '{', '}':
		return s.flow > 0
	}
	return false
}

// skipBlockScalar goes behind a literal or folded scalar, whose lines are indented alike.
func (s *yamlScanner) skipBlockScalar() {
	s.keyAllowed, s.key = true, -1
	indent := 0
	for s.pos++; s.at(0) == '+' || s.at(0) == '-' || s.at(0) >= '0' && s.at(0) <= '9'; s.pos++ {
		if c := s.at(0); c >= '0' && c <= '9' {
			indent = max(0, s.indent()) + int(c-'0')
		}
	}
	s.skipLine() // a comment
	if s.pos < len(s.text) {
		s.newLine()
	}
	for indent = s.skipIndentation(indent); s.column() == indent && s.pos < len(s.text); s.skipIndentation(indent) {
		s.skipLine()
		if s.pos < len(s.text) {
			s.newLine()
		}
	}
}

// skipIndentation goes to the first line that is not empty, behind at most so many spaces,
// and returns the indentation, which is that of the widest line where it is not known.
func (s *yamlScanner) skipIndentation(indent int) int {
	widest := 0
	for {
		for s.at(0) == ' ' && (indent == 0 || s.column() < indent) {
			s.pos++
		}
		widest = max(widest, s.column())
		if !isBreak(s.at(0)) {
			break
		}
		s.newLine()
	}
	if indent == 0 {
		return max(widest, s.indent()+1, 1)
	}
	return indent
}
