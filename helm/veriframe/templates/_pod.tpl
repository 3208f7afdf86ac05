{{/* Parts of the server's pod. */}}

{{/*
A probe of the health service's name. Takes root, service and spec. The kubelet's gRPC probes speak no
TLS: with it the same is asked beside the metrics, and without metrics the program asks itself.
*/}}
{{- define "veriframe.probe" -}}
{{- $v := .root.Values -}}
{{- if and $v.tls.enabled $v.metrics.enabled -}}
httpGet:
  port: metrics
  path: /{{ .service }}
{{- else if $v.tls.enabled -}}
exec:
  command:
    - veriframe
    - health
    - --server=https://{{ $v.tls.probeName }}:{{ $v.containerPorts.grpc }}
    - --service={{ .service }}
    {{- include "veriframe.tlsFlags" (dict "root" .root "folder" "/etc/veriframe/tls") | trim | nindent 4 }}
{{- else -}}
grpc:
  port: {{ $v.containerPorts.grpc }}
  service: {{ .service }}
{{- end }}
{{ toYaml .spec }}
{{- end -}}

{{/* Flags of a client within the release that calls over TLS. Takes root and folder. */}}
{{- define "veriframe.tlsFlags" -}}
{{- with .root.Values.tls.probeCaKey }}
- --ca={{ $.folder }}/{{ . }}
{{- end }}
{{- if eq .root.Values.tls.clientCertificates.mode "required" }}
- --client-cert={{ .folder }}/tls.crt
- --client-key={{ .folder }}/tls.key
{{- end }}
{{- end -}}

{{- define "veriframe.resources" -}}
{{- $resources := deepCopy .Values.resources -}}
{{- if .Values.gpu.enabled -}}
{{- $gpu := dict .Values.gpu.resource .Values.gpu.count -}}
{{- $resources = mergeOverwrite $resources (dict "limits" $gpu "requests" $gpu) -}}
{{- end -}}
{{- toYaml $resources -}}
{{- end -}}

{{/* Volumes that have the same name in the pod and in the mounts below. */}}
{{- define "veriframe.volumes" -}}
{{- $v := .Values -}}
- name: config
  configMap:
    name: {{ include "veriframe.fullname" . }}
- name: tmp
  emptyDir:
    sizeLimit: {{ $v.tmp.sizeLimit }}
{{- if $v.tls.enabled }}
- name: tls
  secret:
    secretName: {{ include "veriframe.tlsSecretName" . }}
    defaultMode: 0440
{{- if ne $v.tls.clientCertificates.mode "off" }}
- name: client-ca
  secret:
    secretName: {{ default (include "veriframe.tlsSecretName" .) $v.tls.clientCertificates.caSecretName }}
    defaultMode: 0440
    items:
      - key: {{ $v.tls.clientCertificates.caKey }}
        path: {{ $v.tls.clientCertificates.caKey }}
{{- end }}
{{- end }}
{{- with $v.auth.keysSecret.name }}
- name: auth
  secret:
    secretName: {{ . }}
    defaultMode: 0440
{{- end }}
{{- if and (eq $v.evidence.store "qdrant") $v.evidence.qdrant.apiKeySecret.name }}
- name: qdrant
  secret:
    secretName: {{ $v.evidence.qdrant.apiKeySecret.name }}
    defaultMode: 0440
{{- end }}
{{- if eq $v.evidence.store "embedded" }}
- name: state
  persistentVolumeClaim:
    claimName: {{ include "veriframe.claimName" . }}
{{- end }}
{{- with $v.models }}
{{- if eq .source "existingClaim" }}
- name: models
  persistentVolumeClaim:
    claimName: {{ .existingClaim.name }}
    readOnly: true
{{- else if eq .source "initContainer" }}
- name: models
  emptyDir:
    sizeLimit: {{ .initContainer.sizeLimit }}
{{- else if eq .source "image" }}
- name: models
  image:
    reference: {{ .image.reference }}
    pullPolicy: {{ .image.pullPolicy }}
{{- else if eq .source "hostPath" }}
- name: models
  hostPath:
    path: {{ .hostPath.path }}
    type: Directory
{{- end }}
{{- end }}
{{- with $v.extraVolumes }}
{{ toYaml . }}
{{- end }}
{{- end -}}

{{- define "veriframe.volumeMounts" -}}
{{- $v := .Values -}}
- name: config
  mountPath: /etc/veriframe/config
  readOnly: true
