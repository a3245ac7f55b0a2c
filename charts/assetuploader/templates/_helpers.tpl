{{/*
The base name of all resources. At most 40 characters: "-reconciler" and the 11 characters that the CronJob controller
appends must fit into the name of a Job. A longer name is cut and gets a hash, so that two long names stay different.
*/}}
{{- define "assetuploader.fullname" -}}
{{- if .Values.fullnameOverride -}}
{{- .Values.fullnameOverride -}}
{{- else -}}
{{- $name := default .Chart.Name .Values.nameOverride -}}
{{- $full := ternary .Release.Name (printf "%s-%s" .Release.Name $name) (contains $name .Release.Name) -}}
{{- if gt (len $full) 40 -}}
{{- printf "%s-%s" (trunc 33 $full | trimSuffix "-") (sha1sum $full | trunc 6) -}}
{{- else -}}
{{- $full -}}
{{- end -}}
{{- end -}}
{{- end -}}

{{- define "assetuploader.reconciler.fullname" -}}{{ include "assetuploader.fullname" . }}-reconciler{{- end -}}
{{- define "assetuploader.seaweedfs.fullname" -}}{{ include "assetuploader.fullname" . }}-s3{{- end -}}

{{- define "assetuploader.serviceAccountName" -}}
{{- default (ternary (include "assetuploader.fullname" .) "default" .Values.serviceAccount.create) .Values.serviceAccount.name -}}
{{- end -}}
{{- define "assetuploader.reconciler.serviceAccountName" -}}
{{- $account := .Values.reconciler.serviceAccount -}}
{{- default (ternary (include "assetuploader.reconciler.fullname" .) "default" $account.create) $account.name -}}
{{- end -}}

{{/*
The labels that select the pods of one component: include "assetuploader.selectorLabels" (list $ "service").
The component is always included: a Service that selects by name and instance alone also routes to the CronJob's pods.
*/}}
{{- define "assetuploader.selectorLabels" -}}
{{- $root := index . 0 -}}
app.kubernetes.io/name: {{ default $root.Chart.Name $root.Values.nameOverride | trunc 63 | quote }}
app.kubernetes.io/instance: {{ $root.Release.Name | quote }}
app.kubernetes.io/component: {{ index . 1 }}
{{- end -}}

{{/*
The labels of all resources. The version label is the chart's appVersion: image.tag may contain a digest, which is not
a valid label value.
*/}}
{{- define "assetuploader.labels" -}}
{{- $root := index . 0 -}}
{{ include "assetuploader.selectorLabels" . }}
app.kubernetes.io/part-of: assetuploader
app.kubernetes.io/managed-by: {{ $root.Release.Service }}
app.kubernetes.io/version: {{ $root.Chart.AppVersion | quote }}
helm.sh/chart: {{ printf "%s-%s" $root.Chart.Name $root.Chart.Version | replace "+" "_" }}
{{- end -}}

{{- define "assetuploader.image" -}}
{{- $image := .Values.image -}}
{{ $image.repository }}:{{ default .Chart.AppVersion $image.tag }}{{ with $image.digest }}@{{ . }}{{ end }}
{{- end -}}

{{/* The securityContext of each pod. It meets the Pod Security standard "restricted". */}}
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

{{/* The name of the Secret with static credentials. Empty: the AWS default credential chain is used. */}}
{{- define "assetuploader.secretName" -}}
{{- if .Values.aws.existingSecret -}}
{{ .Values.aws.existingSecret }}
{{- else if .Values.aws.accessKeyId -}}
{{ include "assetuploader.fullname" . }}
{{- end -}}
{{- end -}}

{{- define "assetuploader.endpointUrl" -}}
{{- if .Values.seaweedfs.enabled -}}
http://{{ include "assetuploader.seaweedfs.fullname" . }}:{{ .Values.seaweedfs.port }}
{{- else -}}
{{ .Values.aws.endpointUrl }}
{{- end -}}
{{- end -}}

{{/* The S3 endpoint for clients. For SeaweedFS: its Ingress, or a port-forward to the same port on localhost. */}}
{{- define "assetuploader.publicEndpointUrl" -}}
{{- if .Values.aws.publicEndpointUrl -}}
{{ .Values.aws.publicEndpointUrl }}
{{- else if .Values.seaweedfs.enabled -}}
{{- if .Values.seaweedfs.ingress.enabled -}}
http://{{ .Values.seaweedfs.ingress.host }}
{{- else -}}
http://localhost:{{ .Values.seaweedfs.port }}
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

{{/* The environment of both programs. Integers pass through int64, because Helm parses large ones as floats. */}}
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
- name: ASSETUPLOADER_UPLOAD_URL_TTL_SECONDS
  value: {{ int64 .Values.uploadUrlTtlSeconds | quote }}
- name: ASSETUPLOADER_GRACE_SECONDS
  value: {{ int64 .Values.reconciler.graceSeconds | quote }}
- name: ASSETUPLOADER_EXPIRE_AFTER_SECONDS
  value: {{ int64 .Values.reconciler.expireAfterSeconds | quote }}
- name: ASSETUPLOADER_LOG_LEVEL
  value: {{ .Values.log.level }}
- name: ASSETUPLOADER_LOG_FORMAT
  value: {{ .Values.log.format }}
{{- end -}}

{{/* The scheduling fields of a pod: include "assetuploader.scheduling" .Values, or .Values.reconciler. */}}
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

{{/*
A file of the chart, with the names of this release filled in: include "assetuploader.file" (list $ "files/alerts.yaml").
Prometheus and Grafana use braces themselves, so the files contain RELEASE_… words instead of template expressions.
*/}}
{{- define "assetuploader.file" -}}
{{- $root := index . 0 -}}
{{- $text := required (printf "%s is missing from the chart" (index . 1)) ($root.Files.Get (index . 1)) -}}
{{- $text | replace "RELEASE_NAMESPACE" $root.Release.Namespace
          | replace "RELEASE_CRONJOB" (include "assetuploader.reconciler.fullname" $root)
          | replace "RELEASE_SERVICE" (include "assetuploader.fullname" $root)
          | trim -}}
{{- end -}}

{{/* Egress rules of both programs: DNS, S3 (and STS on the same port), the EKS Pod Identity agent on the node. */}}
{{- define "assetuploader.egress" -}}
{{- $port := 443 -}}
{{- with include "assetuploader.endpointUrl" . }}
  {{- $url := urlParse . -}}
  {{- $port = ternary 80 443 (eq $url.scheme "http") -}}
  {{- with regexFind ":[0-9]+$" $url.host }}{{ $port = trimPrefix ":" . | int64 }}{{ end }}
{{- end -}}
- ports:
    - {port: 53, protocol: UDP}
    - {port: 53, protocol: TCP}
{{- if .Values.seaweedfs.enabled }}
- to:
    - podSelector:
        matchLabels: {{- include "assetuploader.selectorLabels" (list . "s3") | nindent 10 }}
  ports: [{port: s3}]
{{- else }}
- to:
    {{- range .Values.networkPolicy.s3Cidrs }}
    - ipBlock: {cidr: {{ . | quote }}}
    {{- end }}
  ports: [{port: {{ $port }}, protocol: TCP}]
{{- if not (include "assetuploader.secretName" .) }}
- to:
    - ipBlock: {cidr: 169.254.170.23/32}
    - ipBlock: {cidr: "fd00:ec2::23/128"}
  ports: [{port: 80, protocol: TCP}]
{{- end }}
{{- end }}
{{- end -}}
