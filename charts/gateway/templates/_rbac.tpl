{{/* What is read of namespaces and written to them: everywhere, or only where it is told to look. */}}
{{- define "gateway.rbac.namespaced" }}
  - apiGroups: [""]
    resources: [services, secrets]
    verbs: [list, watch]
  - apiGroups: [discovery.k8s.io]
    resources: [endpointslices]
    verbs: [list, watch]
  - apiGroups: [networking.k8s.io]
    resources: [ingresses]
    verbs: [list, watch]
  - apiGroups: [configuration.konghq.com]
    resources: [ingressclassparameterses, kongconsumers, kongplugins, kongupstreampolicies]
    verbs: [list, watch]
  {{- if .Values.controller.updateStatus }}
  - apiGroups: [networking.k8s.io]
    resources: [ingresses/status]
    verbs: [patch]
  - apiGroups: [configuration.konghq.com]
    resources: [kongconsumers/status, kongplugins/status]
    verbs: [patch]
  {{- end }}
{{- end }}

{{/* And what belongs to none. */}}
{{- define "gateway.rbac.cluster" }}
  - apiGroups: [networking.k8s.io]
    resources: [ingressclasses]
    verbs: [list, watch]
  - apiGroups: [configuration.konghq.com]
    resources: [kongclusterplugins]
    verbs: [list, watch]
  {{- if .Values.controller.updateStatus }}
  - apiGroups: [configuration.konghq.com]
    resources: [kongclusterplugins/status]
    verbs: [patch]
  # About objects of the cluster they are written to another namespace than ours.
  - apiGroups: [""]
    resources: [events]
    verbs: [create, patch]
  {{- end }}
{{- end }}
