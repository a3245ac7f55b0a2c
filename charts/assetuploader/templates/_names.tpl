{{/* The release's name for everything, at most 40 characters, so that "-reconciler" and the CronJob controller's own
     11 characters still fit in a pod's name. What is cut off leaves a hash behind: two releases stay two. */}}
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

{{- define "assetuploader.reconcilerName" -}}{{ include "assetuploader.fullname" . }}-reconciler{{- end -}}
{{- define "assetuploader.s3Name" -}}{{ include "assetuploader.fullname" . }}-s3{{- end -}}

{{- define "assetuploader.serviceAccountName" -}}
{{- default (ternary (include "assetuploader.fullname" .) "default" .Values.service.serviceAccount.create) .Values.service.serviceAccount.name -}}
{{- end -}}
{{- define "assetuploader.reconcilerServiceAccountName" -}}
{{- default (ternary (include "assetuploader.reconcilerName" .) "default" .Values.reconciler.serviceAccount.create) .Values.reconciler.serviceAccount.name -}}
{{- end -}}

{{/* What selects the pods of one component: include "…selectorLabels" (list $ "service"). Never without the component:
     a Service that selects name and instance alone also routes to CronJob pods. */}}
{{- define "assetuploader.selectorLabels" -}}
{{- $root := index . 0 -}}
app.kubernetes.io/name: {{ default $root.Chart.Name $root.Values.nameOverride | trunc 63 | quote }}
app.kubernetes.io/instance: {{ $root.Release.Name | quote }}
app.kubernetes.io/component: {{ index . 1 }}
{{- end -}}

{{/* Labels of everything. The version is the chart's, since image.tag may be a digest, which is no label. */}}
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
