{{/* Every pod's securityContext: Pod Security "restricted". */}}
{{- define "assetuploader.podSecurityContext" -}}
runAsNonRoot: true
runAsUser: 10001
runAsGroup: 10001
fsGroup: 10001
seccompProfile:
  type: RuntimeDefault
{{- end -}}

{{- define "assetuploader.containerSecurityContext" -}}
allowPrivilegeEscalation: false
privileged: false
capabilities:
  drop: [ALL]
{{- end -}}

{{/* The name of the Secret with static credentials; empty: the AWS default chain. */}}
{{- define "assetuploader.secretName" -}}
{{- if .Values.aws.existingSecret -}}
{{ .Values.aws.existingSecret }}
{{- else if .Values.aws.accessKeyId -}}
{{ include "assetuploader.fullname" . }}
{{- end -}}
{{- end -}}

{{- define "assetuploader.endpointUrl" -}}
{{- if .Values.s3.embedded.enabled -}}
http://{{ include "assetuploader.s3Name" . }}:{{ .Values.s3.embedded.port }}
{{- else -}}
{{ .Values.aws.endpointUrl }}
{{- end -}}
{{- end -}}

{{/* What clients reach. For the embedded S3: its ingress, else a port-forward to the same port of localhost. */}}
{{- define "assetuploader.publicEndpointUrl" -}}
{{- if .Values.aws.publicEndpointUrl -}}
{{ .Values.aws.publicEndpointUrl }}
{{- else if .Values.s3.embedded.enabled -}}
{{- if .Values.s3.embedded.ingress.enabled -}}
http://{{ .Values.s3.embedded.ingress.host }}
{{- else -}}
http://localhost:{{ .Values.s3.embedded.port }}
{{- end -}}
{{- end -}}
{{- end -}}

{{- define "assetuploader.credentialsEnv" -}}
{{- with include "assetuploader.secretName" . }}
- name: AWS_ACCESS_KEY_ID
  valueFrom: {secretKeyRef: {name: {{ . | quote }}, key: AWS_ACCESS_KEY_ID}}
- name: AWS_SECRET_ACCESS_KEY
  valueFrom: {secretKeyRef: {name: {{ . | quote }}, key: AWS_SECRET_ACCESS_KEY}}
{{- end }}
{{- end -}}

{{/* Environment of both programs. Numbers go through int64: Helm reads large ones as floating point. */}}
{{- define "assetuploader.env" -}}
- name: AWS_REGION
  value: {{ required "aws.region is required: the region of the bucket" .Values.aws.region | quote }}
- name: AWS_BUCKET
  value: {{ required "aws.bucket is required: the name of the bucket" .Values.aws.bucket | quote }}
{{- include "assetuploader.credentialsEnv" . }}
{{- with include "assetuploader.endpointUrl" . }}
- name: AWS_ENDPOINT_URL_S3
  value: {{ . | quote }}
{{- end }}
{{- with include "assetuploader.publicEndpointUrl" . }}
- name: ASSETUPLOADER_PUBLIC_S3_ENDPOINT_URL
  value: {{ . | quote }}
{{- end }}
- name: ASSETUPLOADER_UPLOAD_URL_SECONDS
  value: {{ int64 .Values.service.uploadUrlSeconds | quote }}
- name: ASSETUPLOADER_GRACE_SECONDS
  value: {{ int64 .Values.reconciler.graceSeconds | quote }}
- name: ASSETUPLOADER_UNMARKED_SECONDS
  value: {{ int64 .Values.reconciler.unmarkedSeconds | quote }}
- name: ASSETUPLOADER_LOG_LEVEL
  value: {{ .Values.log.level }}
- name: ASSETUPLOADER_LOG_FORMAT
  value: {{ .Values.log.format }}
{{- end -}}

{{/* Where the pods of a component may run: include "…scheduling" .Values.service */}}
{{- define "assetuploader.scheduling" -}}
{{- with .nodeSelector }}
nodeSelector: {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .tolerations }}
tolerations: {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .affinity }}
affinity: {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .priorityClassName }}
priorityClassName: {{ . }}
{{- end }}
{{- end -}}
