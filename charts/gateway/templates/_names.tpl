{{/* What everything is called by: for release kong-istio it is kong-istio-kong, as with Kong's chart. */}}
{{- define "gateway.name" -}}
{{- .Values.fullnameOverride | default (printf "%s-kong" .Release.Name) | trunc 56 | trimSuffix "-" -}}
{{- end -}}

{{- define "gateway.proxy" -}}
{{- include "gateway.name" . }}-proxy
{{- end -}}

{{- define "gateway.account" -}}
{{- .Values.serviceAccount.name | default (include "gateway.name" .) -}}
{{- end -}}

{{/* By these pods are selected; they can't change in the life of a release. */}}
{{- define "gateway.selector" -}}
app.kubernetes.io/name: kong
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/component: app
{{- end -}}

{{- define "gateway.labels" -}}
app.kubernetes.io/name: kong
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ .Chart.Name }}-{{ .Chart.Version }}
{{- end -}}

{{- define "gateway.image" -}}
{{- with .Values.image -}}
{{- if .digest -}}
{{ .repository }}@{{ .digest }}
{{- else -}}
{{ .repository }}:{{ .tag | default $.Chart.AppVersion }}
{{- end -}}
{{- end -}}
{{- end -}}

{{/* Of a container that needs nothing but its own memory. */}}
{{- define "gateway.containerSecurity" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
capabilities:
  drop: [ALL]
{{- end -}}

{{/* Not 1337, which is the sidecar's: what runs as that isn't intercepted. */}}
{{- define "gateway.podSecurity" -}}
runAsNonRoot: true
runAsUser: 65532
runAsGroup: 65532
seccompProfile:
  type: RuntimeDefault
{{- end -}}

{{/* Addresses that a sidecar leaves alone, as CIDR ranges with commas. */}}
{{- define "gateway.excludedRanges" -}}
{{- $ranges := .Values.istio.excludeOutboundIPRanges -}}
{{- if .Values.istio.excludeApiServer -}}
{{- $service := lookup "v1" "Service" "default" "kubernetes" -}}
{{- range ($service.spec | default dict).clusterIPs -}}
{{- $ranges = append $ranges (printf "%s/%s" . (ternary "128" "32" (contains ":" .))) -}}
{{- end -}}
{{- end -}}
{{- $ranges | uniq | join "," -}}
{{- end -}}
