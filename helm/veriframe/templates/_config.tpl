{{/* The server's configuration: what is derived from values, and how it becomes TOML. */}}

{{/* Keys of `config` that the chart sets, and the value to use instead. */}}
{{- define "veriframe.ownKeys" -}}
server.listen: bindAddress and containerPorts.grpc
server.tls.certificate: tls
server.tls.key: tls
server.tls.client_ca: tls.clientCertificates
server.tls.client_certificates: tls.clientCertificates
server.auth.keys: auth.keysSecret
models.demo: image
evidence.store: evidence.store
evidence.data_dir: evidence.embedded
evidence.key_file: evidence.qdrant.apiKeySecret
telemetry.metrics: metrics.enabled
telemetry.metrics_listen: bindAddress and containerPorts.metrics
{{- end -}}

{{/* A key of the configuration as the user has it, or a default. Takes config, key, default. */}}
{{- define "veriframe.key" -}}
{{- $at := .config -}}
{{- range splitList "." .key -}}
{{- $at = ternary (get (ternary $at dict (kindIs "map" $at)) .) "" (kindIs "map" $at) -}}
{{- end -}}
{{- ternary .default $at (eq (toString $at) "") -}}
{{- end -}}

{{/* The whole configuration, as JSON. */}}
{{- define "veriframe.settings" -}}
{{- $v := .Values -}}
{{- range $key, $instead := fromYaml (include "veriframe.ownKeys" .) -}}
{{- if include "veriframe.key" (dict "config" $v.config "key" $key "default" "") -}}
{{- fail (printf "config.%s is set by the chart: use the value %s" $key $instead) -}}
{{- end -}}
{{- end -}}
{{- $server := dict "listen" (printf "%s:%d" $v.bindAddress (int $v.containerPorts.grpc)) -}}
{{- if $v.tls.enabled -}}
{{- $tls := dict "certificate" "/etc/veriframe/tls/tls.crt" "key" "/etc/veriframe/tls/tls.key" -}}
{{- if ne $v.tls.clientCertificates.mode "off" -}}
{{- $_ := set $tls "client_ca" (print "/etc/veriframe/client-ca/" $v.tls.clientCertificates.caKey) -}}
{{- $_ := set $tls "client_certificates" $v.tls.clientCertificates.mode -}}
{{- end -}}
{{- $_ := set $server "tls" $tls -}}
{{- end -}}
{{- if $v.auth.keysSecret.name -}}
{{- $_ := set $server "auth" (dict "keys" (print "/etc/veriframe/auth/" $v.auth.keysSecret.key)) -}}
{{- end -}}
{{- $evidence := dict "store" $v.evidence.store -}}
{{- if eq $v.evidence.store "embedded" -}}
{{- $_ := set $evidence "data_dir" "/var/lib/veriframe/evidence" -}}
{{- else if eq $v.evidence.store "qdrant" -}}
{{- $_ := set $evidence "store" $v.evidence.qdrant.address -}}
{{- with $v.evidence.qdrant.apiKeySecret -}}
{{- if .name -}}{{- $_ := set $evidence "key_file" (print "/etc/veriframe/qdrant/" .key) -}}{{- end -}}
{{- end -}}
{{- end -}}
{{- $telemetry := dict "metrics" $v.metrics.enabled -}}
{{- if $v.metrics.enabled -}}
{{- $_ := set $telemetry "metrics_listen" (printf "%s:%d" $v.bindAddress (int $v.containerPorts.metrics)) -}}
{{- end -}}
{{- $own := dict "server" $server "evidence" $evidence "telemetry" $telemetry
    "models" (dict "demo" "/opt/veriframe/models/demo") -}}
{{- $defaults := dict "models" (dict "device" (ternary "cuda" "cpu" $v.gpu.enabled)) -}}
{{- mergeOverwrite $defaults (deepCopy $v.config) $own | toJson -}}
{{- end -}}

