package config

import (
	"encoding/json"
	"log/slog"
	"strings"
)

const mask = "******"

// Secret is a text that is never printed: encoding or logging it gives a mask.
type Secret string

// Reveal returns the text.
func (s Secret) Reveal() string { return string(s) }

// String returns a mask, so that a secret does not end up in a message.
func (s Secret) String() string {
	if s == "" {
		return ""
	}
	return mask
}

// LogValue implements slog.LogValuer.
func (s Secret) LogValue() slog.Value { return slog.StringValue(s.String()) }

// MarshalJSON encodes the mask.
func (s Secret) MarshalJSON() ([]byte, error) { return json.Marshal(s.String()) }

// Section is a part of the configuration without a fixed schema. When it is
// encoded, values whose names suggest a secret are masked.
type Section map[string]any

// MarshalJSON encodes the section with secrets masked.
func (s Section) MarshalJSON() ([]byte, error) { return json.Marshal(masked(map[string]any(s))) }

func masked(value any) any {
	switch value := value.(type) {
	case map[string]any:
		result := make(map[string]any, len(value))
		for key, inner := range value {
			if text, isText := inner.(string); isText && text != "" && secretName(key) {
				inner = mask
			}
			result[key] = masked(inner)
		}
		return result
	case []any:
		result := make([]any, len(value))
		for n, inner := range value {
			result[n] = masked(inner)
		}
		return result
	}
	return value
}

func secretName(key string) bool {
	key = strings.ToLower(key)
	for _, word := range []string{"password", "secret", "token", "credential", "privatekey", "accesskey", "apikey"} {
		if strings.Contains(key, word) {
			return true
		}
	}
	return false
}
