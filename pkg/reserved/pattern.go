package reserved

import (
	"fmt"
	"strings"

	"k8s.io/apimachinery/pkg/util/validation"
)

// wildcard stands for any text at the beginning or at the end of a pattern.
const wildcard = "*"

// matchesPattern reports whether a text is the one a pattern names, or has the prefix
// or the suffix beside the wildcard of the pattern.
func matchesPattern(pattern, text string) bool {
	if prefix, found := strings.CutSuffix(pattern, wildcard); found {
		return strings.HasPrefix(text, prefix)
	}
	if suffix, found := strings.CutPrefix(pattern, wildcard); found {
		return strings.HasSuffix(text, suffix)
	}
	return text == pattern
}

// ValidatePattern returns an error unless the text is a name of a namespace or
// workspace, or such a name with a '*' at its beginning or its end. A pattern that
// matches every name is refused.
func ValidatePattern(text string) error {
	name := text
	if trimmed, found := strings.CutSuffix(text, wildcard); found {
		name = trimmed + "x"
	} else if trimmed, found := strings.CutPrefix(text, wildcard); found {
		name = "x" + trimmed
	}
	if text == wildcard || len(validation.IsDNS1123Label(name)) > 0 {
		return fmt.Errorf("%q is neither a name of at most 63 lower-case letters, digits and '-' nor such a name with '*' at its beginning or its end", text)
	}
	return nil
}

// ValidateKey returns an error unless the text is a key of a label or an annotation,
// or the beginning of one followed by '*'.
func ValidateKey(text string) error {
	key := text
	if trimmed, found := strings.CutSuffix(text, wildcard); found {
		key = trimmed + "x"
	}
	if text == wildcard || len(validation.IsQualifiedName(key)) > 0 {
		return fmt.Errorf("%q is neither a key of a label nor the beginning of one followed by '*'", text)
	}
	return nil
}