{{/*
TOML of a table. Takes table and path. Helm's own toToml writes 64000000 as 6.4e+07, which is no
integer; and a text of JSON is a text of TOML.
*/}}
{{- define "veriframe.toml" -}}
{{- $path := .path -}}
{{- range $key, $value := .table -}}
{{- if not (or (kindIs "map" $value) (kindIs "invalid" $value)) }}
{{ $key }} = {{ include "veriframe.tomlValue" $value }}
{{- end -}}
{{- end -}}
{{- range $key, $value := .table -}}
{{- if kindIs "map" $value -}}
{{- $inner := ternary (printf "%s.%s" $path $key) $key (ne $path "") -}}
{{- if has $inner (list "answers.class_terms") }}
{{ $key }} = {{ include "veriframe.tomlValue" $value }}
{{- end -}}
{{- end -}}
{{- end -}}
{{- range $key, $value := .table -}}
{{- if kindIs "map" $value -}}
{{- $inner := ternary (printf "%s.%s" $path $key) $key (ne $path "") -}}
{{- if not (has $inner (list "answers.class_terms")) }}

[{{ $inner }}]
{{- include "veriframe.toml" (dict "table" $value "path" $inner) -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- end -}}

{{- define "veriframe.tomlValue" -}}
{{- if kindIs "slice" . -}}
{{- $parts := list -}}
{{- range . -}}{{- $parts = append $parts (include "veriframe.tomlValue" .) -}}{{- end -}}
[{{ join ", " $parts }}]
{{- else if kindIs "map" . -}}
{{- $parts := list -}}
{{- range $key, $value := . -}}
{{- $parts = append $parts (printf "%s = %s" (toJson $key) (include "veriframe.tomlValue" $value)) -}}
{{- end -}}
{ {{ join ", " $parts }} }
{{- else if and (kindIs "float64" .) (eq . (float64 (int64 .))) -}}
{{- int64 . -}}
{{- else -}}
{{- toJson . -}}
{{- end -}}
{{- end -}}

{{/* Whole seconds, rounded up, of a duration as the configuration has it: "1m 30s", "250ms". */}}
{{- define "veriframe.seconds" -}}
{{- $text := toString . -}}
{{- if not (regexMatch "^\\s*([0-9]+\\s*(ms|msec|s|sec|secs|second|seconds|m|min|mins|minute|minutes|h|hr|hrs|hour|hours)\\s*)+$" $text) -}}
{{- fail (printf "'%s' is no duration of hours, minutes, seconds and milliseconds, such as \"1m 30s\"" $text) -}}
{{- end -}}
{{- $ms := 0 -}}
{{- range regexFindAll "[0-9]+\\s*[a-z]+" $text -1 -}}
{{- $count := regexFind "[0-9]+" . | int64 -}}
{{- $unit := regexFind "[a-z]+" . -}}
{{- if hasPrefix "ms" $unit -}}{{- $ms = add $ms $count -}}
{{- else if hasPrefix "s" $unit -}}{{- $ms = add $ms (mul $count 1000) -}}
{{- else if hasPrefix "m" $unit -}}{{- $ms = add $ms (mul $count 60000) -}}
{{- else -}}{{- $ms = add $ms (mul $count 3600000) -}}
{{- end -}}
{{- end -}}
{{- div (add $ms 999) 1000 -}}
{{- end -}}

{{/* How long a pod may take to go: until SIGTERM, then the server's own limits, and a margin. */}}
{{- define "veriframe.graceSeconds" -}}
{{- $settings := .Values.config -}}
{{- $delay := include "veriframe.key" (dict "config" $settings "key" "server.drain_delay" "default" "0s") -}}
{{- $limit := include "veriframe.key" (dict "config" $settings "key" "server.drain_limit" "default" "30s") -}}
{{- $flush := include "veriframe.key" (dict "config" $settings "key" "telemetry.otlp.flush_limit" "default" "5s") -}}
{{- add .Values.drain.preStopSeconds
    (include "veriframe.seconds" $delay) (include "veriframe.seconds" $limit)
    (include "veriframe.seconds" $flush) .Values.drain.marginSeconds -}}
{{- end -}}
