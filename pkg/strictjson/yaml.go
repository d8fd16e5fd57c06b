package strictjson

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"strings"
	"time"

	goyaml "go.yaml.in/yaml/v2"
	"sigs.k8s.io/yaml"

	"github.com/super-kubenetes/ks-apiserver/pkg/turns"
)

// What a YAML text may hold. A value takes 400 bytes and some microseconds while a text is
// converted, even in a text that turns out to be no YAML, so that both are bounded before. A manifest
// of 1.5 MiB, the most that etcd stores, has a tenth of these values.
const (
	maxYAMLValues  = 1 << 18
	maxYAMLAliases = 1 << 12
	// The parser compares each directive with all others, and copies the prefix of a %TAG
	// directive to each value with the tag. A document has one or two.
	maxYAMLDirectives     = 16
	maxYAMLDirectiveBytes = 1 << 10
	// maxExpanded bounds the text that aliases expand to, in bytes: what Kubernetes reads.
	maxExpanded = 3 << 20
)

// ErrYAMLTooLarge is returned for a YAML text that takes too much memory and time to convert,
// which JSON does not.
var ErrYAMLTooLarge = errors.New("the YAML has more than 262144 values, more than 4096 aliases, more than 16 directives or 1 KiB of them, or aliases that expand to more than 3 MiB; send it as JSON")

// Larger texts are converted one at a time, those of the users in turn.
const (
	largeYAML      = 64 << 10
	conversionWait = 30 * time.Second
)

var conversions = turns.New(1, 1, conversionWait, "too many bodies in YAML are being converted, send JSON or try again later")

// maxErrorText bounds the text of an error about YAML, which may list each line, in bytes.
const maxErrorText = 1 << 10

// FromYAML returns the JSON of a YAML text, which is the text itself where it is JSON that
// reads alike as YAML. A mapping that has a key twice is an error. Of keys that are the same
// in JSON alone, such as 1 and "1", one is left. ErrYAMLTooLarge is returned for a text that
// is not converted, ErrTooComplex for one whose JSON is too complex. A large text waits for
// the turn of its holder, see turns.Turns.Take.
func FromYAML(ctx context.Context, holder string, text []byte) ([]byte, error) {
	if isJSONInYAML(text) {
		return text, nil
	}
	counts := countYAML(text)
	if counts.tooLarge() {
		return nil, ErrYAMLTooLarge
	}
	if len(text) > largeYAML || counts.aliases > 0 {
		release, err := conversions.Take(ctx, holder)
		if err != nil {
			return nil, err
		}
		defer release()
	}
	if counts.aliases > 0 && !boundedExpansion(text) {
		return nil, ErrYAMLTooLarge
	}
	var nodes any
	if err := yaml.UnmarshalStrict(text, &nodes); err != nil {
		return nil, shortened(err)
	}
	converted, err := json.Marshal(nodes)
	if err != nil {
		return nil, err
	}
	return converted, CheckKeys(converted)
}

// isJSONInYAML reports whether a text is JSON that means the same in YAML, as of clients
// that send JSON in whatever media type: YAML folds three line breaks in strings that are
// characters to JSON.
func isJSONInYAML(text []byte) bool {
	start := bytes.TrimLeft(text, " \t\r\n")
	return len(start) > 0 && (start[0] == '{' || start[0] == '[') && !hasRareBreak(text) && CheckKeys(text) == nil
}

// boundedExpansion reports whether the values of a YAML text with aliases, each of which
// the parser shares, take a bounded text when they are written out. What is no YAML takes
// none.
func boundedExpansion(text []byte) bool {
	var expanded any
	if err := goyaml.Unmarshal(text, &expanded); err != nil {
		return true // the conversion says so
	}
	remaining := maxExpanded
	return spend(expanded, &remaining)
}

// spend takes the text of a value from what remains, and reports whether it was enough.
func spend(value any, remaining *int) bool {
	*remaining -= 2
	switch value := value.(type) {
	case string:
		*remaining -= len(value)
	case []any:
		for _, item := range value {
			if *remaining < 0 || !spend(item, remaining) {
				return false
			}
		}
	case map[any]any:
		for key, item := range value {
			if *remaining < 0 || !spend(key, remaining) || !spend(item, remaining) {
				return false
			}
		}
	}
	return *remaining >= 0
}

// shortened returns an error about YAML with a text of a bounded size.
func shortened(err error) error {
	if text := err.Error(); len(text) > maxErrorText {
		return errors.New(strings.ToValidUTF8(text[:maxErrorText], "") + " …")
	}
	return err
}
