package token

import (
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"slices"
	"strings"
	"testing"
	"time"
)

var epoch = time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)

// rotation of the tests: a key signs for a day, is announced an hour before
// and kept for two hours after.
var rotation = Rotation{Period: 24 * time.Hour, Announce: time.Hour, Retain: 2 * time.Hour}

func mustNext(t testing.TB, keys Keys, at time.Time) (Keys, bool) {
	t.Helper()
	next, changed, err := rotation.Next(keys, at, rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return next, changed
}

// TestP22Rotation walks a clock through the life of keys.
func TestP22Rotation(t *testing.T) {
	type step struct {
		name    string
		at      time.Duration // since epoch
		changed bool
		keys    string // by the order they were made, A first
		active  string
	}
	for _, test := range []struct {
		name  string
		steps []step
	}{
		{"a life", []step{
			{"first key", 0, true, "A", "A"},
			{"nothing to do", time.Minute, false, "A", "A"},
			{"not yet announced", 23*time.Hour - time.Second, false, "A", "A"},
			{"announced before it is used", 23 * time.Hour, true, "AB", "A"},
			{"announced once", 24*time.Hour - time.Second, false, "AB", "A"},
			{"takes over", 24 * time.Hour, false, "AB", "B"},
			{"the former is kept for its tokens", 26 * time.Hour, false, "AB", "B"},
			{"retired", 26*time.Hour + time.Second, true, "B", "B"},
			{"the next", 47 * time.Hour, true, "BC", "B"},
			{"takes over as well", 48 * time.Hour, false, "BC", "C"},
		}},
		{"nobody rotated in time", []step{
			{"first key", 0, true, "A", "A"},
			{"a week later a key is announced all the same", 7 * 24 * time.Hour, true, "AB", "A"},
			{"and used after that", 7*24*time.Hour + time.Hour, false, "AB", "B"},
			{"the former is kept from then on", 7*24*time.Hour + 3*time.Hour, false, "AB", "B"},
			{"retired", 7*24*time.Hour + 3*time.Hour + time.Second, true, "B", "B"},
		}},
		{"nobody rotated after the announcement", []step{
			{"first key", 0, true, "A", "A"},
			{"announced", 23 * time.Hour, true, "AB", "A"},
			{"a week later the former goes and the next is announced", 7 * 24 * time.Hour, true, "BC", "B"},
		}},
		// The key of before the announced one was appended at the end, so that
		// replicas disagreed about which key signs until they read it again.
		{"the clock goes back", []step{
			{"first key", 0, true, "A", "A"},
			{"an hour back a key is needed at once", -time.Hour, true, "BA", "B"},
			{"the first takes over again", 0, false, "BA", "A"},
			{"and the other is retired", 2*time.Hour + time.Second, true, "A", "A"},
		}},
		{"a little back", []step{
			{"first key", 0, true, "A", "A"},
			{"announced", 23 * time.Hour, true, "AB", "A"},
			{"before the announcement", 22 * time.Hour, false, "AB", "A"},
		}},
	} {
		t.Run(test.name, func(t *testing.T) {
			var keys Keys
			letters := map[string]string{}
			name := func(key Key) string {
				if letters[key.ID] == "" {
					letters[key.ID] = string(rune('A' + len(letters)))
				}
				return letters[key.ID]
			}
			for _, step := range test.steps {
				now := epoch.Add(step.at)
				before := slices.Clone(keys)
				next, changed := mustNext(t, keys, now)
				if !slices.EqualFunc(keys, before, func(a, b Key) bool { return a.ID == b.ID }) {
					t.Fatalf("%s: the keys before were changed", step.name)
				}
				for _, key := range next { // letters go by age
					if !slices.ContainsFunc(keys, func(known Key) bool { return known.ID == key.ID }) {
						name(key)
					}
				}
				keys = next
				got := ""
				for _, key := range keys {
					got += name(key)
				}
				active, found := keys.Active(now)
				if changed != step.changed || got != step.keys || !found || name(active) != step.active {
					t.Fatalf("%s: changed %v, keys %s, active %s; want %v, %s, %s", step.name, changed, got, name(active), step.changed, step.keys, step.active)
				}
				if !slices.IsSortedFunc(keys, func(a, b Key) int { return a.ActiveFrom.Compare(b.ActiveFrom) }) {
					t.Fatalf("%s: not in order", step.name)
				}
				// A replica that reads what was written sees the same.
				encoded, err := keys.Encode()
				if err != nil {
					t.Fatal(err)
				}
				decoded, err := DecodeKeys(encoded)
				if err != nil {
					t.Fatal(err)
				}
				if other, _ := decoded.Active(now); other.ID != active.ID {
					t.Fatalf("%s: another replica signs with %s", step.name, name(other))
				}
				if again, changed := mustNext(t, decoded, now); changed {
					t.Fatalf("%s: another replica changes %d keys to %d", step.name, len(decoded), len(again))
				}
			}
		})
	}
}

func TestRotationWithoutRandomness(t *testing.T) {
	if next, changed, err := rotation.Next(nil, epoch, strings.NewReader("")); err == nil {
		// Go may take its own randomness for the key, never for the ID.
		t.Errorf("%d keys, changed %v", len(next), changed)
	}
}

func TestKeysRoundTrip(t *testing.T) {
	keys, _ := mustNext(t, nil, epoch)
	keys, _ = mustNext(t, keys, epoch.Add(23*time.Hour))
	encoded, err := keys.Encode()
	if err != nil {
		t.Fatal(err)
	}
	slices.Reverse(keys)
	decoded, err := DecodeKeys(encoded)
	if err != nil {
		t.Fatal(err)
	}
	slices.Reverse(keys)
	if len(decoded) != 2 {
		t.Fatalf("%d keys", len(decoded))
	}
	for n, key := range keys {
		got := decoded[n]
		if got.ID != key.ID || !got.ActiveFrom.Equal(key.ActiveFrom) || !ecdsaKey(got).Equal(key.Private) {
			t.Errorf("key %d is %s from %s, want %s from %s", n, got.ID, got.ActiveFrom, key.ID, key.ActiveFrom)
		}
	}
	if empty, err := DecodeKeys([]byte(`[]`)); err != nil || len(empty) != 0 {
		t.Errorf("no keys: %v, %v", empty, err)
	}
}

// TestDecodeErrorsHideKeys: errors are logged, so that they must not quote
// what they are about.
func TestDecodeErrorsHideKeys(t *testing.T) {
	keys, _ := mustNext(t, nil, epoch)
	encoded, err := keys.Encode()
	if err != nil {
		t.Fatal(err)
	}
	var stored []map[string]any
	if err := json.Unmarshal(encoded, &stored); err != nil {
		t.Fatal(err)
	}
	private := stored[0]["privateKey"].(string)
	block, _ := pem.Decode([]byte(private))
	secret := base64.StdEncoding.EncodeToString(block.Bytes)
	other, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.MarshalPKCS8PrivateKey(other)
	if err != nil {
		t.Fatal(err)
	}
	ofRSA := string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}))
	for _, test := range []struct{ name, data string }{
		{"cut off", string(encoded[:len(encoded)-20])},
		{"no JSON", "x" + string(encoded)},
		{"PEM instead of JSON", private},
		{"key of the wrong type", `[{"kid":"a","alg":"ES256","activeFrom":"2026-01-02T03:04:05Z","privateKey":{"` + secret + `":1}}]`},
		{"time that is a key", `[{"kid":"a","alg":"ES256","activeFrom":"` + secret + `","privateKey":""}]`},
		{"no PEM", `[{"kid":"a","alg":"ES256","privateKey":"` + secret + `"}]`},
		{"no PKCS #8", `[{"kid":"a","alg":"ES256","privateKey":"-----BEGIN PRIVATE KEY-----\n` + secret[:40] + `\n-----END PRIVATE KEY-----\n"}]`},
		{"RSA", string(mustJSON(t, []map[string]string{{"kid": "a", "alg": "ES256", "privateKey": ofRSA}}))},
		{"another algorithm", string(mustJSON(t, []map[string]string{{"kid": "a", "alg": "HS256", "privateKey": private}}))},
	} {
		t.Run(test.name, func(t *testing.T) {
			_, err := DecodeKeys([]byte(test.data))
			if err == nil {
				t.Fatal("accepted")
			}
			for n := 0; n+16 <= len(secret); n += 8 {
				if strings.Contains(err.Error(), secret[n:n+16]) {
					t.Fatalf("it quotes the key: %v", err)
				}
			}
		})
	}
}

