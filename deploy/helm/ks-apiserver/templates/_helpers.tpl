{{/*
Names are fixed, not derived from the release: the console and existing clients
look for the Service ks-apiserver and the ConfigMap kubesphere-config in the
namespace kubesphere-system, and ks-apiserver keeps its Secrets there. A release
elsewhere would install and then not work, so it is refused.
*/}}
{{- define "ks-apiserver.namespace" -}}
{{- if ne .Release.Namespace "kubesphere-system" -}}
{{- fail (printf "ks-apiserver has to be installed into the namespace kubesphere-system, not %s: add --namespace kubesphere-system --create-namespace" .Release.Namespace) -}}
{{- end -}}
{{- .Release.Namespace -}}
{{- end -}}

{{- define "ks-apiserver.selectorLabels" -}}
app.kubernetes.io/name: ks-apiserver
{{- end -}}

{{- define "ks-apiserver.labels" -}}
{{ include "ks-apiserver.selectorLabels" . }}
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
app.kubernetes.io/part-of: kubesphere
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" }}
{{- end -}}
