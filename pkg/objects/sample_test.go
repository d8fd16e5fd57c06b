package objects

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"
)

// sample is a pod of the tests: the few fields lists filter and sort by, kept
// as Go values so that expectations do not depend on the code under test.
type sample struct {
	namespace, name, uid, version string
	created                       int64 // Unix seconds, 0 for none
	labels, annotations           map[string]string
	owners                        []owner
	phase, node                   string
	started                       int64
}

type owner struct {
	Kind string `json:"kind"`
	UID  string `json:"uid"`
}

func (s sample) key() string { return s.namespace + "/" + s.name }

func (s sample) json() string {
	metadata := map[string]any{"name": s.name, "namespace": s.namespace, "uid": s.uid, "resourceVersion": s.version}
	if s.created != 0 {
		metadata["creationTimestamp"] = stamp(s.created)
	}
	if s.labels != nil {
		metadata["labels"] = s.labels
	}
	if s.annotations != nil {
		metadata["annotations"] = s.annotations
	}
	if s.owners != nil {
		metadata["ownerReferences"] = s.owners
	}
	state := map[string]any{"phase": s.phase}
	if s.started != 0 {
		state["startTime"] = stamp(s.started)
	}
	encoded, err := json.Marshal(map[string]any{"metadata": metadata, "spec": map[string]any{"nodeName": s.node}, "status": state})
	if err != nil {
		panic(err)
	}
	return string(encoded)
}

func stamp(at int64) string { return time.Unix(at, 0).UTC().Format(time.RFC3339) }

// item is a helper of tests whose objects are good.
func item(kind *Type, object string) *Item {
	result, err := newItem(kind, object)
	if err != nil {
		panic(err)
	}
	return result
}

func mustItem(t testing.TB, kind *Type, object string) *Item {
	t.Helper()
	result, err := newItem(kind, object)
	if err != nil {
		t.Fatal(err)
	}
	return result
}

