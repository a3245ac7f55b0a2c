{{/*
Fills in the default of each value that is not there: `service:` with nothing below it removes the whole section.
Every template includes this first. `make docs-chart` writes files/defaults.json from values.yaml, which no template can read.
*/}}
{{- define "assetuploader.applyDefaults" -}}
{{- include "assetuploader.fillIn" (list .Values (.Files.Get "files/defaults.json" | fromJson)) -}}
{{- end -}}

{{/* In `resources`, `labels` and `podSecurityContext` null removes a default key, as everywhere in Helm. */}}
{{- define "assetuploader.fillIn" -}}
{{- $values := index . 0 -}}
{{- range $key, $default := index . 1 -}}
{{- if kindIs "invalid" (index $values $key) -}}
{{- $_ := set $values $key $default -}}
{{- else if and (kindIs "map" $default) (not (has $key (list "resources" "labels" "podSecurityContext"))) -}}
{{- include "assetuploader.fillIn" (list (index $values $key) $default) -}}
{{- end -}}
{{- end -}}
{{- end -}}

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
{{- $keys := .Values.aws.existingSecretKeys -}}
{{- with include "assetuploader.secretName" . }}
- name: AWS_ACCESS_KEY_ID
  valueFrom: {secretKeyRef: {name: {{ . | quote }}, key: {{ $keys.accessKeyId | quote }}}}
- name: AWS_SECRET_ACCESS_KEY
  valueFrom: {secretKeyRef: {name: {{ . | quote }}, key: {{ $keys.secretAccessKey | quote }}}}
{{- end }}
{{- end -}}

{{/*
A variable from a value, or from the key of aws.existingConfigMap when one is named:
include "assetuploader.awsEnv" (list $ "AWS_BUCKET" "bucket" $value). Without either, there is no variable.
*/}}
{{- define "assetuploader.awsEnv" -}}
{{- $aws := (index . 0).Values.aws -}}
{{- $key := and $aws.existingConfigMap (index $aws.existingConfigMapKeys (index . 2)) -}}
{{- if $key }}
- name: {{ index . 1 }}
  valueFrom: {configMapKeyRef: {name: {{ $aws.existingConfigMap | quote }}, key: {{ $key | quote }}}}
{{- else if index . 3 }}
- name: {{ index . 1 }}
  value: {{ index . 3 | quote }}
{{- end }}
{{- end -}}

{{/* The CA bundle of aws.caBundle, for every pod of our image. */}}
{{- define "assetuploader.caBundleEnv" -}}
{{- if .Values.aws.caBundle.configMap }}
- name: AWS_CA_BUNDLE
  value: /etc/assetuploader/ca/ca.crt
{{- end }}
{{- end -}}

{{/* The environment of both programs. Integers pass through int64, because Helm parses large ones as floats. */}}
{{- define "assetuploader.env" -}}
{{- include "assetuploader.awsEnv" (list . "AWS_REGION" "region" .Values.aws.region) }}
{{- include "assetuploader.awsEnv" (list . "AWS_BUCKET" "bucket" .Values.aws.bucket) }}
{{- include "assetuploader.credentialsEnv" . }}
{{- include "assetuploader.awsEnv" (list . "AWS_ENDPOINT_URL_S3" "endpointUrl" (include "assetuploader.endpointUrl" .)) }}
{{- include "assetuploader.caBundleEnv" . }}
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

{{/* Lists of environment variables, volumes or mounts, merged by a key: the last one of a name wins, at its own place. */}}
{{- define "assetuploader.mergeLists" -}}
{{- $key := index . 0 -}}
{{- $names := dict -}}
{{- $merged := list -}}
{{- range reverse (concat (index . 1) (index . 2)) -}}
{{- if not (hasKey $names (index . $key)) -}}
{{- $_ := set $names (index . $key) true -}}
{{- $merged = prepend $merged . -}}
{{- end -}}
{{- end -}}
{{- with $merged }}{{ toYaml . }}{{ end -}}
{{- end -}}

{{/*
The metadata of a pod. `pod` has the user's settings (.Values or .Values.reconciler); `annotations` are the chart's defaults.
include "assetuploader.podMetadata" (dict "root" $ "component" "service" "pod" .Values "annotations" (dict …))
*/}}
{{- define "assetuploader.podMetadata" -}}
{{- $labels := include "assetuploader.selectorLabels" (list .root .component) | fromYaml -}}
labels: {{- toYaml (merge (dict) .pod.podLabels $labels) | nindent 2 }}
{{- with merge (dict) .pod.podAnnotations (.annotations | default dict) }}
annotations: {{- toYaml . | nindent 2 }}
{{- end }}
{{- end -}}

