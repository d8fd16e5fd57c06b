package quantity

import (
	"math"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
)

// maxDigits is how many digits an amount has at most before and after the decimal point:
// those of the largest int64, and of a nano.
const (
	maxDigits   = 19
	maxFraction = 9
	maxBits     = 63 + 30 // of all of these digits, 10^9 is less than 2^30
)

// IsBounded reports whether an amount has a magnitude that can be worked with. It does not
// work with it.
func IsBounded(q resource.Quantity) bool {
	q = q.DeepCopy() // AsDec changes it
	amount := q.AsDec()
	scale, bits := int64(amount.Scale()), amount.UnscaledBig().BitLen()
	if bits == 0 {
		return scale >= -maxDigits && scale <= maxFraction
	}
	return bits <= maxBits && scale <= maxFraction && -scale <= maxDigits && (scale > 0 || bits+int(-scale)*3 <= maxBits)
}

// AreBounded reports whether all amounts of a list are.
func AreBounded(list corev1.ResourceList) bool {
	for _, one := range list {
		if !IsBounded(one) {
			return false
		}
	}
	return true
}

// Capped returns an amount that is bounded: itself, or the largest or smallest there is.
func Capped(q resource.Quantity) resource.Quantity {
	if IsBounded(q) {
		return q
	}
	q = q.DeepCopy()
	switch amount := q.AsDec(); {
	case amount.UnscaledBig().Sign() < 0:
		return *resource.NewQuantity(math.MinInt64, q.Format)
	case amount.Scale() > maxFraction && amount.UnscaledBig().BitLen() <= maxBits, amount.UnscaledBig().Sign() == 0:
		return *resource.NewQuantity(0, q.Format)
	}
	return *resource.NewQuantity(math.MaxInt64, q.Format)
}

// CappedList returns a list with all amounts capped: itself if they are bounded.
func CappedList(list corev1.ResourceList) corev1.ResourceList {
	if AreBounded(list) {
		return list
	}
	capped := make(corev1.ResourceList, len(list))
	for name, one := range list {
		capped[name] = Capped(one)
	}
	return capped
}

const (
	// maxText is how many digits of an amount are read, and maxExponent how many its
	// exponent has.
	maxText     = 64
	maxExponent = 2
)

// IsReadable reports whether JSON has no text or number that it takes long to read as an
// amount. That of an amount is not unescaped.
func IsReadable(text []byte) bool {
	for n := 0; n < len(text); {
		if !isDigit(text[n]) {
			n++
			continue
		}
		first := n
		for n < len(text) && isDigit(text[n]) {
			n++
		}
		before := first - 1
		if before >= 0 && isSign(text[before]) {
			before--
		}
		if before >= 0 && !begins(text[before]) {
			continue // a part of a word
		}
		long := n-first > maxText
		if n < len(text) && (text[n] == 'e' || text[n] == 'E') {
			n++
			if n < len(text) && isSign(text[n]) {
				n++
			}
			for n < len(text) && text[n] == '0' {
				n++
			}
			exponent := n
			for n < len(text) && isDigit(text[n]) {
				n++
			}
			long = long || n-exponent > maxExponent
		}
		if long && (n == len(text) || ends(text[n])) {
			return false
		}
	}
	return true
}

func isDigit(c byte) bool { return '0' <= c && c <= '9' || c == '.' }

func isSign(c byte) bool { return c == '+' || c == '-' }

// begins and ends report whether a byte may come before and after an amount.
func begins(c byte) bool { return ends(c) || c == ':' || c == '[' }

func ends(c byte) bool {
	switch c {
	case '"', ' ', '\t', '\r', '\n', ',', '}', ']':
		return true
	}
	return false
}