func mustJSON(t testing.TB, value any) []byte {
	t.Helper()
	encoded, err := json.Marshal(value)
	if err != nil {
		t.Fatal(err)
	}
	return encoded
}

// TestP23PublicKeysOnly: what is published has no private part.
func TestP23PublicKeysOnly(t *testing.T) {
	keys, _ := mustNext(t, nil, epoch)
	public, err := keys.Public()
	if err != nil {
		t.Fatal(err)
	}
	var fields struct{ Keys []map[string]any }
	if err := json.Unmarshal(mustJSON(t, public), &fields); err != nil {
		t.Fatal(err)
	}
	allowed := []string{"alg", "crv", "kid", "kty", "use", "x", "y"}
	for field := range fields.Keys[0] {
		if !slices.Contains(allowed, field) {
			t.Errorf("field %s is published", field)
		}
	}
	d, err := ecdsaKey(keys[0]).Bytes()
	if err != nil {
		t.Fatal(err)
	}
	if strings.Contains(string(mustJSON(t, public)), base64.RawURLEncoding.EncodeToString(d)) {
		t.Error("the private key is published")
	}
	if none, err := (Keys{}).Public(); err != nil || string(mustJSON(t, none)) != `{"keys":[]}` {
		t.Errorf("no keys are %s, %v", mustJSON(t, none), err)
	}
}
