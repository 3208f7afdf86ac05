{{/* Names, labels and the image. */}}

{{- define "veriframe.name" -}}
{{- default .Chart.Name .Values.nameOverride | trunc 63 | trimSuffix "-" -}}
{{- end -}}

{{/* Short enough for what is put behind it: "-headless" and the like must fit 63 characters. */}}
{{- define "veriframe.fullname" -}}
{{- $name := include "veriframe.name" . -}}
{{- $full := .Values.fullnameOverride -}}
{{- if not $full -}}
{{- $full = ternary .Release.Name (printf "%s-%s" .Release.Name $name) (contains $name .Release.Name) -}}
{{- end -}}
{{- $full | trunc 52 | trimSuffix "-" -}}
{{- end -}}

{{/* What is the same for as long as the release lives. */}}
{{- define "veriframe.selector" -}}
app.kubernetes.io/name: {{ include "veriframe.name" . }}
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/component: server
{{- end -}}

{{/* Metadata of an object. Takes root, suffix (of the name), component, labels and annotations. */}}
{{- define "veriframe.metadata" -}}
{{- $root := .root -}}
{{- $labels := dict
    "helm.sh/chart" (printf "%s-%s" $root.Chart.Name $root.Chart.Version | replace "+" "_")
    "app.kubernetes.io/managed-by" $root.Release.Service
    "app.kubernetes.io/version" $root.Chart.AppVersion
    "app.kubernetes.io/name" (include "veriframe.name" $root)
    "app.kubernetes.io/instance" $root.Release.Name
    "app.kubernetes.io/component" (default "server" .component) -}}
{{- $annotations := merge dict (default dict .annotations) $root.Values.commonAnnotations -}}
name: {{ include "veriframe.fullname" $root }}{{ with .suffix }}-{{ . }}{{ end }}
namespace: {{ $root.Release.Namespace }}
labels:
  {{- merge $labels (default dict .labels) $root.Values.commonLabels | toYaml | nindent 2 }}
{{- with $annotations }}
annotations:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end -}}

{{- define "veriframe.image" -}}
{{- with .Values.image -}}
{{- if .digest -}}
{{ .repository }}@{{ .digest }}
{{- else -}}
{{- $suffix := ternary "-cuda" "" $.Values.gpu.enabled -}}
{{ .repository }}:{{ default (print $.Chart.AppVersion $suffix) .tag }}
{{- end -}}
{{- end -}}
{{- end -}}

{{- define "veriframe.serviceAccountName" -}}
{{- if .Values.serviceAccount.create -}}
{{- default (include "veriframe.fullname" .) .Values.serviceAccount.name -}}
{{- else -}}
{{- default "default" .Values.serviceAccount.name -}}
{{- end -}}
{{- end -}}

{{- define "veriframe.tlsSecretName" -}}
{{- default (printf "%s-tls" (include "veriframe.fullname" .)) .Values.tls.secretName -}}
{{- end -}}

{{- define "veriframe.claimName" -}}
{{- with .Values.evidence.embedded.existingClaim -}}
{{ . }}
{{- else -}}
{{ include "veriframe.fullname" . }}-evidence
{{- end -}}
{{- end -}}

{{/* The server's name within the cluster, which a certificate holds. */}}
{{- define "veriframe.host" -}}
{{ include "veriframe.fullname" . }}.{{ .Release.Namespace }}.svc
{{- end -}}

{{/* "true" where there can be more than one pod. */}}
{{- define "veriframe.isMany" -}}
{{- if or (gt (int .Values.replicas) 1) (ne .Values.autoscaling.mode "off") -}}true{{- end -}}
{{- end -}}

{{/* A plain file that is about the job "veriframe", for this release's pods. */}}
{{- define "veriframe.forJob" -}}
{{- $job := printf "job=%q,namespace=%q" (include "veriframe.fullname" .root) .root.Release.Namespace -}}
{{- $claim := printf "persistentvolumeclaim=%q,namespace=%q" (include "veriframe.claimName" .root) .root.Release.Namespace -}}
{{- .root.Files.Get .file
    | replace "job=\"veriframe\"" $job
    | replace "persistentvolumeclaim=\"veriframe-evidence\"" $claim -}}
{{- end -}}

{{- define "veriframe.testSelector" -}}
{{- set (fromYaml (include "veriframe.selector" .)) "app.kubernetes.io/component" "test" | toYaml -}}
{{- end -}}
