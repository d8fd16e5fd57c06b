package objects

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/tidwall/gjson"
	"k8s.io/apimachinery/pkg/util/duration"
)

// none is what kubectl prints for nothing.
const none = "<none>"

// addTables adds what kubectl-like clients print of the types kubectl knows,
// with kubectl's names of the columns.
func (c *Catalog) addTables() {
	for resource, columns := range map[string][]printed{
		"pods": {
			{name: "Ready", cell: func(o gjson.Result, _ time.Time) any {
				ready := len(o.Get("status.containerStatuses.#(ready==true)#").Array())
				return fmt.Sprintf("%d/%d", ready, o.Get("spec.containers.#").Int())
			}},
			text("Status", podReason),
			{name: "Restarts", cell: func(o gjson.Result, _ time.Time) any { return strconv.FormatInt(podRestarts(o), 10) }},
			ageColumn(),
			wide(field("IP", "status.podIP")), wide(field("Node", "spec.nodeName")),
		},
		"nodes": {
			text("Status", nodeConditionText), text("Roles", nodeRoles), ageColumn(), field("Version", "status.nodeInfo.kubeletVersion"),
			wide(field("Internal-IP", `status.addresses.#(type=="InternalIP").address`)),
			wide(field("OS-Image", "status.nodeInfo.osImage")), wide(field("Kernel-Version", "status.nodeInfo.kernelVersion")),
			wide(field("Container-Runtime", "status.nodeInfo.containerRuntimeVersion")),
		},
		"namespaces": {field("Status", "status.phase"), ageColumn()},
		"services": {
			field("Type", "spec.type"), field("Cluster-IP", "spec.clusterIP"), text("External-IP", externalAddresses), text("Port(s)", servicePorts), ageColumn(),
			wide(text("Selector", func(o gjson.Result) string { return pairs(o.Get("spec.selector")) })),
		},
		"configmaps": {{name: "Data", kind: "integer", cell: func(o gjson.Result, _ time.Time) any { return entries(o, "data", "binaryData") }}, ageColumn()},
		"secrets":    {field("Type", "type"), {name: "Data", kind: "integer", cell: func(o gjson.Result, _ time.Time) any { return entries(o, "data") }}, ageColumn()},
		"deployments": {
			ratio("Ready", "status.readyReplicas", "spec.replicas"), integer("Up-to-date", "status.updatedReplicas"), integer("Available", "status.availableReplicas"), ageColumn(),
			wide(templateImages("spec.template")),
		},
		"statefulsets": {ratio("Ready", "status.readyReplicas", "spec.replicas"), ageColumn(), wide(templateImages("spec.template"))},
		"daemonsets": {
			integer("Desired", "status.desiredNumberScheduled"), integer("Current", "status.currentNumberScheduled"), integer("Ready", "status.numberReady"),
			integer("Up-to-date", "status.updatedNumberScheduled"), integer("Available", "status.numberAvailable"),
			text("Node Selector", func(o gjson.Result) string { return pairs(o.Get("spec.template.spec.nodeSelector")) }), ageColumn(), wide(templateImages("spec.template")),
		},
		"replicasets": {integer("Desired", "spec.replicas"), integer("Current", "status.replicas"), integer("Ready", "status.readyReplicas"), ageColumn()},
		"jobs": {
			text("Status", func(o gjson.Result) string { return strings.ToUpper(jobStatus(o)[:1]) + jobStatus(o)[1:] }),
			ratio("Completions", "status.succeeded", "spec.completions"), {name: "Duration", cell: jobDuration}, ageColumn(),
		},
		"cronjobs": {
			field("Schedule", "spec.schedule"), field("Timezone", "spec.timeZone"),
			text("Suspend", func(o gjson.Result) string { return titled(o.Get("spec.suspend").Bool()) }),
			{name: "Active", kind: "integer", cell: func(o gjson.Result, _ time.Time) any { return o.Get("status.active.#").Int() }},
			{name: "Last Schedule", cell: func(o gjson.Result, now time.Time) any {
				if at := o.Get("status.lastScheduleTime").Str; at != "" {
					return age(at, now)
				}
				return none
			}}, ageColumn(),
		},
		"horizontalpodautoscalers": {
			text("Reference", func(o gjson.Result) string {
				return o.Get("spec.scaleTargetRef.kind").Str + "/" + o.Get("spec.scaleTargetRef.name").Str
			}),
			integer("MinPods", "spec.minReplicas"), integer("MaxPods", "spec.maxReplicas"), integer("Replicas", "status.currentReplicas"), ageColumn(),
		},
		"ingresses": {
			field("Class", "spec.ingressClassName"), text("Hosts", func(o gjson.Result) string { return joined(o.Get("spec.rules.#.host")) }),
			text("Address", func(o gjson.Result) string { return joined(o.Get("status.loadBalancer.ingress.#.ip")) }), ageColumn(),
		},
		"networkpolicies": {text("Pod-Selector", func(o gjson.Result) string { return pairs(o.Get("spec.podSelector.matchLabels")) }), ageColumn()},
		"persistentvolumes": {
			field("Capacity", "spec.capacity.storage"), text("Access Modes", accessModes("spec.accessModes")), field("Reclaim Policy", "spec.persistentVolumeReclaimPolicy"),
			field("Status", "status.phase"), text("Claim", func(o gjson.Result) string {
				claim := o.Get("spec.claimRef")
				if !claim.Exists() {
					return ""
				}
				return claim.Get("namespace").Str + "/" + claim.Get("name").Str
			}), field("StorageClass", "spec.storageClassName"), ageColumn(),
		},
		"persistentvolumeclaims": {
			field("Status", "status.phase"), field("Volume", "spec.volumeName"), field("Capacity", "status.capacity.storage"),
			text("Access Modes", accessModes("status.accessModes")), field("StorageClass", "spec.storageClassName"), ageColumn(),
		},
		"storageclasses": {
			field("Provisioner", "provisioner"), field("ReclaimPolicy", "reclaimPolicy"), field("VolumeBindingMode", "volumeBindingMode"),
			{name: "AllowVolumeExpansion", kind: "boolean", cell: func(o gjson.Result, _ time.Time) any { return o.Get("allowVolumeExpansion").Bool() }}, ageColumn(),
		},
		"rolebindings": {roleRef(), ageColumn()}, "clusterrolebindings": {roleRef(), ageColumn()},
		"globalrolebindings": {roleRef(), ageColumn()}, "workspacerolebindings": {roleRef(), ageColumn()},
		"users": {field("Email", "spec.email"), field("Status", "status.state"), ageColumn()},
		"customresourcedefinitions": {
			{name: "Created At", kind: "date", cell: func(o gjson.Result, _ time.Time) any { return o.Get("metadata.creationTimestamp").Str }},
		},
	} {
		c.types[resource].printed = columns
	}
}

