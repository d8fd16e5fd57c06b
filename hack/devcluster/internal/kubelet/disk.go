package kubelet

import (
	"maps"
	"sync"

	corev1 "k8s.io/api/core/v1"
)

// disks hold what was written into containers: each exec gets a new shell, and
// what the one before wrote must be there.
type disks struct {
	mu      sync.Mutex
	written map[string]map[string]string
}

// disk is the file system of a container.
type disk struct {
	disks *disks
	key   string
}

// of is the disk of a container, as long as the pod lives.
func (d *disks) of(pod *corev1.Pod, container string) disk {
	return disk{disks: d, key: string(pod.UID) + "/" + container}
}

// onto adds what was written to what every container holds.
func (d disk) onto(files map[string]string) {
	if d.disks == nil {
		return
	}
	d.disks.mu.Lock()
	defer d.disks.mu.Unlock()
	maps.Copy(files, d.disks.written[d.key])
}

// write keeps a file. A name that ends in / is a directory.
func (d disk) write(name, content string) {
	if d.disks == nil {
		return
	}
	d.disks.mu.Lock()
	defer d.disks.mu.Unlock()
	if d.disks.written == nil {
		d.disks.written = make(map[string]map[string]string)
	}
	if d.disks.written[d.key] == nil {
		d.disks.written[d.key] = make(map[string]string)
	}
	d.disks.written[d.key][name] = content
}
