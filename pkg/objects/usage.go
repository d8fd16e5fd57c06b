package objects

import (
	"encoding/json"
	"strconv"
	"strings"
	"sync"

	"github.com/tidwall/gjson"
	"github.com/tidwall/sjson"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	resourcehelper "k8s.io/component-helpers/resource"

	"github.com/super-kubenetes/ks-apiserver/pkg/quantity"
)

// amounts are of CPU, in thousandths, and of memory, in bytes.
type amounts struct{ cpuRequests, cpuLimits, memoryRequests, memoryLimits int64 }

// demandWords are those of an item that say what a pod asks of its node, which
// is the first.
const demandWords = 5

func (a amounts) words() []uint64 {
	return []uint64{uint64(a.cpuRequests), uint64(a.cpuLimits), uint64(a.memoryRequests), uint64(a.memoryLimits)} //nolint:gosec // read as it is put here
}

// demand is what a pod asks of its node, "" for nothing of any. Only items of a
// type that demands have it.
func (i *Item) demand() (node string, of amounts) {
	w := i.words[i.labels-demandWords : i.labels]
	return i.part(part(w[0])), amounts{cpuRequests: int64(w[1]), cpuLimits: int64(w[2]), memoryRequests: int64(w[3]), memoryLimits: int64(w[4])} //nolint:gosec // see words
}

// podDemand is what a pod asks of its node, "" when it has none or has ended.
func podDemand(o gjson.Result) (node string, of amounts) {
	phase := o.Get("status.phase").Str
	node = o.Get("spec.nodeName").String()
	if node == "" || phase == string(corev1.PodSucceeded) || phase == string(corev1.PodFailed) {
		return "", amounts{}
	}
	// Only what the sums need is decoded; the rules of adding it up, with init
	// containers and sidecars, are Kubernetes' own.
	pod := &corev1.Pod{}
	pod.Spec.Containers = containers(o.Get("spec.containers"))
	pod.Spec.InitContainers = containers(o.Get("spec.initContainers"))
	if overhead := o.Get("spec.overhead"); overhead.IsObject() && quantity.IsReadable([]byte(overhead.Raw)) {
		_ = json.Unmarshal([]byte(overhead.Raw), &pod.Spec.Overhead)
		pod.Spec.Overhead = quantity.CappedList(pod.Spec.Overhead)
	}
	if total := o.Get("spec.resources"); total.IsObject() {
		pod.Spec.Resources = &corev1.ResourceRequirements{}
		readResources(total, pod.Spec.Resources)
	}
	requests := resourcehelper.PodRequests(pod, resourcehelper.PodResourcesOptions{})
	limits := resourcehelper.PodLimits(pod, resourcehelper.PodResourcesOptions{})
	return node, amounts{
		cpuRequests: demanded(requests.Cpu().MilliValue()), cpuLimits: demanded(limits.Cpu().MilliValue()),
		memoryRequests: demanded(requests.Memory().Value()), memoryLimits: demanded(limits.Memory().Value()),
	}
}

// maxDemand is more than a node has, and so little that the sums of thousands of pods fit.
const maxDemand = 1 << 50

func demanded(amount int64) int64 { return min(max(amount, 0), maxDemand) }

// readResources reads what is asked for of a container or pod.
func readResources(from gjson.Result, into *corev1.ResourceRequirements) {
	if quantity.IsReadable([]byte(from.Raw)) {
		_ = json.Unmarshal([]byte(from.Raw), into)
	}
	into.Requests, into.Limits = quantity.CappedList(into.Requests), quantity.CappedList(into.Limits)
}

func containers(list gjson.Result) []corev1.Container {
	var result []corev1.Container
	list.ForEach(func(_, value gjson.Result) bool {
		container := corev1.Container{}
		if resources := value.Get("resources"); resources.IsObject() {
			readResources(resources, &container.Resources)
		}
		if policy := value.Get("restartPolicy").Str; policy != "" {
			container.RestartPolicy = (*corev1.ContainerRestartPolicy)(&policy)
		}
		result = append(result, container)
		return true
	})
	return result
}

