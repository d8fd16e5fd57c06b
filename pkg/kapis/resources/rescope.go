package resources

import (
	"context"

	"github.com/super-kubenetes/ks-apiserver/pkg/objects"
)

// rescope restricts a watch to what the caller sees now. Objects that begin to be seen
// are added, and those that cease to be are deleted, as Kubernetes does with objects
// that begin or cease to match a selector.
func (s *stream) rescope(ctx context.Context) error {
	selection, kind := s.selection, s.form.kind
	visible, err := s.handler.visible(s.request, kind, selection.Namespace)
	if err != nil {
		return nil //nolint:nilerr // what is visible is not known, so that nothing is known to have changed
	}
	if !kind.Namespaced && visible != nil {
		visible = s.withTerminating(visible)
	}
	if visible.Same(selection.Only) {
		return nil
	}
	selection.Only = visible
	matcher, err := kind.Matcher(selection)
	if err != nil {
		return err
	}
	release, err := s.share.Wait(ctx, s.watching.ReselectWork(s.matcher, matcher))
	if err != nil {
		return err
	}
	events, err := func() ([]objects.Event, error) {
		defer release()
		return s.watching.Reselect(s.matcher, matcher)
	}()
	if err != nil {
		s.fail(err)
		return err
	}
	s.selection, s.matcher = selection, matcher
	for _, event := range events {
		if err := s.event(ctx, event); err != nil {
			return err
		}
	}
	return s.flush()
}

// withTerminating adds the objects the watch has shown and that are being deleted: their
// roles go first, and their DELETED event is still pending.
func (s *stream) withTerminating(visible *objects.Only) *objects.Only {
	view, found := s.handler.Cache.Present(s.form.kind)
	if !found {
		return visible
	}
	var names []string
	for _, name := range s.selection.Only.Without(visible) {
		if item := view.Get("", name); item != nil && item.Field("metadata.deletionTimestamp").Exists() {
			names = append(names, name)
		}
	}
	if len(names) == 0 {
		return visible
	}
	return objects.NewOnly(append(names, visible.Names()...))
}
