package tenant

import (
	"encoding/json"
	"math"
	"net/http"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	quotav1alpha2 "github.com/super-kubenetes/ks-apiserver/api/quota/v1alpha2"
	"github.com/super-kubenetes/ks-apiserver/pkg/quantity"
	"github.com/super-kubenetes/ks-apiserver/pkg/status"
)

// Bounds of a quota, which is copied into each namespace of the workspace.
const (
	// maxQuotaNames is the number of names that are limited.
	maxQuotaNames = 100
	// maxQuotaBytes is the size of the quota as JSON.
	maxQuotaBytes = 64 << 10
)

// CheckAmounts returns an invalid error when a quota has an amount that nobody can work
// with, see package quantity.
func CheckAmounts(field string, hard corev1.ResourceList) error {
	for name, amount := range hard {
		if !quantity.IsBounded(amount) {
			return status.Invalid(field+"["+string(name)+"]", "must be between 0 and %d, with at most 9 digits after the decimal point", int64(math.MaxInt64))
		}
	}
	return nil
}

// CheckAmountTexts returns an invalid error when it would take long to read the amounts in
// the JSON of a quota.
func CheckAmountTexts(text []byte) error {
	if !quantity.IsReadable(text) {
		return status.Invalid("spec", "amounts must be between 0 and %d, with at most 9 digits after the decimal point", int64(math.MaxInt64))
	}
	return nil
}

// ValidateQuotaSize returns an invalid error when a quota limits too many names or is too
// large. One that is so already may become smaller; present is nil for a new one.
func ValidateQuotaSize(present, wanted *quotav1alpha2.ResourceQuota) error {
	names, size := 0, 0
	if present != nil {
		names = len(present.Spec.Quota.Hard)
		encoded, err := json.Marshal(present.Spec.Quota)
		if err != nil {
			return err
		}
		size = len(encoded)
	}
	if err := CheckAmounts("spec.quota.hard", wanted.Spec.Quota.Hard); err != nil {
		return err
	}
	if count := len(wanted.Spec.Quota.Hard); count > max(names, maxQuotaNames) {
		return status.Invalid("spec.quota.hard", "Too many: %d: must have at most %d items", count, maxQuotaNames)
	}
	encoded, err := json.Marshal(wanted.Spec.Quota)
	if err == nil && len(encoded) > max(size, maxQuotaBytes) {
		err = status.Invalid("spec.quota", "Too long: may not be more than %d bytes", maxQuotaBytes)
	}
	return err
}

func validateQuota(present, quota *quotav1alpha2.ResourceQuota) error {
	if err := ValidateQuotaSize(present, quota); err != nil {
		return err
	}
	for name, amount := range quota.Spec.Quota.Hard {
		if amount.Sign() < 0 {
			return status.New(http.StatusUnprocessableEntity, metav1.StatusReasonInvalid, "spec.quota.hard.%s: must not be negative", name)
		}
	}
	return nil
}