{{/*
The settings that every pod of the chart shares: security, image pull secrets, scheduling and volumes.
include "assetuploader.podSettings" (dict "root" $ "pod" .Values "volumes" (list …)). It meets the Pod Security standard
"restricted" unless podSecurityContext is changed.
*/}}
{{- define "assetuploader.podSettings" -}}
{{- $values := .root.Values -}}
enableServiceLinks: false
{{- $security := dict -}}
{{- range $key, $value := $values.podSecurityContext -}}
{{- if not (kindIs "invalid" $value) }}{{ $_ := set $security $key $value }}{{ end -}}
{{- end }}
securityContext: {{- toYaml $security | nindent 2 }}
{{- with $values.imagePullSecrets }}
imagePullSecrets: {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .pod.nodeSelector }}
nodeSelector: {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .pod.tolerations }}
tolerations: {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .pod.affinity }}
affinity: {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .pod.priorityClassName }}
priorityClassName: {{ . }}
{{- end }}
{{- $volumes := list (dict "name" "tmp" "emptyDir" (dict "sizeLimit" "64Mi")) -}}
{{- with $values.aws.caBundle -}}
{{- if .configMap -}}
{{- $item := dict "key" .key "path" "ca.crt" -}}
{{- $volumes = append $volumes (dict "name" "ca-bundle" "configMap" (dict "name" .configMap "items" (list $item))) -}}
{{- end -}}
{{- end }}
volumes: {{- include "assetuploader.mergeLists" (list "name" (concat $volumes (.volumes | default list)) .pod.extraVolumes) | nindent 2 }}
{{- end -}}

{{/*
The settings that every container of the chart shares: environment, resources, security and mounts. `env` is the chart's
part of the environment, as YAML.
include "assetuploader.containerSettings" (dict "root" $ "pod" .Values "resources" .Values.resources "env" $env)
*/}}
{{- define "assetuploader.containerSettings" -}}
{{- $values := .root.Values -}}
# `kubectl describe pod` shows the last lines of the log of a failed container.
terminationMessagePolicy: FallbackToLogsOnError
{{- with include "assetuploader.mergeLists" (list "name" (fromYamlArray .env) .pod.extraEnv) }}
env: {{- . | nindent 2 }}
{{- end }}
resources: {{- toYaml .resources | nindent 2 }}
securityContext:
  allowPrivilegeEscalation: false
  privileged: false
  capabilities:
    drop: [ALL]
  readOnlyRootFilesystem: {{ .readOnlyRootFilesystem | default $values.image.readOnlyRootFilesystem }}
{{- $mounts := list (dict "name" "tmp" "mountPath" "/tmp") -}}
{{- if $values.aws.caBundle.configMap -}}
{{- $mounts = append $mounts (dict "name" "ca-bundle" "mountPath" "/etc/assetuploader/ca" "readOnly" true) -}}
{{- end }}
volumeMounts: {{- include "assetuploader.mergeLists" (list "mountPath" (concat $mounts (.mounts | default list)) .pod.extraVolumeMounts) | nindent 2 }}
{{- end -}}

{{/*
The credentials' rollout: new keys have a new access key id. Nothing that is computed from the secret key is in an annotation.
*/}}
{{- define "assetuploader.credentialsAnnotation" -}}
{{- with .Values.aws.accessKeyId }}
checksum/access-key-id: {{ sha256sum . }}
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

{{/* The ports of S3: those of networkPolicy.s3Ports, or else of the two endpoints; 443 is Amazon's, and STS'. */}}
{{- define "assetuploader.s3Ports" -}}
{{- $ports := .Values.networkPolicy.s3Ports -}}
{{- if not $ports -}}
{{- range list .Values.aws.endpointUrl .Values.aws.publicEndpointUrl -}}
{{- $url := urlParse (default "https://s3.amazonaws.com" .) -}}
{{- $port := regexFind ":[0-9]+$" $url.host | trimPrefix ":" | default (ternary "80" "443" (eq $url.scheme "http")) -}}
{{- if or . (not $ports) }}{{ $ports = append $ports (int64 $port) | uniq }}{{ end -}}
{{- end -}}
{{- end -}}
{{ toJson $ports }}
{{- end -}}

{{/*
Egress rules of every pod that speaks to S3: DNS, S3 (and STS on the same port), the EKS Pod Identity agent on the node, and
what networkPolicy.extraEgress adds.
*/}}
{{- define "assetuploader.egress" -}}
{{- $policy := .Values.networkPolicy -}}
- ports:
    {{- range $policy.dnsPorts }}
    - {port: {{ . }}, protocol: UDP}
    - {port: {{ . }}, protocol: TCP}
    {{- end }}
{{- if .Values.seaweedfs.enabled }}
- to:
    - podSelector:
        matchLabels: {{- include "assetuploader.selectorLabels" (list . "s3") | nindent 10 }}
  ports: [{port: s3}]
{{- else }}
- {{- with $policy.s3Cidrs }}
  to:
    {{- range . }}
    - ipBlock: {cidr: {{ . | quote }}}
    {{- end }}
  {{- end }}
  ports:
    {{- range include "assetuploader.s3Ports" . | fromJsonArray }}
    - {port: {{ . }}, protocol: TCP}
    {{- end }}
{{- if not (include "assetuploader.secretName" .) }}
- to:
    - ipBlock: {cidr: 169.254.170.23/32}
    - ipBlock: {cidr: "fd00:ec2::23/128"}
  ports: [{port: 80, protocol: TCP}]
{{- end }}
{{- end }}
{{- with $policy.extraEgress }}
{{ toYaml . }}
{{- end }}
{{- end -}}
