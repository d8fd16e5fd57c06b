package objects

import (
	"github.com/tidwall/gjson"
	"k8s.io/apimachinery/pkg/runtime/schema"
)

func (c *Catalog) addCore() {
	core := schema.GroupVersion{Version: "v1"}
	c.cluster(core, "nodes", "Node", textColumn("status", nodeStatus)).usage = true
	c.cluster(core, "namespaces", "Namespace", pathColumn("status", "status.phase"))
	pods := c.namespaced(core, "pods", "Pod",
		textColumn("status", podStatus),
		pathColumn("phase", "status.phase"),
		Column{Name: "nodeName", Derive: path("spec.nodeName"), Match: exactly},
		Column{Name: "pvcName", Derive: elements("spec.volumes.#.persistentVolumeClaim.claimName"), Match: element},
		timeColumn("startTime", timeAt("status.startTime")),
		numberColumn("restarts", podRestarts),
		imagesColumn(""),
	)
	pods.demands, pods.keys = true, claimKeys
	c.namespaced(core, "services", "Service")
	c.namespaced(core, "serviceaccounts", "ServiceAccount")
	c.namespaced(core, "configmaps", "ConfigMap").clean = cleanConfigMap
	secrets := c.namespaced(core, "secrets", "Secret", pathColumn("type", "type"))
	secrets.remove = append(secrets.remove, lastApplied)
	secrets.mask = maskSecret
	c.cluster(schema.GroupVersion{Group: "apiextensions.k8s.io", Version: "v1"}, "customresourcedefinitions", "CustomResourceDefinition",
		// One looks for a definition by its name or by its kind.
		Column{Name: "name", Derive: func(o gjson.Result) Value {
			return Value{Text: o.Get("metadata.name").String() + separator + o.Get("spec.names.kind").String()}
		}, Match: containing},
	)
}

func (c *Catalog) addWorkloads() {
	apps := schema.GroupVersion{Group: "apps", Version: "v1"}
	batch := schema.GroupVersion{Group: "batch", Version: "v1"}
	c.namespaced(apps, "deployments", "Deployment",
		textColumn("status", deploymentStatus), timeColumn("updateTime", lastUpdate("lastUpdateTime")), imagesColumn("spec.template"))
	c.namespaced(apps, "statefulsets", "StatefulSet", textColumn("status", deploymentStatus), imagesColumn("spec.template"))
	c.namespaced(apps, "daemonsets", "DaemonSet", textColumn("status", daemonSetStatus), imagesColumn("spec.template"))
	c.namespaced(apps, "replicasets", "ReplicaSet", imagesColumn("spec.template"))
	c.namespaced(batch, "jobs", "Job",
		textColumn("status", jobStatus), timeColumn("updateTime", lastUpdate("lastTransitionTime")), imagesColumn("spec.template"))
	c.namespaced(batch, "cronjobs", "CronJob",
		textColumn("status", cronJobStatus), timeColumn("lastScheduleTime", timeAt("status.lastScheduleTime")), imagesColumn("spec.jobTemplate.spec.template"))
	c.namespaced(schema.GroupVersion{Group: "autoscaling", Version: "v2"}, "horizontalpodautoscalers", "HorizontalPodAutoscaler",
		pathColumn("targetKind", "spec.scaleTargetRef.kind"),
		Column{Name: "targetName", Derive: path("spec.scaleTargetRef.name"), Match: exactly},
	)
}

func (c *Catalog) addNetworking() {
	networking := schema.GroupVersion{Group: "networking.k8s.io", Version: "v1"}
	c.namespaced(networking, "ingresses", "Ingress")
	c.namespaced(networking, "networkpolicies", "NetworkPolicy")
}

func (c *Catalog) addStorage() {
	core := schema.GroupVersion{Version: "v1"}
	class := Column{Name: "storageClassName", Derive: path("spec.storageClassName"), Match: exactly}
	c.cluster(core, "persistentvolumes", "PersistentVolume", pathColumn("status", "status.phase"), class)
	c.namespaced(core, "persistentvolumeclaims", "PersistentVolumeClaim", pathColumn("status", "status.phase"), class).keys = fieldKey("spec.storageClassName")
	c.cluster(schema.GroupVersion{Group: "storage.k8s.io", Version: "v1"}, "storageclasses", "StorageClass")
	snapshot := schema.GroupVersion{Group: "snapshot.storage.k8s.io", Version: "v1"}
	snapshots := c.namespaced(snapshot, "volumesnapshots", "VolumeSnapshot",
		textColumn("status", snapshotStatus),
		Column{Name: "volumeSnapshotClassName", Derive: path("spec.volumeSnapshotClassName"), Match: exactly},
		Column{Name: "persistentVolumeClaimName", Derive: path("spec.source.persistentVolumeClaimName"), Match: exactly},
	)
	snapshots.keys = fieldKey("spec.volumeSnapshotClassName")
	c.cluster(snapshot, "volumesnapshotclasses", "VolumeSnapshotClass",
		pathColumn("deletionPolicy", "deletionPolicy"), pathColumn("driver", "driver")).keys = fieldKey("driver")
	c.cluster(snapshot, "volumesnapshotcontents", "VolumeSnapshotContent",
		Column{Name: "volumeSnapshotClassName", Derive: path("spec.volumeSnapshotClassName"), Match: exactly},
		Column{Name: "volumeSnapshotName", Derive: path("spec.volumeSnapshotRef.name"), Match: exactly},
		Column{Name: "volumeSnapshotNamespace", Derive: path("spec.volumeSnapshotRef.namespace"), Match: exactly},
		// Absent means not ready; upstream crashed on it.
		textColumn("readyToUse", func(o gjson.Result) string {
			if o.Get("status.readyToUse").Bool() {
				return "true"
			}
			return "false"
		}),
	)
}

func (c *Catalog) addRBAC() {
	rbac := schema.GroupVersion{Group: "rbac.authorization.k8s.io", Version: "v1"}
	c.namespaced(rbac, "roles", "Role")
	c.namespaced(rbac, "rolebindings", "RoleBinding")
	c.cluster(rbac, "clusterroles", "ClusterRole")
	c.cluster(rbac, "clusterrolebindings", "ClusterRoleBinding")
}
