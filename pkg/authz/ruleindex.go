package authz

import (
	"hash/maphash"
	"math"
	mathbits "math/bits"
	"slices"

	rbacv1 "k8s.io/api/rbac/v1"
	"k8s.io/apiserver/pkg/authorization/authorizer"

	"github.com/super-kubenetes/ks-apiserver/pkg/iam"
)

// fewWords is the number of words up to which the rules of a role are compared one by one.
// Nearly all roles have fewer, and comparing them takes less than a look into an index.
const fewWords = 256

// role is a role with an index of its rules, nil for few words.
type role struct {
	*iam.Role
	index *ruleIndex
}

func newRole(of *iam.Role) role { return role{Role: of, index: newRuleIndex(of.Rules)} }

// permits reports whether one of the rules permits a request. Everything on the platform
// includes powers.
func (r role) permits(q *ruleQuery, onPlatform bool) bool {
	if r.index == nil || !q.request.IsResourceRequest() {
		return permits(r.Rules, q.request, onPlatform)
	}
	return r.index.permits(q, onPlatform)
}

// The lists of a rule that the words of a request are looked up in.
const (
	listVerbs = iota
	listGroups
	listResources
	listNames
	ruleLists
)

// anyName stands for the names of a rule without any. No object has this name.
const anyName = "\x00"

var anyNames = []string{anyName}

// listsOf returns the lists of a rule.
func listsOf(rule *rbacv1.PolicyRule) [ruleLists][]string {
	names := rule.ResourceNames
	if len(names) == 0 {
		names = anyNames
	}
	return [ruleLists][]string{listVerbs: rule.Verbs, listGroups: rule.APIGroups, listResources: rule.Resources, listNames: names}
}

// ruleQuery is a request with the words by which an index finds rules, which are hashed
// once for all roles.
type ruleQuery struct {
	request authorizer.Attributes
	words   *queryWords // nil until an index is needed
}

type queryWords [ruleLists][]queryWord

type queryWord struct {
	text string
	hash uint32
}

var wordSeed = maphash.MakeSeed()

func hashWord(word string) uint32 {
	return uint32(maphash.String(wordSeed, word)) //nolint:gosec // a part of the hash is enough
}

// allWords returns the words, one of which a rule needs in each of its lists.
func (q *ruleQuery) allWords() *queryWords {
	if q.words == nil {
		list := func(texts ...string) []queryWord {
			words := make([]queryWord, len(texts))
			for n, text := range texts {
				words[n] = queryWord{text: text, hash: hashWord(text)}
			}
			return words
		}
		resources := list(rbacv1.ResourceAll, q.request.GetResource())
		if subresource := q.request.GetSubresource(); subresource != "" {
			resources = list(rbacv1.ResourceAll, q.request.GetResource()+"/"+subresource, "*/"+subresource)
		}
		q.words = &queryWords{
			listVerbs: list(rbacv1.VerbAll, q.request.GetVerb()), listGroups: list(rbacv1.APIGroupAll, q.request.GetAPIGroup()),
			listResources: resources, listNames: list(anyName, q.request.GetName()),
		}
	}
	return q.words
}

// ruleIndex finds the rules of a role that have the words of a request, so that a decision
// takes a few look-ups however many words users write into a role. It takes about 12 bytes
// for each word.
type ruleIndex struct {
	rules []rbacv1.PolicyRule
	lists [ruleLists]wordTable
}

// wordTable is a hash table of the words in one list of all rules.
type wordTable struct {
	heads   []uint32 // 1 + the number of the first posting, by the hash of its word
	entries []posting
}

// posting is a word in a list of a rule.
type posting struct {
	rule, at uint16
	next     uint32 // as in heads
}

