package v1alpha2

import "strings"

// NormalizeEmail returns the form in which e-mail addresses are compared: the
// domain in lower case (RFC 5321, section 2.4). The part before it stays, which
// only the mail server of the domain can compare.
func NormalizeEmail(address string) string {
	at := strings.LastIndexByte(address, '@')
	if at < 0 {
		return address
	}
	if domain := strings.ToLower(address[at:]); domain != address[at:] {
		return address[:at] + domain
	}
	return address
}
