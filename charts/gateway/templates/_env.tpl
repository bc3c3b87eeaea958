{{/*
Settings by the names of Kong and of its controller. A name of extraEnv that is set here already would be there twice,
which server-side apply refuses with words that don't say where it came from.
*/}}
{{- define "gateway.env" -}}
{{- $own := dict
  "CONTROLLER_INGRESS_CLASS" .Values.ingressClass.name
  "CONTROLLER_PUBLISH_SERVICE" (printf "%s/%s" .Release.Namespace (include "gateway.proxy" .))
  "CONTROLLER_UPDATE_STATUS" (toString .Values.controller.updateStatus)
  "KONG_REAL_IP_HEADER" .Values.client.realIPHeader
  "KONG_REAL_IP_RECURSIVE" (ternary "on" "off" .Values.client.realIPRecursive)
  "LOG_FORMAT" .Values.log.format
  "LOG_LEVEL" .Values.log.level
-}}
{{- with .Values.controller.watchNamespaces }}{{ $_ := set $own "CONTROLLER_WATCH_NAMESPACE" (join "," .) }}{{ end -}}
{{- with .Values.controller.publishStatusAddress }}{{ $_ := set $own "CONTROLLER_PUBLISH_STATUS_ADDRESS" (join "," .) }}{{ end -}}
{{- with .Values.controller.clusterDomain }}{{ $_ := set $own "CONTROLLER_CLUSTER_DOMAIN" . }}{{ end -}}
{{- with .Values.client.trustedIPs }}{{ $_ := set $own "KONG_TRUSTED_IPS" (join "," .) }}{{ end -}}
{{- with .Values.tracing -}}
{{- if .endpoint -}}
{{- $_ := set $own "OTEL_EXPORTER_OTLP_ENDPOINT" .endpoint -}}
{{- $_ := set $own "OTEL_SERVICE_NAME" (.serviceName | default (include "gateway.name" $)) -}}
{{- $_ := set $own "OTEL_TRACES_SAMPLER_ARG" (toString .ratio) -}}
{{- end -}}
{{- end -}}
{{- range .Values.extraEnv -}}
{{- if or (hasKey $own .name) (has .name (list "POD_NAME" "POD_NAMESPACE" "SIDECAR_STATUS")) -}}
{{- fail (printf "extraEnv: %s has a value of its own in this chart; see README.md" .name) -}}
{{- end -}}
{{- end -}}
- name: POD_NAME
  valueFrom:
    fieldRef:
      fieldPath: metadata.name
- name: POD_NAMESPACE
  valueFrom:
    fieldRef:
      fieldPath: metadata.namespace
# Written by the injector; empty where there is no mesh.
- name: SIDECAR_STATUS
  valueFrom:
    fieldRef:
      fieldPath: metadata.annotations['sidecar.istio.io/status']
{{- range $name, $value := $own }}
- name: {{ $name }}
  value: {{ $value | quote }}
{{- end }}
{{- with .Values.extraEnv }}
{{ toYaml . }}
{{- end }}
{{- end -}}
