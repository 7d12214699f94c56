{{- define "audio-processor.name" -}}
{{- default .Chart.Name .Values.nameOverride | trunc 63 | trimSuffix "-" -}}
{{- end -}}

{{/* 40 characters leave room for what is added to it */}}
{{- define "audio-processor.fullname" -}}
{{- if .Values.fullnameOverride -}}
{{- .Values.fullnameOverride | trunc 40 | trimSuffix "-" -}}
{{- else if contains (include "audio-processor.name" .) .Release.Name -}}
{{- .Release.Name | trunc 40 | trimSuffix "-" -}}
{{- else -}}
{{- printf "%s-%s" .Release.Name (include "audio-processor.name" .) | trunc 40 | trimSuffix "-" -}}
{{- end -}}
{{- end -}}

{{- define "audio-processor.selector" -}}
app.kubernetes.io/name: {{ include "audio-processor.name" . | quote }}
app.kubernetes.io/instance: {{ .Release.Name | quote }}
{{- end -}}

{{- define "audio-processor.labels" -}}
{{ include "audio-processor.selector" . }}
app.kubernetes.io/part-of: audio-processor
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" }}
{{- end -}}

{{/* what a pod carries: no label that changes with the chart alone */}}
{{- define "audio-processor.podLabels" -}}
{{ include "audio-processor.selector" . }}
app.kubernetes.io/part-of: audio-processor
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
{{- end -}}

{{- define "audio-processor.image" -}}
{{- if .Values.image.digest -}}
{{- printf "%s@%s" .Values.image.repository .Values.image.digest -}}
{{- else -}}
{{- printf "%s:%s" .Values.image.repository (default .Chart.AppVersion .Values.image.tag) -}}
{{- end -}}
{{- end -}}

{{/* the settings as the environment wants them; a large number is not to become 4e+09 */}}
{{- define "audio-processor.environment" -}}
{{- range $key, $value := .Values.settings }}
{{- if not (kindIs "invalid" $value) }}
AUDIO_PROCESSOR__{{ $key | upper | replace "." "__" }}: {{ ternary $value (toJson $value) (kindIs "string" $value) | quote }}
{{- end }}
{{- end }}
{{- $extra := .Values.extraEnv }}
{{- if .Values.tracing.enabled }}
{{- $extra = merge (dict "OTEL_EXPORTER_OTLP_ENDPOINT" .Values.tracing.endpoint) $extra }}
{{- end }}
{{- range $name, $value := $extra }}
{{ $name }}: {{ $value | quote }}
{{- end }}
{{- end -}}

{{- define "audio-processor.podSecurity" -}}
runAsNonRoot: true
runAsUser: 10001
runAsGroup: 10001
fsGroup: 10001
fsGroupChangePolicy: OnRootMismatch
seccompProfile:
  type: RuntimeDefault
{{- end -}}

{{- define "audio-processor.containerSecurity" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
capabilities:
  drop: [ALL]
{{- end -}}

{{/* Variables and not files: a decoder that an upload took over runs as the same user and could
read files; the worker's own environment is closed to it. */}}
{{- define "audio-processor.login" -}}
- name: AUDIO_PROCESSOR__DATABASE__USER
  valueFrom:
    secretKeyRef:
      name: {{ . | quote }}
      key: username
- name: AUDIO_PROCESSOR__DATABASE__PASSWORD
  valueFrom:
    secretKeyRef:
      name: {{ . | quote }}
      key: password
{{- end -}}

{{- define "audio-processor.secretEnv" -}}
{{ include "audio-processor.login" .Values.secrets.database }}
- name: AUDIO_PROCESSOR__STORAGE__ACCESS_KEY_ID
  valueFrom:
    secretKeyRef:
      name: {{ .Values.secrets.s3 | quote }}
      key: access-key-id
      optional: true
- name: AUDIO_PROCESSOR__STORAGE__SECRET_ACCESS_KEY
  valueFrom:
    secretKeyRef:
      name: {{ .Values.secrets.s3 | quote }}
      key: secret-access-key
      optional: true
{{- end -}}

{{/* What a pod is given, by how many tracks it has at once and what one may be; the reasons are in
docs/decisions/0023. What worker.resources says wins, key by key. */}}
{{- define "audio-processor.resources" -}}
{{- $tracks := index .Values.settings "worker.concurrency" | int64 }}
{{- $ffmpeg := index .Values.settings "limits.memory_mib" | default 256 | int64 }}
{{- $requests := dict "cpu" (toString $tracks) }}
{{- $_ := set $requests "memory" (printf "%dMi" (add 384 (mul $tracks 192))) }}
{{- $_ := set $requests "ephemeral-storage" (printf "%dGi" (mul $tracks 3)) }}
{{- $limits := dict "memory" (printf "%dMi" (add 512 (mul $tracks (add 256 $ffmpeg)))) }}
{{- $_ := set $limits "ephemeral-storage" (printf "%dGi" (add 2 (include "audio-processor.scratchGi" .))) }}
{{- mergeOverwrite (dict "requests" $requests "limits" $limits) .Values.worker.resources | toYaml }}
{{- end -}}

{{/* for each track at once 3 × the largest upload, and 2 GiB for the outputs */}}
{{- define "audio-processor.scratchGi" -}}
{{- $upload := index .Values.settings "limits.max_size_bytes" | default 4294967296 }}
{{- $uploadGi := divf (float64 $upload) 1073741824 | ceil | int64 }}
{{- index .Values.settings "worker.concurrency" | int64 | mul (add 2 (mul 3 $uploadGi)) }}
{{- end -}}

{{- define "audio-processor.scratchSizeLimit" -}}
{{- .Values.worker.scratchSizeLimit | default (printf "%sGi" (include "audio-processor.scratchGi" .)) }}
{{- end -}}

{{- define "audio-processor.mounts" -}}
- name: scratch
  mountPath: {{ index .Values.settings "scratch.folder" | quote }}
- name: tmp
  mountPath: /tmp
{{- with .Values.extraVolumeMounts }}
{{ toYaml . }}
{{- end }}
{{- end -}}

{{/* where a pod may run: the worker's and the cron run's are alike */}}
{{- define "audio-processor.placement" -}}
{{- with .Values.imagePullSecrets }}
imagePullSecrets:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .Values.worker.nodeSelector }}
nodeSelector:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .Values.worker.tolerations }}
tolerations:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .Values.worker.affinity }}
affinity:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end -}}

{{- define "audio-processor.metadata" -}}
{{- $root := index . 0 -}}
name: {{ index . 1 | quote }}
namespace: {{ $root.Release.Namespace | quote }}
labels:
  {{- include "audio-processor.labels" $root | nindent 2 }}
{{- with index . 2 }}
  app.kubernetes.io/component: {{ . }}
{{- end }}
{{- end -}}