// usage adds up what the pods of each node ask for, as pods come and go, and
// remembers the nodes with the sums written into them.
type usage struct {
	mu    sync.Mutex
	sums  map[string]*amounts
	nodes map[string]annotated
}

// annotated is a node with its sums.
type annotated struct {
	plain, item *Item
	sum         amounts
}

func newUsage() *usage {
	return &usage{sums: make(map[string]*amounts), nodes: make(map[string]annotated)}
}

// change takes a pod out and puts another in; either may be nil.
func (u *usage) change(old, item *Item) {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.add(old, -1)
	u.add(item, 1)
}

func (u *usage) add(item *Item, sign int64) {
	if item == nil {
		return
	}
	node, d := item.demand()
	if node == "" {
		return
	}
	sum, found := u.sums[node]
	if !found {
		sum = &amounts{}
		u.sums[strings.Clone(node)] = sum // the key must not keep the pod's text
	}
	sum.cpuRequests += sign * d.cpuRequests
	sum.cpuLimits += sign * d.cpuLimits
	sum.memoryRequests += sign * d.memoryRequests
	sum.memoryLimits += sign * d.memoryLimits
	if *sum == (amounts{}) {
		delete(u.sums, node)
	}
}

// replace adds up a complete new state, which nobody sees half.
func (u *usage) replace(items []*Item) {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.sums = make(map[string]*amounts)
	for _, item := range items {
		u.add(item, 1)
	}
}

// of returns a node with the annotations of what its pods ask for. A node is
// written anew only when it or its sums have changed.
func (u *usage) of(node *Item) *Item {
	u.mu.Lock()
	defer u.mu.Unlock()
	sum := amounts{}
	if known, found := u.sums[node.Name()]; found {
		sum = *known
	}
	if known, found := u.nodes[node.Name()]; found && known.plain == node && known.sum == sum {
		return known.item
	}
	written := node.as(annotate(node.JSON(), sum))
	if len(u.nodes) > 2*len(u.sums)+1024 { // nodes that are gone
		u.nodes = make(map[string]annotated)
	}
	u.nodes[node.Name()] = annotated{plain: node, item: written, sum: sum}
	return written
}

// annotate adds the annotations the console shows of a node.
func annotate(node string, sum amounts) string {
	allocatable := gjson.Get(node, "status.allocatable")
	cpu, memory := amountOf(allocatable.Get("cpu").Str), amountOf(allocatable.Get("memory").Str)
	values := make(map[string]string)
	gjson.Get(node, "metadata.annotations").ForEach(func(key, value gjson.Result) bool {
		values[key.String()] = value.String()
		return true
	})
	for name, part := range map[string]struct {
		text       string
		used, have int64
	}{
		"cpu-requests":    {resource.NewMilliQuantity(sum.cpuRequests, resource.DecimalSI).String(), sum.cpuRequests, cpu.MilliValue()},
		"cpu-limits":      {resource.NewMilliQuantity(sum.cpuLimits, resource.DecimalSI).String(), sum.cpuLimits, cpu.MilliValue()},
		"memory-requests": {resource.NewQuantity(sum.memoryRequests, resource.BinarySI).String(), sum.memoryRequests, memory.Value()},
		"memory-limits":   {resource.NewQuantity(sum.memoryLimits, resource.BinarySI).String(), sum.memoryLimits, memory.Value()},
	} {
		values["node.kubesphere.io/"+name] = part.text
		fraction := 0.0
		if part.have > 0 {
			fraction = float64(part.used) / float64(part.have) * 100
		}
		values["node.kubesphere.io/"+name+"-fraction"] = strconv.Itoa(int(fraction)) + "%"
	}
	written, err := sjson.Set(node, "metadata.annotations", values)
	if err != nil {
		return node // as it was, rather than not at all
	}
	return written
}

func amountOf(text string) resource.Quantity {
	if !quantity.IsReadable([]byte(text)) {
		return resource.Quantity{}
	}
	parsed, err := resource.ParseQuantity(text)
	if err != nil {
		return resource.Quantity{}
	}
	return quantity.Capped(parsed)
}
