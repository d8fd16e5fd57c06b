package tenant

import (
	"net/http"

	quotav1alpha2 "github.com/super-kubenetes/ks-apiserver/api/quota/v1alpha2"
	"github.com/super-kubenetes/ks-apiserver/pkg/authz"
	"github.com/super-kubenetes/ks-apiserver/pkg/route"
	"github.com/super-kubenetes/ks-apiserver/pkg/status"
	"github.com/super-kubenetes/ks-apiserver/pkg/tenant"
)

// quotas are those of workspaces.
var quotas = quotav1alpha2.Resource("resourcequotas")

// readQuota reads a quota, whose amounts are looked at before they are read.
func readQuota(r *http.Request) (*quotav1alpha2.ResourceQuota, error) {
	text, err := route.ReadBody(r)
	if err != nil {
		return nil, err
	}
	if err := tenant.CheckAmountTexts(text); err != nil {
		return nil, err
	}
	quota := &quotav1alpha2.ResourceQuota{}
	return quota, route.Decode("the body", text, quota)
}

func (h *Handler) createQuota(w http.ResponseWriter, r *http.Request) error {
	wanted, err := readQuota(r)
	if err != nil {
		return err
	}
	if err := authz.CheckFields(r.Context(), h.Rights, caller(r), quotas, nil, wanted); err != nil {
		return err
	}
	release, err := h.Limits.Reserve(r.Context(), caller(r), tenant.QuotasPerWorkspace, r.PathValue("workspace"), 1)
	if err != nil {
		return err
	}
	defer release()
	created, err := h.Quotas.Create(r.Context(), r.PathValue("workspace"), wanted)
	if err != nil {
		return err
	}
	return writeQuota(w, created)
}

func (h *Handler) getQuota(w http.ResponseWriter, r *http.Request) error {
	found, err := h.Quotas.Get(r.Context(), r.PathValue("workspace"), r.PathValue("resourcequota"))
	if err != nil {
		return err
	}
	return writeQuota(w, found)
}

func (h *Handler) updateQuota(w http.ResponseWriter, r *http.Request) error {
	wanted, err := readQuota(r)
	if err != nil {
		return err
	}
	if name := r.PathValue("resourcequota"); wanted.Name != name {
		return status.BadRequest("the name of the object (%s) is not the one in the URL (%s)", wanted.Name, name)
	}
	updated, err := h.Quotas.Update(r.Context(), r.PathValue("workspace"), wanted, func(before, after *quotav1alpha2.ResourceQuota) error { //nolint:contextcheck // the request's
		if err := authz.CheckLock(r.Context(), h.Rights, caller(r), quotas, before); err != nil {
			return err
		}
		return authz.CheckFields(r.Context(), h.Rights, caller(r), quotas, before, after)
	})
	if err != nil {
		return err
	}
	return writeQuota(w, updated)
}

func (h *Handler) deleteQuota(w http.ResponseWriter, r *http.Request) error {
	err := h.Quotas.Delete(r.Context(), r.PathValue("workspace"), r.PathValue("resourcequota"), func(found *quotav1alpha2.ResourceQuota) error { //nolint:contextcheck // the request's
		return authz.CheckLock(r.Context(), h.Rights, caller(r), quotas, found)
	})
	if err != nil {
		return err
	}
	route.WriteSuccess(w)
	return nil
}

func writeQuota(w http.ResponseWriter, quota *quotav1alpha2.ResourceQuota) error {
	return write(w, quota, quotav1alpha2.SchemeGroupVersion.String(), "ResourceQuota")
}
