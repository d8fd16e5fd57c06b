// Package quantity bounds amounts of resources that tenants write. Kubernetes takes exponents
// of any size, such as 1e1000000, whose digits are written out as soon as such an amount is
// added, compared or formatted: that takes minutes, or all memory.
package quantity
