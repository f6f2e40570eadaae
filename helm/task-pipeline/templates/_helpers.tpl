{{- /* Names, labels and the image. The parts of one program take (dict "root" $ "component" "server"). */}}

{{- define "task-pipeline.fullname" -}}
{{- if .Values.fullnameOverride }}
{{- .Values.fullnameOverride }}
{{- else if contains .Chart.Name .Release.Name }}
{{- .Release.Name | trunc 40 | trimSuffix "-" }}
{{- else }}
{{- printf "%s-%s" (.Release.Name | trunc 26 | trimSuffix "-") .Chart.Name }}
{{- end }}
{{- end }}

{{- define "task-pipeline.name" -}}
{{ include "task-pipeline.fullname" .root }}-{{ .component }}
{{- end }}

{{- define "task-pipeline.selector" -}}
app.kubernetes.io/name: {{ .root.Chart.Name }}
app.kubernetes.io/instance: {{ .root.Release.Name }}
app.kubernetes.io/component: {{ .component }}
{{- end }}

{{- define "task-pipeline.labels" -}}
helm.sh/chart: {{ .Chart.Name }}-{{ .Chart.Version | replace "+" "_" }}
app.kubernetes.io/name: {{ .Chart.Name }}
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
app.kubernetes.io/part-of: task-pipeline
{{- with .Values.commonLabels }}
{{ toYaml . }}
{{- end }}
{{- end }}

{{- define "task-pipeline.componentLabels" -}}
{{ include "task-pipeline.labels" .root }}
app.kubernetes.io/component: {{ .component }}
{{- end }}

{{- define "task-pipeline.image" -}}
{{- with .Values.image }}
{{- if .digest }}
{{- printf "%s@%s" .repository .digest }}
{{- else }}
{{- printf "%s:%s" .repository (.tag | default $.Chart.AppVersion) }}
{{- end }}
{{- end }}
{{- end }}

{{- define "task-pipeline.metadata" -}}
name: {{ include "task-pipeline.name" . }}
namespace: {{ .root.Release.Namespace }}
labels:
  {{- include "task-pipeline.componentLabels" . | nindent 2 }}
{{- end }}

{{- /* Whether the HTTP runner is installed: it works for the server of this release. */}}
{{- define "task-pipeline.runner" -}}
{{- if and .Values.server.enabled .Values.httpRunner.enabled }}true{{ end }}
{{- end }}

{{- /* Where the admission policies are in force; nothing: everywhere. */}}
{{- define "task-pipeline.policies.where" -}}
{{- if .Values.policies.namespaceSelector }}
matchResources:
  namespaceSelector:
    {{- toYaml .Values.policies.namespaceSelector | nindent 4 }}
{{- else if .Values.namespaces }}
matchResources:
  namespaceSelector:
    matchExpressions:
      - key: kubernetes.io/metadata.name
        operator: In
        values:
          {{- toYaml .Values.namespaces | nindent 10 }}
{{- end }}
{{- end }}

{{- /* What the schema of the values cannot say. */}}
{{- define "task-pipeline.check" -}}
{{- if has .Release.Namespace .Values.namespaces }}
{{- fail (printf "namespaces: %s is the namespace of the release, where no Pipelines may be; install into another one" .Release.Namespace) }}
{{- end }}
{{- if and .Values.monitoring.podMonitor.enabled .Values.networkPolicy.enabled (not .Values.networkPolicy.metricsFrom) }}
{{- fail "monitoring.podMonitor: nobody may reach the metrics; name Prometheus in networkPolicy.metricsFrom, such as [{namespaceSelector: {matchLabels: {kubernetes.io/metadata.name: monitoring}}}]" }}
{{- end }}
{{- if eq .Release.Namespace .Values.test.namespace }}
{{- fail (printf "test.namespace: %s is the namespace of the release, where no Pipelines may be; name another one" .Release.Namespace) }}
{{- end }}
{{- end }}