// realPod is a pod of 4 to 5 KB, shaped like those of a running cluster; with
// managedFields it has the 14 KB kube-apiserver sends.
func realPod(n int, managedFields bool) string {
	name, namespace := fmt.Sprintf("web-%05d-7c9d8b6f5-x%04x", n, n&0xffff), fmt.Sprintf("team-%02d", n%40)
	var b strings.Builder
	fmt.Fprintf(&b, `{"metadata":{"name":%q,"generateName":"web-%05d-7c9d8b6f5-","namespace":%q,"uid":"3f0c1d2e-8a4b-4c6d-9e0f-%012d","resourceVersion":"%d","generation":1,"creationTimestamp":%q,`,
		name, n, namespace, n, 100000+n, stamp(1700000000+int64(n)*37%86400000))
	fmt.Fprintf(&b, `"labels":{"app.kubernetes.io/name":"web-%05d","app.kubernetes.io/part-of":"shop","app.kubernetes.io/version":"1.4.2","pod-template-hash":"7c9d8b6f5","tier":"frontend"},`, n)
	fmt.Fprintf(&b, `"annotations":{"prometheus.io/scrape":"true","prometheus.io/port":"9090","checksum/config":"9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"},`)
	fmt.Fprintf(&b, `"ownerReferences":[{"apiVersion":"apps/v1","kind":"ReplicaSet","name":"web-%05d-7c9d8b6f5","uid":"5b1e7a90-1c2d-4e3f-8a9b-%012d","controller":true,"blockOwnerDeletion":true}]`, n, n)
	if managedFields {
		b.WriteString(`,"managedFields":[`)
		for manager := range 4 {
			if manager > 0 {
				b.WriteByte(',')
			}
			fmt.Fprintf(&b, `{"manager":"manager-%d","operation":"Update","apiVersion":"v1","time":"2026-01-02T03:04:05Z","fieldsType":"FieldsV1","fieldsV1":{`, manager)
			for field := range 40 {
				if field > 0 {
					b.WriteByte(',')
				}
				fmt.Fprintf(&b, `"f:some-field-of-a-pod-%d":{".":{},"f:value":{},"f:other":{}}`, field)
			}
			b.WriteString(`}}`)
		}
		b.WriteByte(']')
	}
	b.WriteString(`},"spec":{"volumes":[{"name":"kube-api-access-q2wzx","projected":{"sources":[{"serviceAccountToken":{"expirationSeconds":3607,"path":"token"}},{"configMap":{"name":"kube-root-ca.crt","items":[{"key":"ca.crt","path":"ca.crt"}]}},{"downwardAPI":{"items":[{"path":"namespace","fieldRef":{"apiVersion":"v1","fieldPath":"metadata.namespace"}}]}}],"defaultMode":420}}],"containers":[`)
	for container := range 2 {
		if container > 0 {
			b.WriteByte(',')
		}
		fmt.Fprintf(&b, `{"name":"c%d","image":"registry.example.com/shop/web-%05d:1.4.2","args":["--listen=:8080","--log-format=json","--config=/etc/web/config.yaml"],"ports":[{"name":"http","containerPort":8080,"protocol":"TCP"},{"name":"metrics","containerPort":9090,"protocol":"TCP"}],"env":[{"name":"POD_NAME","valueFrom":{"fieldRef":{"apiVersion":"v1","fieldPath":"metadata.name"}}},{"name":"DATABASE","value":"postgres://db.shop.svc:5432/shop"}],"resources":{"limits":{"cpu":"500m","memory":"512Mi"},"requests":{"cpu":"100m","memory":"128Mi"}},"volumeMounts":[{"name":"kube-api-access-q2wzx","readOnly":true,"mountPath":"/var/run/secrets/kubernetes.io/serviceaccount"}],"livenessProbe":{"httpGet":{"path":"/livez","port":"http","scheme":"HTTP"},"timeoutSeconds":1,"periodSeconds":10,"successThreshold":1,"failureThreshold":3},"terminationMessagePath":"/dev/termination-log","terminationMessagePolicy":"File","imagePullPolicy":"IfNotPresent"}`, container, n)
	}
	fmt.Fprintf(&b, `],"restartPolicy":"Always","terminationGracePeriodSeconds":30,"dnsPolicy":"ClusterFirst","serviceAccountName":"default","serviceAccount":"default","nodeName":"node-%03d","securityContext":{},"schedulerName":"default-scheduler","tolerations":[{"key":"node.kubernetes.io/not-ready","operator":"Exists","effect":"NoExecute","tolerationSeconds":300},{"key":"node.kubernetes.io/unreachable","operator":"Exists","effect":"NoExecute","tolerationSeconds":300}],"priority":0,"enableServiceLinks":true,"preemptionPolicy":"PreemptLowerPriority"},`, n%200)
	b.WriteString(`"status":{"phase":"Running","conditions":[`)
	for c, condition := range []string{"PodReadyToStartContainers", "Initialized", "Ready", "ContainersReady", "PodScheduled"} {
		if c > 0 {
			b.WriteByte(',')
		}
		fmt.Fprintf(&b, `{"type":%q,"status":"True","lastProbeTime":null,"lastTransitionTime":"2026-01-02T03:04:05Z"}`, condition)
	}
	fmt.Fprintf(&b, `],"hostIP":"10.0.3.%d","podIP":"10.244.7.%d","podIPs":[{"ip":"10.244.7.%d"}],"startTime":"2026-01-02T03:04:05Z","containerStatuses":[`, n%250, n%250, n%250)
	for container := range 2 {
		if container > 0 {
			b.WriteByte(',')
		}
		fmt.Fprintf(&b, `{"name":"c%d","state":{"running":{"startedAt":"2026-01-02T03:04:05Z"}},"lastState":{},"ready":true,"restartCount":0,"image":"registry.example.com/shop/web-%05d:1.4.2","imageID":"registry.example.com/shop/web@sha256:9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08","containerID":"containerd://9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08","started":true}`, container, n)
	}
	b.WriteString(`],"qosClass":"Burstable"}}`)
	return b.String()
}
