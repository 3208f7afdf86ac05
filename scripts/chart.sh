#!/usr/bin/env bash
# Checks the Helm chart: its schema, what it renders, its rules, and that each value does something.
#
#   scripts/chart.sh                       all checks
#   VERIFRAME=PROGRAM scripts/chart.sh     with this program, which reads what the chart renders for it
#   scripts/chart.sh update                writes what is generated: README.md, and the schema of `config`
#
# Its first run builds the tools with go into out/chart. Where that cannot be, or pip cannot fetch the
# schemas of Kubernetes, this says so and ends well; with CI set it must run.
set -euo pipefail
cd "$(dirname "$0")/.."

chart=helm/veriframe
out=$PWD/out/chart
minors=(30 31 32 33 34 35 36 37) # versions of Kubernetes, 1.x
latest=1.${minors[-1]}.0
# Kinds of other projects, for which the schemas of Kubernetes have nothing: all but the ScaledObject,
# whose Go types take too much with them, are read by scripts/chart. scripts/chart-cluster.sh has them all.
others=ServiceMonitor,PodMonitor,PrometheusRule,ScaledObject,GRPCRoute,Certificate
program=${VERIFRAME:-}
trap 'exit 130' INT TERM

skip() {
    if [ -n "${CI:-}" ]; then
        echo "chart: $1, and CI must check it" >&2
        exit 1
    fi
    echo "chart: skipped, $1"
    exit 0
}

fail() {
    echo "chart: $1" >&2
    exit 1
}

. scripts/chart-tools.sh
. scripts/chart-generated.sh
tools

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
# What a developer has configured for servers and clusters of their own.
for name in "${!VERIFRAME_@}" "${!HELM_@}"; do unset "$name"; done

# Renders with the values of ci/NAME.yaml, and more flags.
render() {
    local name=$1
    shift
    helm template faces "$chart" --namespace vision --kube-version "$latest" \
        --values "$chart/ci/$name.yaml" "$@"
}

# The configuration in a rendered chart.
configuration() {
    yq 'select(.kind == "ConfigMap" and .data["veriframe.toml"]) | .data["veriframe.toml"]'
}

lint() {
    local values
    for values in "$chart"/ci/*.yaml; do
        helm lint --strict --quiet --kube-version "$latest" --values "$values" "$chart" ||
            fail "helm lint fails with $values"
    done
    echo "chart: lint passed with $(ls "$chart"/ci/*.yaml | wc -l) sets of values"
}

# Every set of values in every version of Kubernetes that it is for.
kubernetes() {
    local minor values name since count=0
    for minor in "${minors[@]}"; do
        rm -rf "$work/rendered"
        mkdir "$work/rendered"
        for values in "$chart"/ci/*.yaml; do
            name=$(basename "$values" .yaml)
            since=$(sed -n 's/^# kubernetes: \([0-9]*\).*/\1/p' "$values")
            if [ "$minor" -lt "${since:-0}" ]; then
                ! render "$name" --kube-version "1.$minor.0" >/dev/null 2>&1 ||
                    fail "$values renders for Kubernetes 1.$minor, which lacks what it asks for"
                continue
            fi
            render "$name" --kube-version "1.$minor.0" >"$work/rendered/$name.yaml"
            count=$((count + 1))
        done
        kubeconform -strict -kubernetes-version "1.$minor.0" -skip "$others" \
            -schema-location "$out/schemas/{{.NormalizedKubernetesVersion}}/{{.ResourceKind}}{{.KindSuffix}}.json" \
            "$work/rendered" || fail "Kubernetes 1.$minor would refuse an object"
    done
    echo "chart: $count renderings fit the schemas of Kubernetes 1.${minors[0]} to 1.${minors[-1]}"
    count=0
    for values in "$work"/rendered/*.yaml; do # of the latest version
        name=$(foreign <"$values") || fail "an object of $(basename "$values") has a field that it must not have"
        count=$((count + name))
    done
    [ "$count" -gt 0 ] || fail "no object of another project was read"
    echo "chart: $count objects of other projects fit those projects' types (ScaledObject: not compared)"
}

units() {
    helm-unittest --strict "$chart" >"$work/units" 2>&1 || {
        cat "$work/units" >&2
        fail "a unit test failed"
    }
    echo "chart: unit tests, $(sed -n 's/^Tests: *//p' "$work/units")"
}

# The rules as they are, as they are rendered, and what they do.
rules() {
    local name alert
    promtool check rules --lint=all --lint-fatal "$chart/files/rules.yaml" >"$work/rules" 2>&1 ||
        { cat "$work/rules" >&2; fail "files/rules.yaml is wrong"; }
    for name in gpu-keda embedded; do
        render "$name" | yq 'select(.kind == "PrometheusRule") | .spec' >"$work/rules.yaml"
        grep -q 'job="faces-veriframe",namespace="vision"' "$work/rules.yaml" ||
            fail "the rules of $name are not about the release"
        ! grep -q 'job="veriframe"' "$work/rules.yaml" || fail "a rule of $name is about another job"
        promtool check rules --lint=all --lint-fatal "$work/rules.yaml" >"$work/rules" 2>&1 ||
            { cat "$work/rules" >&2; fail "the rendered rules of $name are wrong"; }
    done
    for alert in $(yq '.groups[].rules[].alert | select(.)' "$chart/files/rules.yaml"); do
        grep -qE "(alertname: $alert\$|alertname=\"$alert\",alertstate=\"firing\")" "$chart/tests/promtool.yaml" ||
            fail "no test has the alert $alert fire"
    done
    promtool test rules "$chart/tests/promtool.yaml" >"$work/rules" 2>&1 ||
        { cat "$work/rules" >&2; fail "a rule does not do what its test says"; }
    echo "chart: $(yq '[.groups[].rules[].alert | select(.)] | length' "$chart/files/rules.yaml") alerts" \
        "do what their tests say"
}