// newRuleIndex returns an index of rules, nil for such as are compared as quickly without
// and for more than users may write.
func newRuleIndex(rules []rbacv1.PolicyRule) *ruleIndex {
	if words(rules) <= fewWords || len(rules) > math.MaxUint16 {
		return nil
	}
	x := &ruleIndex{rules: rules}
	var sizes [ruleLists]int
	for n := range rules {
		for list, texts := range listsOf(&rules[n]) {
			if len(texts) > math.MaxUint16 {
				return nil
			}
			sizes[list] += len(texts)
		}
	}
	for list, size := range sizes {
		x.lists[list] = wordTable{heads: make([]uint32, 1<<max(0, mathbits.Len(uint(size))-1)), entries: make([]posting, 0, size)} //nolint:gosec // a length
	}
	for n := range rules {
		for list, texts := range listsOf(&rules[n]) {
			for at, text := range texts {
				x.add(list, n, at, text)
			}
		}
	}
	for list := range x.lists {
		x.lists[list].entries = slices.Clip(x.lists[list].entries)
	}
	return x
}

func (x *ruleIndex) add(list, rule, at int, text string) {
	table := &x.lists[list]
	head := table.head(hashWord(text))
	// A word that a rule repeats is found once.
	if *head > 0 {
		if last := table.entries[*head-1]; int(last.rule) == rule && x.text(list, last) == text {
			return
		}
	}
	table.entries = append(table.entries, posting{rule: uint16(rule), at: uint16(at), next: *head}) //nolint:gosec // newRuleIndex checks it
	*head = uint32(len(table.entries))                                                              //nolint:gosec // as there are words in a role
}

func (t *wordTable) head(hash uint32) *uint32 { return &t.heads[hash&uint32(len(t.heads)-1)] } //nolint:gosec // a power of two

// text returns the word of a posting.
func (x *ruleIndex) text(list int, p posting) string {
	rule := &x.rules[p.rule]
	switch list {
	case listVerbs:
		return rule.Verbs[p.at]
	case listGroups:
		return rule.APIGroups[p.at]
	case listResources:
		return rule.Resources[p.at]
	}
	return listsOf(rule)[listNames][p.at]
}

// permits is permits for the rules of the index, of a request for a resource.
func (x *ruleIndex) permits(q *ruleQuery, onPlatform bool) bool {
	var buffers [2][MaxRules/64 + 1]uint64
	size := len(x.rules)/64 + 1
	if size > len(buffers[0]) { // administrators may write more
		return x.permitsBy(q, onPlatform, make(ruleSet, size), make(ruleSet, size))
	}
	return x.permitsBy(q, onPlatform, buffers[0][:size], buffers[1][:size])
}

// permitsBy is permits with two empty sets to work with.
func (x *ruleIndex) permitsBy(q *ruleQuery, onPlatform bool, allowing, having ruleSet) bool {
	if !x.collect(listVerbs, q, allowing) {
		return false
	}
	for list := listVerbs + 1; list < ruleLists; list++ {
		clear(having)
		if !x.collect(list, q, having) {
			return false
		}
		allowing.intersect(having)
	}
	for block, bits := range allowing {
		for ; bits != 0; bits &= bits - 1 {
			n := block*64 + mathbits.TrailingZeros64(bits)
			if permitsAllowed(&x.rules[n], q.request, onPlatform) {
				return true
			}
		}
	}
	return false
}

// collect adds the rules to a set that have one of the words of a request in a list. It
// reports whether there are any.
func (x *ruleIndex) collect(list int, q *ruleQuery, into ruleSet) bool {
	table, found := &x.lists[list], false
	for _, word := range q.allWords()[list] {
		for next := *table.head(word.hash); next > 0; {
			one := table.entries[next-1]
			if x.text(list, one) == word.text {
				into.add(int(one.rule))
				found = true
			}
			next = one.next
		}
	}
	return found
}

// ruleSet is a set of numbers of rules.
type ruleSet []uint64

func (s ruleSet) add(n int) { s[n/64] |= 1 << (n % 64) }
func (s ruleSet) intersect(other ruleSet) {
	for n := range s {
		s[n] &= other[n]
	}
}
