{{/*
Checks that values.schema.json cannot express. deployment.yaml includes this first. Each message names the values.
*/}}
{{- define "assetuploader.validate" -}}
{{- include "assetuploader.validateNames" . }}
{{- $v := .Values -}}
{{- $configMapKeys := and $v.aws.existingConfigMap $v.aws.existingConfigMapKeys | default dict -}}
{{- if not (or $v.aws.region (get $configMapKeys "region")) }}
{{- fail "aws.region is required: the region of the bucket" }}
{{- end }}
{{- if not (or $v.aws.bucket (get $configMapKeys "bucket")) }}
{{- fail "aws.bucket is required: the name of the bucket, or a ConfigMap in aws.existingConfigMap that has it" }}
{{- end }}
{{- range $path, $pod := dict "podLabels" $v.podLabels "reconciler.podLabels" $v.reconciler.podLabels }}
{{- range $label := list "app.kubernetes.io/name" "app.kubernetes.io/instance" "app.kubernetes.io/component" }}
{{- if hasKey $pod $label }}
{{- fail (printf "%s must not have %s: the chart selects its pods by this label; remove it" $path $label) }}
{{- end }}
{{- end }}
{{- end }}
{{- if and $v.aws.existingSecret (or $v.aws.accessKeyId $v.aws.secretAccessKey) }}
{{- fail "aws.existingSecret and aws.accessKeyId/aws.secretAccessKey exclude each other: name a Secret, or set the keys" }}
{{- end }}
{{- if ne (empty $v.aws.accessKeyId) (empty $v.aws.secretAccessKey) }}
{{- fail "aws.accessKeyId and aws.secretAccessKey go together: one of them is empty; set both, or neither" }}
{{- end }}
{{- if $v.seaweedfs.enabled }}
{{- if not (include "assetuploader.secretName" .) }}
{{- fail "seaweedfs.enabled needs credentials: set aws.accessKeyId and aws.secretAccessKey (to any values), or aws.existingSecret" }}
{{- end }}
{{- if $v.aws.existingConfigMap }}
{{- fail "seaweedfs.enabled and aws.existingConfigMap exclude each other: SeaweedFS makes the bucket aws.bucket" }}
{{- end }}
{{- if $v.aws.endpointUrl }}
{{- fail "seaweedfs.enabled and aws.endpointUrl exclude each other: with seaweedfs.enabled, SeaweedFS is the endpoint" }}
{{- end }}
{{- if and $v.seaweedfs.ingress.enabled (not $v.seaweedfs.ingress.host) }}
{{- fail "seaweedfs.ingress.enabled needs seaweedfs.ingress.host" }}
{{- end }}
{{- end }}
{{- if lt (int64 $v.reconciler.activeDeadlineSeconds) (add 60 (int64 $v.reconciler.maxRunSeconds)) }}
{{- fail "reconciler.activeDeadlineSeconds must be at least 60 more than reconciler.maxRunSeconds: a run stops itself before Kubernetes does" }}
{{- end }}
{{- if ge (int64 $v.reconciler.watchSeconds) (int64 $v.reconciler.maxRunSeconds) }}
{{- fail "reconciler.watchSeconds must be less than reconciler.maxRunSeconds" }}
{{- end }}
{{- if $v.autoscaling.enabled }}
{{- if gt (int64 $v.autoscaling.minReplicas) (int64 $v.autoscaling.maxReplicas) }}
{{- fail "autoscaling.minReplicas is more than autoscaling.maxReplicas: lower the first, or raise the second" }}
{{- end }}
{{- if not (dig "requests" "cpu" "" $v.resources) }}
{{- fail "autoscaling.enabled needs resources.requests.cpu: utilization is a percentage of it" }}
{{- end }}
{{- end }}
{{- if not (and $v.networkPolicy.enabled $v.networkPolicy.restrictEgress) }}
{{- $defaults := (.Files.Get "files/defaults.json" | fromJson).networkPolicy }}
{{- range $key := list "dnsPorts" "s3Ports" "s3Cidrs" "apiServerCidrs" "apiServerPorts" "extraEgress" }}
{{- if ne (toJson (index $v.networkPolicy $key)) (toJson (index $defaults $key)) }}
{{- fail (printf "networkPolicy.%s needs networkPolicy.enabled and networkPolicy.restrictEgress: without them, egress is open" $key) }}
{{- end }}
{{- end }}
{{- end }}
{{- if and $v.ingress.enabled (not $v.ingress.hosts) }}
{{- fail "ingress.enabled needs at least one name in ingress.hosts" }}
{{- end }}
{{- if and $v.httpRoute.enabled (not $v.httpRoute.parentRefs) }}
{{- fail "httpRoute.enabled needs at least one Gateway in httpRoute.parentRefs" }}
{{- end }}
{{- range $path, $account := dict "serviceAccount" $v.serviceAccount "reconciler.serviceAccount" $v.reconciler.serviceAccount }}
{{- if and $account.annotations (not $account.create) }}
{{- fail (printf "%s.annotations needs %s.create: the chart annotates only the ServiceAccounts that it creates" $path $path) }}
{{- end }}
{{- end }}
{{- if and $v.doctor.enabled (or $v.seaweedfs.enabled $v.aws.accessKeyId) }}
{{- fail "doctor.enabled excludes seaweedfs.enabled and aws.accessKeyId: the doctor runs before they are installed; use aws.existingSecret or a ServiceAccount with a role" }}
{{- end }}
{{- end -}}

{{/* The earlier names of values, and the current ones. values.schema.json lets the earlier names pass, so that users read this message. */}}
{{- define "assetuploader.renamedValues" -}}
s3.embedded: seaweedfs
service.replicas: replicaCount
service.uploadUrlSeconds: uploadUrlTtlSeconds
service.downloadUrlSeconds: downloadUrlTtlSeconds
service.drainSeconds: drainSeconds
service.serviceAccount: serviceAccount
service.autoscaling: autoscaling
service.podDisruptionBudget: podDisruptionBudget
service.topologySpreadConstraints: topologySpreadConstraints
service.resources: resources
service.extraEnv: extraEnv
service.podLabels: podLabels
service.podAnnotations: podAnnotations
service.nodeSelector: nodeSelector
service.tolerations: tolerations
service.affinity: affinity
service.priorityClassName: priorityClassName
reconciler.runSeconds: reconciler.watchSeconds
reconciler.pollSeconds: reconciler.pollIntervalSeconds
reconciler.unmarkedSeconds: reconciler.expireAfterSeconds
reconciler.budgetSeconds: reconciler.maxRunSeconds
reconciler.shards: reconciler.shardCount
{{- end -}}

{{- define "assetuploader.validateNames" -}}
{{- $renamed := list -}}
{{- range $old, $new := include "assetuploader.renamedValues" . | fromYaml }}
{{- $path := splitList "." $old -}}
{{- if hasKey (get $.Values (first $path) | default dict) (last $path) }}
{{- $renamed = append $renamed (printf "%s is now %s" $old $new) }}
{{- end }}
{{- end }}
{{- with $renamed }}
{{- fail (join "; " .) }}
{{- end }}
{{- end -}}
