{{- /* What the three programs have in common. dict: root, component, values (the program's), and for the Deployment
       token (whether the pod may talk to the API server), restart (text whose change restarts the pods), and the
       texts container, env, mounts and volumes. */}}

{{- define "task-pipeline.serviceAccount" -}}
apiVersion: v1
kind: ServiceAccount
metadata:
  {{- include "task-pipeline.metadata" . | nindent 2 }}
  {{- with .values.serviceAccount.annotations }}
  annotations:
    {{- toYaml . | nindent 4 }}
  {{- end }}
automountServiceAccountToken: false
{{- end }}

{{- define "task-pipeline.budget" -}}
apiVersion: policy/v1
kind: PodDisruptionBudget
metadata:
  {{- include "task-pipeline.metadata" . | nindent 2 }}
spec:
  maxUnavailable: 1
  unhealthyPodEvictionPolicy: AlwaysAllow
  selector:
    matchLabels:
      {{- include "task-pipeline.selector" . | nindent 6 }}
{{- end }}

{{- define "task-pipeline.deployment" -}}
apiVersion: apps/v1
kind: Deployment
metadata:
  {{- include "task-pipeline.metadata" . | nindent 2 }}
spec:
  replicas: {{ .values.replicas }}
  revisionHistoryLimit: 3
  strategy:
    type: RollingUpdate
    rollingUpdate:
      maxSurge: 1
      maxUnavailable: 0
  selector:
    matchLabels:
      {{- include "task-pipeline.selector" . | nindent 6 }}
  template:
    metadata:
      labels:
        {{- include "task-pipeline.componentLabels" . | nindent 8 }}
        {{- with .values.podLabels }}
        {{- toYaml . | nindent 8 }}
        {{- end }}
      annotations:
        kubectl.kubernetes.io/default-container: {{ .component }}
        checksum/settings: {{ .restart | sha256sum }}
        {{- with .values.podAnnotations }}
        {{- toYaml . | nindent 8 }}
        {{- end }}
    spec:
      {{- include "task-pipeline.podSpec" . | nindent 6 }}
{{- end }}

{{- define "task-pipeline.podSpec" -}}
serviceAccountName: {{ include "task-pipeline.name" . }}
automountServiceAccountToken: {{ .token }}
enableServiceLinks: false
securityContext:
  {{- include "task-pipeline.podSecurity" . | nindent 2 }}
{{- with .root.Values.imagePullSecrets }}
imagePullSecrets:
  {{- range . }}
  - name: {{ . }}
  {{- end }}
{{- end }}
{{- with .values.priorityClassName }}
priorityClassName: {{ . }}
{{- end }}
{{- with .values.nodeSelector }}
nodeSelector:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .values.tolerations }}
tolerations:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .values.affinity }}
affinity:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- if .values.topologySpread }}
topologySpreadConstraints:
  {{- range .values.topologySpread }}
  - topologyKey: {{ . }}
    maxSkew: 1
    whenUnsatisfiable: ScheduleAnyway
    matchLabelKeys: [pod-template-hash]
    labelSelector:
      matchLabels:
        {{- include "task-pipeline.selector" $ | nindent 8 }}
  {{- end }}
{{- end }}
containers:
  - name: {{ .component }}
    image: {{ include "task-pipeline.image" .root }}
    imagePullPolicy: {{ .root.Values.image.pullPolicy }}
    command: [task-pipeline-{{ .component }}]
    securityContext:
      {{- include "task-pipeline.containerSecurity" . | nindent 6 }}
    env:
      - name: TASK_PIPELINE_CONFIG
        value: /etc/task-pipeline/settings.yaml
      {{- .env | trim | nindent 6 }}
    {{- .container | trim | nindent 4 }}
    resources:
      {{- toYaml .values.resources | nindent 6 }}
    volumeMounts:
      - name: settings
        mountPath: /etc/task-pipeline
        readOnly: true
      - name: tmp
        mountPath: /tmp
      {{- with .mounts }}
      {{- . | trim | nindent 6 }}
      {{- end }}
volumes:
  - name: settings
    configMap:
      name: {{ include "task-pipeline.fullname" .root }}-settings
  - name: tmp
    emptyDir:
      sizeLimit: 64Mi
  {{- with .volumes }}
  {{- . | trim | nindent 2 }}
  {{- end }}
{{- end }}

{{- /* Pod Security `restricted`, and more. */}}
{{- define "task-pipeline.podSecurity" -}}
runAsNonRoot: true
runAsUser: 65532
runAsGroup: 65532
fsGroup: 65532
seccompProfile:
  type: RuntimeDefault
{{- end }}

{{- define "task-pipeline.containerSecurity" -}}
allowPrivilegeEscalation: false
privileged: false
readOnlyRootFilesystem: true
capabilities:
  drop: [ALL]
{{- end }}

{{- /* Where the server and the HTTP runner tell their metrics: never on the port that callers use. */}}
{{- define "task-pipeline.env.metrics" -}}
- name: TASK_PIPELINE_HEALTH_ADDRESS
  value: {{ .Values.listenAddress | quote }}
- name: TASK_PIPELINE_METRICS_PORT
  value: "8081"
{{- end }}

{{- /* Which namespaces are concerned, for the operator and the server. */}}
{{- define "task-pipeline.env.namespaces" -}}
- name: TASK_PIPELINE_OPERATOR_NAMESPACE
  value: {{ .Release.Namespace }}
{{- with .Values.namespaces }}
- name: TASK_PIPELINE_NAMESPACES
  value: {{ join "," . }}
{{- end }}
{{- end }}
