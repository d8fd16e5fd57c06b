package mapping

import (
	"crypto/sha256"
	"encoding/hex"
	"strings"

	"k8s.io/apimachinery/pkg/util/validation"
)

// longestName leaves room for a digest in the 63 characters of a name.
const longestName = 54

// Name is what somebody of a provider is called here, always the same: their
// name there in lower case, if an object may be called so. Else what may not be
// in a name is replaced and a digest of the whole added, so that john_doe and
// john.doe are different people.
func Name(username, provider, subject string) string {
	lower := strings.ToLower(username)
	if fits(lower) {
		return lower
	}
	whole := username
	if username == "" {
		whole = provider + "\x00" + subject
	}
	sum := sha256.Sum256([]byte(whole))
	kept := strings.Map(func(r rune) rune {
		if r >= 'a' && r <= 'z' || r >= '0' && r <= '9' || r == '.' {
			return r
		}
		return '-'
	}, lower)
	for strings.Contains(kept, "..") {
		kept = strings.ReplaceAll(kept, "..", ".")
	}
	kept = strings.NewReplacer(".-", "-", "-.", "-").Replace(kept)
	kept = strings.Trim(kept[:min(len(kept), longestName)], "-.")
	if kept == "" {
		kept = "user"
	}
	if name := kept + "-" + hex.EncodeToString(sum[:4]); fits(name) {
		return name
	}
	return "user-" + hex.EncodeToString(sum[:4])
}

func fits(name string) bool {
	return len(validation.IsDNS1123Subdomain(name)) == 0 && len(validation.IsValidLabelValue(name)) == 0
}