func wide(p printed) printed {
	p.wide = true
	return p
}

func text(name string, derive func(gjson.Result) string) printed {
	return printed{name: name, cell: func(o gjson.Result, _ time.Time) any {
		if value := derive(o); value != "" {
			return value
		}
		return none
	}}
}

func field(name, path string) printed {
	return text(name, func(o gjson.Result) string { return o.Get(path).String() })
}

func integer(name, path string) printed {
	return printed{name: name, kind: "integer", cell: func(o gjson.Result, _ time.Time) any { return o.Get(path).Int() }}
}

func ratio(name, part, whole string) printed {
	return printed{name: name, cell: func(o gjson.Result, _ time.Time) any {
		wanted := int64(1) // what Kubernetes defaults both to
		if value := o.Get(whole); value.Exists() {
			wanted = value.Int()
		}
		return fmt.Sprintf("%d/%d", o.Get(part).Int(), wanted)
	}}
}

func roleRef() printed {
	return text("Role", func(o gjson.Result) string { return o.Get("roleRef.kind").Str + "/" + o.Get("roleRef.name").Str })
}

func templateImages(podAt string) printed {
	images := imagesColumn(podAt)
	return text("Images", func(o gjson.Result) string { return strings.ReplaceAll(images.Derive(o).Text, separator, ",") })
}

func entries(o gjson.Result, fields ...string) int64 {
	var n int64
	for _, name := range fields {
		eachOf(o.Get(name), func(_, _ gjson.Result) bool { n++; return true })
	}
	return n
}

func pairs(o gjson.Result) string {
	var all []string
	eachOf(o, func(key, value gjson.Result) bool {
		all = append(all, key.String()+"="+value.String())
		return true
	})
	slices.Sort(all)
	return strings.Join(all, ",")
}

func joined(list gjson.Result) string {
	var all []string
	eachOf(list, func(_, value gjson.Result) bool {
		all = append(all, value.String())
		return true
	})
	return strings.Join(all, ",")
}

func titled(yes bool) string {
	if yes {
		return "True"
	}
	return "False"
}

func nodeConditionText(o gjson.Result) string {
	result := "NotReady"
	switch o.Get(`status.conditions.#(type=="Ready").status`).Str {
	case "True":
		result = "Ready"
	case "":
		result = "Unknown"
	}
	if o.Get("spec.unschedulable").Bool() {
		result += ",SchedulingDisabled"
	}
	return result
}

func nodeRoles(o gjson.Result) string {
	var roles []string
	eachOf(o.Get("metadata.labels"), func(key, _ gjson.Result) bool {
		if role, found := strings.CutPrefix(key.String(), "node-role.kubernetes.io/"); found {
			roles = append(roles, role)
		}
		return true
	})
	slices.Sort(roles)
	return strings.Join(roles, ",")
}

func externalAddresses(o gjson.Result) string {
	if o.Get("spec.type").Str == "ExternalName" {
		return o.Get("spec.externalName").Str
	}
	all := joined(o.Get("spec.externalIPs"))
	for _, field := range []string{"ip", "hostname"} {
		if more := joined(o.Get("status.loadBalancer.ingress.#." + field)); more != "" {
			all = strings.TrimPrefix(all+","+more, ",")
		}
	}
	if all == "" && o.Get("spec.type").Str == "LoadBalancer" {
		return "<pending>"
	}
	return all
}

func servicePorts(o gjson.Result) string {
	var ports []string
	eachOf(o.Get("spec.ports"), func(_, port gjson.Result) bool {
		text := port.Get("port").Raw
		if node := port.Get("nodePort"); node.Int() > 0 {
			text += ":" + node.Raw
		}
		ports = append(ports, text+"/"+port.Get("protocol").String())
		return true
	})
	return strings.Join(ports, ",")
}

func accessModes(path string) func(gjson.Result) string {
	short := map[string]string{"ReadWriteOnce": "RWO", "ReadOnlyMany": "ROX", "ReadWriteMany": "RWX", "ReadWriteOncePod": "RWOP"}
	return func(o gjson.Result) string {
		var modes []string
		eachOf(o.Get(path), func(_, mode gjson.Result) bool {
			modes = append(modes, short[mode.Str])
			return true
		})
		return strings.Join(modes, ",")
	}
}

func jobDuration(o gjson.Result, now time.Time) any {
	started, err := time.Parse(time.RFC3339, o.Get("status.startTime").Str)
	if err != nil {
		return ""
	}
	if ended, err := time.Parse(time.RFC3339, o.Get("status.completionTime").Str); err == nil {
		now = ended
	}
	return duration.HumanDuration(now.Sub(started))
}