# Prometheus can read every query of the dashboard, of KEDA and of the adapter.
queries() {
    {
        yq -p json -o yaml '.panels[].targets[].expr' "$chart/files/dashboard.json"
        render gpu-keda | yq 'select(.kind == "ScaledObject") | .spec.triggers[0].metadata.query | sub("\n", " ")'
        yq '.rules[].metricsQuery' "$chart/files/adapter-rule.yaml"
    } | sed -e 's/\$__rate_interval/5m/g; s/\$__range/1h/g; s/<<\.GroupBy>>/pod/g; s/<<\.LabelMatchers>>/job="a"/g' |
        awk 'BEGIN { print "groups: [{ name: a, rules: [" }
            { gsub(/\x27/, "\x27\x27"); printf "{ record: q%d, expr: \x27%s\x27 },\n", NR, $0 }
            END { print "]}]" }' >"$work/queries.yaml"
    promtool check rules "$work/queries.yaml" >"$work/rules" 2>&1 ||
        { cat "$work/rules" >&2; fail "a query of the dashboard, KEDA or the adapter is wrong"; }
    echo "chart: Prometheus reads the $(grep -c 'record:' "$work/queries.yaml") queries of dashboard and scaling"
}

# Each value changes what is rendered.
values() {
    local key value name also base
    # Not named in the table, or not in the values.
    yq '.. | select((tag != "!!map" or length == 0) and (path | map(tag == "!!str") | all)) | path | join(".")' \
        "$chart/values.yaml" | sort >"$work/keys"
    yq 'keys | .[]' "$chart/tests/values.yaml" | sort >"$work/table"
    diff "$work/keys" "$work/table" ||
        fail "values.yaml (<) and tests/values.yaml (>) name different values"
    yq '.[] | [path | .[0], .to | @json, .with // "default", .also // {} | @json] | join("\t")' \
        "$chart/tests/values.yaml" >"$work/changes"
    while IFS=$'\t' read -r key value name also; do
        base=$work/base-$name-$(echo "$also" | cksum | cut -d' ' -f1)
        echo "$also" >"$work/also.json"
        [ -e "$base" ] || render "$name" --values "$work/also.json" >"$base" ||
            fail "the rendering that $key is compared with fails"
        # shellcheck disable=SC2001
        render "$name" --values "$work/also.json" --set-json "$(escaped "$key")=$value" \
            >"$work/changed" || fail "$key: $value is refused"
        ! cmp -s "$base" "$work/changed" || fail "$key: $value changes nothing"
    done <"$work/changes"
    echo "chart: each of $(wc -l <"$work/changes") values changes what is rendered"
}

# Pods roll for another configuration, and for nothing that they do not read.
rolls() {
    local before
    before=$(checksum)
    [ -n "$before" ] || fail "pods have no checksum of their configuration"
    [ "$before" != "$(checksum --set config.engine.max_batch=3)" ] ||
        fail "pods would not roll for another configuration"
    [ "$before" = "$(checksum --set metrics.serviceMonitor.enabled=true --set replicas=3)" ] ||
        fail "pods would roll for what they do not read"
}

checksum() { render default "$@" | sed -n 's/^ *checksum.config: //p'; }

# A key as --set takes it: the one with dots of its own has them escaped.
escaped() {
    local annotation=nginx.ingress.kubernetes.io/backend-protocol
    echo "${1/$annotation/${annotation//./\\.}}"
}

# A name that is not known is refused, wherever names are known.
typos() {
    local map count=0
    local maps='.. | select(tag == "!!map" and length > 0 and (path | map(tag == "!!str") | all)) | path | join(".")'
    # Left to Kubernetes: what its own objects have, and names of the user's choice.
    local free='^(resources\.(requests|limits)|autoscaling\.behavior\.scale(Up|Down)|podSecurityContext.*|securityContext.*|ingress\.annotations|metrics\.dashboard\.labels)$'
    for map in "" $(yq "$maps" "$chart/values.yaml"); do
        if grep -qE "$free" <<<"$map"; then continue; fi
        if render default --set-json "${map:+$map.}enabledd=1" >/dev/null 2>"$work/typo"; then
            fail "an unknown value ${map:+$map.}enabledd passes"
        fi
        grep -q "'enabledd' not allowed" "$work/typo" ||
            fail "an unknown value ${map:+$map.}enabledd fails for another reason: $(cat "$work/typo")"
        count=$((count + 1))
    done
    echo "chart: an unknown name is refused in each of $count places"
}

# The program itself reads every configuration, and has the keys that the schema has.
configurations() {
    local values name
    if [ -z "$program" ]; then
        echo "chart: configurations not read by the program, VERIFRAME names none"
        return
    fi
    for values in "$chart"/ci/*.yaml; do
        name=$(basename "$values" .yaml)
        render "$name" | configuration >"$work/$name.toml"
        "$program" config check "$work/$name.toml" >"$work/check" 2>&1 ||
            { cat "$work/check" >&2; fail "the server would refuse the configuration of $name"; }
    done
    echo "chart: the server reads each configuration"
}

if [ "${1:-}" = update ]; then
    update
    exit 0
fi
lint
kubernetes
units
rules
queries
values
rolls
typos
generated
configurations
