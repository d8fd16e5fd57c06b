package route

// indenter indents compact JSON as json.Indent does, with two blanks for each of the first
// 32 levels, part by part: neither what it reads nor what it writes is whole in memory. It does not
// check what it reads.
type indenter struct {
	depth    int
	inString bool
	escaped  bool
	// opened is true after the start of an object or array, which may be empty.
	opened bool
}

const indentUnit = "  "

// maxIndents bounds how far a line is indented: the blanks of values that are nested ten
// thousand levels deep would be a thousand times the text.
const maxIndents = 32

// indent passes the indented form of a part on to emit.
func (i *indenter) indent(text string, emit func(string) error) error {
	start := 0 // of what has not been passed on
	pass := func(end int) error {
		if start == end {
			return nil
		}
		part := text[start:end]
		start = end
		return emit(part)
	}
	for n := 0; n < len(text); n++ {
		c := text[n]
		if i.inString {
			switch {
			case i.escaped:
				i.escaped = false
			case c == '\\':
				i.escaped = true
			case c == '"':
				i.inString = false
			}
			continue
		}
		if c == ' ' || c == '\t' || c == '\r' || c == '\n' {
			if err := pass(n); err != nil {
				return err
			}
			start = n + 1
			continue
		}
		closes := c == ']' || c == '}'
		if i.opened && !closes {
			i.opened = false
			i.depth++
			if err := pass(n); err != nil {
				return err
			}
			if err := i.newline(emit); err != nil {
				return err
			}
		}
		var err error
		switch c {
		case '"':
			i.inString = true
		case '{', '[':
			i.opened = true
		case ',':
			if err = pass(n + 1); err == nil {
				err = i.newline(emit)
			}
		case ':':
			if err = pass(n + 1); err == nil {
				err = emit(" ")
			}
		case '}', ']':
			if i.opened {
				i.opened = false
				break
			}
			i.depth--
			if err = pass(n); err == nil {
				err = i.newline(emit)
			}
		}
		if err != nil {
			return err
		}
	}
	return pass(len(text))
}

func (i *indenter) newline(emit func(string) error) error {
	if err := emit("\n"); err != nil {
		return err
	}
	for range min(i.depth, maxIndents) {
		if err := emit(indentUnit); err != nil {
			return err
		}
	}
	return nil
}
