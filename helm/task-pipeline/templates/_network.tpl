{{- /* Rules that several NetworkPolicies share. */}}

{{- define "task-pipeline.egress.dns" -}}
- ports:
    - {protocol: UDP, port: 53}
    - {protocol: TCP, port: 53}
{{- end }}

{{- /* The API server has no pod to select: it is known by its ports. */}}
{{- define "task-pipeline.egress.api" -}}
- ports:
    {{- range .Values.networkPolicy.apiServerPorts }}
    - {protocol: TCP, port: {{ . }}}
    {{- end }}
{{- end }}

{{- /* Who may read metrics; nothing: nobody. dict: root, port (its name). */}}
{{- define "task-pipeline.ingress.metrics" -}}
{{- with .root.Values.networkPolicy.metricsFrom }}
- from:
    {{- toYaml . | nindent 4 }}
  ports:
    - {protocol: TCP, port: {{ $.port }}}
{{- end }}
{{- end }}

{{- /* dict: root, component, ingress and egress (texts). */}}
{{- define "task-pipeline.networkPolicy" -}}
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata:
  {{- include "task-pipeline.metadata" . | nindent 2 }}
spec:
  podSelector:
    matchLabels:
      {{- include "task-pipeline.selector" . | nindent 6 }}
  policyTypes: [Ingress, Egress]
  {{- with .ingress }}
  ingress:
    {{- . | trim | nindent 4 }}
  {{- end }}
  egress:
    {{- .egress | trim | nindent 4 }}
{{- end }}
