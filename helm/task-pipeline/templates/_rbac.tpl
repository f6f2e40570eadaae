{{- /* A role and its binding to the service account of a program.
       dict: root, component, name, rules (text), and namespace; without namespace it is for the whole cluster. */}}
{{- define "task-pipeline.grant" -}}
{{- $prefix := ternary "" "Cluster" (not (empty .namespace)) }}
apiVersion: rbac.authorization.k8s.io/v1
kind: {{ $prefix }}Role
metadata:
  name: {{ .name }}
  {{- with .namespace }}
  namespace: {{ . }}
  {{- end }}
  labels:
    {{- include "task-pipeline.componentLabels" . | nindent 4 }}
rules:
  {{- .rules | trim | nindent 2 }}
---
{{ include "task-pipeline.binding" (merge (dict "role" .name "kind" (printf "%sRole" $prefix)) .) }}
{{- end }}

{{- /* dict: root, component, name, kind and role to be bound, namespace as above. */}}
{{- define "task-pipeline.binding" -}}
apiVersion: rbac.authorization.k8s.io/v1
kind: {{ ternary "" "Cluster" (not (empty .namespace)) }}RoleBinding
metadata:
  name: {{ .name }}
  {{- with .namespace }}
  namespace: {{ . }}
  {{- end }}
  labels:
    {{- include "task-pipeline.componentLabels" . | nindent 4 }}
roleRef:
  apiGroup: rbac.authorization.k8s.io
  kind: {{ .kind }}
  name: {{ .role }}
subjects:
  - kind: ServiceAccount
    name: {{ include "task-pipeline.name" . }}
    namespace: {{ .root.Release.Namespace }}
{{- end }}
