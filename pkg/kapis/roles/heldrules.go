package roles

import (
	"encoding/json"
	"fmt"
	"iter"
	"net/http"
	"strings"

	"github.com/tidwall/gjson"
	authorizationv1 "k8s.io/api/authorization/v1"

	"github.com/super-kubenetes/ks-apiserver/pkg/authz"
	"github.com/super-kubenetes/ks-apiserver/pkg/route"
)

// ruleChunk is how much of a review is made before it is sent, in bytes.
const ruleChunk = 32 << 10

// noRules is where the rules of a review belong. No text in it has quotes without backslashes.
const noRules = `"resourceRules":[],"nonResourceRules":[]`

// emptyRules is the status of a review whose rules are written by writeRules.
func emptyRules(complete bool) authorizationv1.SubjectRulesReviewStatus {
	result := authorizationv1.SubjectRulesReviewStatus{ResourceRules: []authorizationv1.ResourceRule{}, NonResourceRules: []authorizationv1.NonResourceRule{}, Incomplete: !complete}
	if !complete {
		result.EvaluationError = "the user has more rules than are listed"
	}
	return result
}

// writeRules answers with a review that has a status of emptyRules, and rules in it. They are
// made into text while they are sent, so that answers that nobody reads are not in memory.
func writeRules(w http.ResponseWriter, r *http.Request, code int, review any, rules *authz.HeldRules) error {
	text, err := json.Marshal(review)
	if err != nil {
		return err
	}
	head, tail, found := strings.Cut(string(text), noRules)
	if !found {
		return fmt.Errorf("a review without a place for rules: %T", review)
	}
	w.Header().Set("X-Content-Type-Options", "nosniff")
	return route.Stream{Code: code, Head: head, Tail: tail, Parts: ruleChunks(rules), Plain: true}.Write(w, r, false)
}

// ruleChunks are the lists of rules in JSON.
func ruleChunks(rules *authz.HeldRules) iter.Seq2[string, error] {
	return func(yield func(string, error) bool) {
		chunk := make([]byte, 0, ruleChunk+ruleChunk/4)
		for part := range ruleTexts(rules) {
			if chunk = part.appendTo(chunk); len(chunk) < ruleChunk {
				continue
			}
			if !yield(string(chunk), nil) {
				return
			}
			chunk = chunk[:0]
		}
		yield(string(chunk), nil)
	}
}

// ruleText is a part of the JSON of rules: text as it is, or a string to be quoted.
type ruleText struct {
	text   string
	quoted bool
}

func (t ruleText) appendTo(into []byte) []byte {
	if t.quoted {
		return gjson.AppendJSONString(into, t.text)
	}
	return append(into, t.text...)
}

// ruleTexts are the two lists of a review.
func ruleTexts(rules *authz.HeldRules) iter.Seq[ruleText] {
	return func(yield func(ruleText) bool) {
		raw := func(text string) bool { return yield(ruleText{text: text}) }
		list := func(head string, values []string) bool {
			if !raw(head) || !raw("[") {
				return false
			}
			for n, value := range values {
				if n > 0 && !raw(",") || !yield(ruleText{text: value, quoted: true}) {
					return false
				}
			}
			return raw("]")
		}
		// What is empty is left out, as Kubernetes leaves it out.
		further := func(head string, values []string) bool { return len(values) == 0 || list(head, values) }
		separator := `"resourceRules":[{`
		for rule := range rules.All() {
			if len(rule.Resources) == 0 {
				continue
			}
			if !raw(separator) || !list(`"verbs":`, rule.Verbs) || !further(`,"apiGroups":`, rule.APIGroups) ||
				!further(`,"resources":`, rule.Resources) || !further(`,"resourceNames":`, rule.ResourceNames) || !raw("}") {
				return
			}
			separator = ",{"
		}
		if separator != ",{" && !raw(`"resourceRules":[`) {
			return
		}
		separator = `],"nonResourceRules":[{`
		for rule := range rules.All() {
			if len(rule.NonResourceURLs) == 0 {
				continue
			}
			if !raw(separator) || !list(`"verbs":`, rule.Verbs) || !list(`,"nonResourceURLs":`, rule.NonResourceURLs) || !raw("}") {
				return
			}
			separator = ",{"
		}
		if separator != ",{" && !raw(`],"nonResourceRules":[`) {
			return
		}
		raw("]")
	}
}