- name: tmp
  mountPath: /tmp
{{- if $v.tls.enabled }}
- name: tls
  mountPath: /etc/veriframe/tls
  readOnly: true
{{- if ne $v.tls.clientCertificates.mode "off" }}
- name: client-ca
  mountPath: /etc/veriframe/client-ca
  readOnly: true
{{- end }}
{{- end }}
{{- if $v.auth.keysSecret.name }}
- name: auth
  mountPath: /etc/veriframe/auth
  readOnly: true
{{- end }}
{{- if and (eq $v.evidence.store "qdrant") $v.evidence.qdrant.apiKeySecret.name }}
- name: qdrant
  mountPath: /etc/veriframe/qdrant
  readOnly: true
{{- end }}
{{- if eq $v.evidence.store "embedded" }}
- name: state
  mountPath: /var/lib/veriframe
{{- end }}
{{- if not (has $v.models.source (list "demo" "none")) }}
- name: models
  mountPath: {{ $v.models.mountPath }}
  readOnly: true
  {{- if eq $v.models.source "existingClaim" }}
  {{- with $v.models.existingClaim.subPath }}
  subPath: {{ . }}
  {{- end }}
  {{- end }}
{{- end }}
{{- with $v.extraVolumeMounts }}
{{ toYaml . }}
{{- end }}
{{- end -}}

{{/* The container that fetches models, before those of the user's. */}}
{{- define "veriframe.initContainers" -}}
{{- $v := .Values -}}
{{- if eq $v.models.source "initContainer" }}
- name: models
  {{- with $v.models.initContainer }}
  image: {{ .image }}
  imagePullPolicy: {{ .pullPolicy }}
  {{- with .command }}
  command:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  {{- with .args }}
  args:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  {{- with .env }}
  env:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  {{- with .envFrom }}
  envFrom:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  {{- with .resources }}
  resources:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  {{- end }}
  securityContext:
    {{- toYaml $v.securityContext | nindent 4 }}
  volumeMounts:
    - name: models
      mountPath: /out
    - name: tmp
      mountPath: /tmp
{{- end }}
{{- with $v.initContainers }}
{{ toYaml . }}
{{- end }}
{{- end -}}

{{- define "veriframe.affinity" -}}
{{- $affinity := deepCopy .Values.affinity -}}
{{- $term := dict "topologyKey" "kubernetes.io/hostname"
    "labelSelector" (dict "matchLabels" (fromYaml (include "veriframe.selector" .))) -}}
{{- $anti := dict -}}
{{- if eq .Values.antiAffinity "soft" -}}
{{- $weighted := dict "weight" 100 "podAffinityTerm" $term -}}
{{- $anti = dict "preferredDuringSchedulingIgnoredDuringExecution" (list $weighted) -}}
{{- else if eq .Values.antiAffinity "hard" -}}
{{- $anti = dict "requiredDuringSchedulingIgnoredDuringExecution" (list $term) -}}
{{- end -}}
{{- if and $anti (not (hasKey $affinity "podAntiAffinity")) -}}
{{- $_ := set $affinity "podAntiAffinity" $anti -}}
{{- end -}}
{{- if $affinity -}}{{- toYaml $affinity -}}{{- end -}}
{{- end -}}

{{/* Of one version's pods alone: those of the old one go anyway. */}}
{{- define "veriframe.topologySpread" -}}
{{- $selector := dict "matchLabels" (fromYaml (include "veriframe.selector" .)) -}}
{{- $spread := list -}}
{{- range .Values.topologySpreadConstraints -}}
{{- $filled := dict "labelSelector" $selector "matchLabelKeys" (list "pod-template-hash") -}}
{{- $spread = append $spread (mergeOverwrite $filled .) -}}
{{- end -}}
{{- if $spread -}}{{- toYaml $spread -}}{{- end -}}
{{- end -}}

{{- define "veriframe.tolerations" -}}
{{- $all := .Values.tolerations -}}
{{- if and .Values.gpu.enabled .Values.gpu.tolerate -}}
{{- $taint := dict "key" .Values.gpu.tolerationKey "operator" "Exists" "effect" "NoSchedule" -}}
{{- $all = append $all $taint -}}
{{- end -}}
{{- if $all -}}{{- toYaml $all -}}{{- end -}}
{{- end -}}
