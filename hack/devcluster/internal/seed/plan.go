package seed

import (
	"fmt"
	"math/rand/v2"
)

const (
	// averageReplicas of a deployment in a seed that is not very large.
	averageReplicas = 5
	// manyPods is the number above which deployments grow in size rather than
	// in number: controllers look at each of them at every start.
	manyPods = 20_000
	// podsPerNamespace is how a seed spreads over namespaces.
	podsPerNamespace = 150
	maxNamespaces    = 400
)

var (
	domains = []string{
		"shop", "billing", "search", "media", "identity", "catalog", "shipping", "analytics",
		"messaging", "pricing", "reviews", "inventory", "support", "mobile", "partners", "platform",
	}
	stages     = []string{"prod", "staging", "dev"}
	components = []string{
		"api", "web", "worker", "gateway", "scheduler", "cache", "indexer", "consumer",
		"exporter", "frontend", "sync", "notifier", "auth", "reports", "router", "importer",
	}
)

// workload is a deployment and its pods.
type workload struct {
	namespace string
	name      string
	component string
	replicas  int
}

// namespaceName is the name of namespace number i.
func namespaceName(i int) string {
	name := domains[i%len(domains)] + "-" + stages[i/len(domains)%len(stages)]
	if round := i / (len(domains) * len(stages)); round > 0 {
		return fmt.Sprintf("%s-%d", name, round+1)
	}
	return name
}

// planSettled divides pods among deployments. The same number always gives the
// same names, so that a plan can be repeated.
func planSettled(pods int) []workload {
	if pods == 0 {
		return nil
	}
	random := rand.New(rand.NewPCG(1, uint64(pods)))
	namespaces := min(max(8, pods/podsPerNamespace), maxNamespaces)
	scale := max(1, pods/manyPods)
	var plan []workload
	for left := pods; left > 0; {
		i := len(plan)
		// 1 to 9, few of them large.
		replicas := min(left, (1+random.IntN(averageReplicas)+random.IntN(averageReplicas))*scale)
		left -= replicas
		component := components[(i/namespaces)%len(components)]
		name := component
		if round := i / namespaces / len(components); round > 0 {
			name = fmt.Sprintf("%s-v%d", component, round+1)
		}
		plan = append(plan, workload{
			namespace: namespaceName(i % namespaces),
			name:      name,
			component: component,
			replicas:  replicas,
		})
	}
	return plan
}

// namespacesOf lists the namespaces of a plan, each once.
func namespacesOf(plan []workload) []string {
	var names []string
	seen := map[string]bool{}
	for _, w := range plan {
		if !seen[w.namespace] {
			seen[w.namespace] = true
			names = append(names, w.namespace)
		}
	}
	return names
}
