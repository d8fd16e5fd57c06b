package query

import (
	"strings"

	"k8s.io/apimachinery/pkg/labels"

	"github.com/super-kubenetes/ks-apiserver/pkg/status"
)

// Selector matches labels: each element has to match, and an element matches
// when one of its alternatives does.
type Selector [][]labels.Selector

// Matches reports whether the labels are selected. A nil selector selects all.
func (s Selector) Matches(set labels.Labels) bool {
	for _, alternatives := range s {
		if !anyMatches(alternatives, set) {
			return false
		}
	}
	return true
}

// Terms counts the values that labels are compared with, one at least for each requirement.
func (s Selector) Terms() int {
	terms := 0
	for _, alternatives := range s {
		for _, alternative := range alternatives {
			requirements, _ := alternative.Requirements()
			for n := range requirements {
				terms += max(1, len(requirements[n].ValuesUnsorted()))
			}
		}
	}
	return terms
}

// String is the selector in the grammar of ParseSelector: equal texts select the same.
func (s Selector) String() string {
	var terms []string
	for _, alternatives := range s {
		var texts []string
		for _, alternative := range alternatives {
			texts = append(texts, alternative.String())
		}
		terms = append(terms, strings.Join(texts, "|"))
	}
	return strings.Join(terms, ",")
}

func anyMatches(alternatives []labels.Selector, set labels.Labels) bool {
	for _, alternative := range alternatives {
		if alternative.Matches(set) {
			return true
		}
	}
	return false
}

// ParseSelector reads a label selector in Kubernetes' grammar. Two forms that
// existing clients send keep their evident meaning: empty terms are skipped
// (",!a"), and alternatives are separated by a bar ("a|b=c"). Anything else
// that kube-apiserver would refuse is an error with status 400.
func ParseSelector(text string) (Selector, error) {
	if len(text) > maxSelectorLength {
		return nil, status.BadRequest("labelSelector is longer than %d bytes", maxSelectorLength)
	}
	var selector Selector
	count := 0
	for _, term := range splitTerms(text) {
		if strings.TrimSpace(term) == "" {
			continue
		}
		var alternatives []labels.Selector
		for alternative := range strings.SplitSeq(term, "|") {
			if count++; count > maxTerms {
				return nil, status.BadRequest("labelSelector has more than %d terms", maxTerms)
			}
			parsed, err := labels.Parse(alternative)
			if err != nil {
				return nil, status.BadRequest("invalid labelSelector: %v", err)
			}
			if parsed.Empty() {
				return nil, status.BadRequest("invalid labelSelector: an alternative of %q is empty", term)
			}
			alternatives = append(alternatives, parsed)
		}
		selector = append(selector, alternatives)
	}
	return selector, nil
}

// splitTerms splits at the commas outside of parentheses.
func splitTerms(text string) []string {
	var terms []string
	depth, start := 0, 0
	for n := range len(text) {
		switch text[n] {
		case '(':
			depth++
		case ')':
			depth--
		case ',':
			if depth == 0 {
				terms = append(terms, text[start:n])
				start = n + 1
			}
		}
	}
	return append(terms, text[start:])
}
