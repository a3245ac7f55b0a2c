{{/* A file of the chart with this release's names put in: include "…file" (list $ "files/alerts.yaml"). Prometheus and
     Grafana have braces of their own, so the files hold plain words instead of template code. */}}
{{- define "assetuploader.file" -}}
{{- $root := index . 0 -}}
{{- $text := required (printf "%s is missing from the chart" (index . 1)) ($root.Files.Get (index . 1)) -}}
{{- $text | replace "RELEASE_NAMESPACE" $root.Release.Namespace
          | replace "RELEASE_CRONJOB" (include "assetuploader.reconcilerName" $root)
          | replace "RELEASE_SERVICE" (include "assetuploader.fullname" $root)
          | trim -}}
{{- end -}}
