{{/* Combinations that would not do what they say. The schema has what concerns one value alone. */}}
{{- define "veriframe.validate" -}}
{{- $v := .Values -}}
{{- if eq $v.evidence.store "embedded" -}}
{{- if include "veriframe.isMany" . -}}
{{- fail "evidence.store embedded: its volume has one writer, and pods would not see each other's evidence; set replicas to 1 and autoscaling.mode to off, or use a qdrant cluster" -}}
{{- end -}}
{{- end -}}
{{- if and (eq $v.evidence.store "qdrant") (not $v.evidence.qdrant.address) -}}
{{- fail "evidence.store qdrant needs evidence.qdrant.address" -}}
{{- end -}}
{{- $needs := dict "existingClaim" "name" "initContainer" "image" "image" "reference" "hostPath" "path" -}}
{{- $source := $v.models.source -}}
{{- if hasKey $needs $source -}}
{{- $field := get $needs $source -}}
{{- if not (get (get $v.models $source) $field) -}}
{{- fail (printf "models.source %s needs models.%s.%s" $source $source $field) -}}
{{- end -}}
{{- end -}}
{{- if and (eq $source "image") (semverCompare "<1.33-0" .Capabilities.KubeVersion.Version) -}}
{{- fail (printf "models.source image needs Kubernetes 1.33, and this is %s" .Capabilities.KubeVersion.Version) -}}
{{- end -}}
{{- $asked := or (dig "models" "load" list $v.config) (dig "models" "start" list $v.config) -}}
{{- if and (ne $source "demo") (not $asked) -}}
{{- fail (printf "models.source %s: name the models in config.models.load, or in config.models.start with config.models.repository; otherwise the server would have none of them" $source) -}}
{{- end -}}
{{- if and $v.tls.certManager.enabled (not $v.tls.enabled) -}}
{{- fail "tls.certManager.enabled needs tls.enabled" -}}
{{- end -}}
{{- if and $v.tls.enabled (not $v.tls.certManager.enabled) (not $v.tls.secretName) -}}
{{- fail "tls.enabled needs tls.secretName or tls.certManager.enabled" -}}
{{- end -}}
{{- if and $v.tls.certManager.enabled (not $v.tls.certManager.issuerRef.name) -}}
{{- fail "tls.certManager.enabled needs tls.certManager.issuerRef.name" -}}
{{- end -}}
{{- if and (ne $v.tls.clientCertificates.mode "off") (not $v.tls.enabled) -}}
{{- fail "tls.clientCertificates.mode needs tls.enabled" -}}
{{- end -}}
{{- if and (eq $v.autoscaling.mode "keda") (not $v.autoscaling.keda.serverAddress) -}}
{{- fail "autoscaling.mode keda needs autoscaling.keda.serverAddress, the address of Prometheus" -}}
{{- end -}}
{{- if and (ne $v.autoscaling.mode "off") (lt (int $v.autoscaling.maxReplicas) (int $v.autoscaling.minReplicas)) -}}
{{- fail "autoscaling.maxReplicas is less than autoscaling.minReplicas" -}}
{{- end -}}
{{- if and (eq (int $v.strategy.maxSurge) 0) (eq (int $v.strategy.maxUnavailable) 0) -}}
{{- fail "strategy.maxSurge and strategy.maxUnavailable are both 0: no rollout could begin" -}}
{{- end -}}
{{- with $v.metrics -}}
{{- if and .serviceMonitor.enabled .podMonitor.enabled -}}
{{- fail "metrics.serviceMonitor and metrics.podMonitor would count everything twice: enable one" -}}
{{- end -}}
{{- if and .serviceMonitor.enabled (not $v.headless.enabled) -}}
{{- fail "metrics.serviceMonitor.enabled needs headless.enabled: it reads the pods through that Service" -}}
{{- end -}}
{{- if and (not .enabled) (or .serviceMonitor.enabled .podMonitor.enabled .prometheusRule.enabled .dashboard.enabled (ne $v.autoscaling.mode "off")) -}}
{{- fail "metrics.enabled is false, and monitors, rules, the dashboard and autoscaling need metrics" -}}
{{- end -}}
{{- end -}}
{{- if and $v.gateway.enabled (not $v.gateway.parentRefs) -}}
{{- fail "gateway.enabled needs gateway.parentRefs" -}}
{{- end -}}
{{- if and $v.ingress.enabled (not $v.ingress.hosts) -}}
{{- fail "ingress.enabled needs ingress.hosts" -}}
{{- end -}}
{{- end -}}
