package objects

// Size is how much of a type is kept in memory.
type Size struct {
	// Resource is the type with its group, such as deployments.apps.
	Resource string
	Objects  int
	// Bytes are those of the stored objects: what a type takes is up to half more.
	Bytes int
}

// Sizes returns how much is kept of each type.
func (c *Cache) Sizes() []Size {
	c.mu.RLock()
	defer c.mu.RUnlock()
	sizes := make([]Size, 0, len(c.feeds))
	for _, f := range c.feeds {
		objects, bytes := f.store.size()
		sizes = append(sizes, Size{Resource: f.store.kind.GroupResource().String(), Objects: objects, Bytes: bytes})
	}
	return sizes
}

func (s *Store) size() (objects, bytes int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.all.len(), s.history.store
}
