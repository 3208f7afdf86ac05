#!/usr/bin/env bash
# Installs the Helm chart into a real API server of Kubernetes, with each set of values of its folder ci: what
# the API server refuses, warns of or changes, the schemas that scripts/chart.sh compares with do not tell.
#
#   scripts/chart-cluster.sh                       all checks
#   KUBERNETES=v1.X.Y scripts/chart-cluster.sh     with this version of Kubernetes
#
# There are an etcd and a kube-apiserver, and no controllers, webhooks or nodes: objects are stored, and no
# Pod runs. This is no part of CI or of `make test`, for its first run builds Kubernetes with go (ten minutes
# on two cores, 200 MB in out/chart/cluster and 3 GB in go's own folders); so nothing is skipped here, and
# what is missing is a failure.
set -euo pipefail
cd "$(dirname "$0")/.."

chart=helm/veriframe
space=vision # the namespace
out=$PWD/out/chart
trap 'exit 130' INT TERM

fail() {
    echo "chart: $1" >&2
    exit 1
}
skip() { fail "$1"; }

. scripts/chart-tools.sh
. scripts/chart-cluster-server.sh

work=$(mktemp -d)
trap stop EXIT
# What a developer has configured for clusters of their own.
for name in "${!HELM_@}"; do unset "$name"; done
export KUBECONFIG=$work/kubeconfig KUBECACHEDIR=$work/cache
export HELM_CACHE_HOME=$work/helm HELM_CONFIG_HOME=$work/helm HELM_DATA_HOME=$work/helm
# Where it is not named, older versions of Helm warn of who may read the developer's own file.
helm() { command helm --kubeconfig "$KUBECONFIG" "$@"; }

# Kinds of other projects, as their modules define them: of the versions that scripts/chart has, where it has
# any and the module with the definitions is to be had.
definitions() {
    local monitoring=monitoring.coreos.com
    define github.com/prometheus-operator/prometheus-operator v0.94.0 example/prometheus-operator-crd \
        "$monitoring"_{podmonitors,prometheusrules,servicemonitors}
    define github.com/kedacore/keda/v2 v2.21.0 config/crd/bases keda.sh_scaledobjects
    define sigs.k8s.io/gateway-api "$(pinned sigs.k8s.io/gateway-api)" config/crd/standard \
        gateway.networking.k8s.io_grpcroutes
    define github.com/cert-manager/cert-manager "$(pinned github.com/cert-manager/cert-manager)" deploy/crds \
        cert-manager.io_certificates
    kubectl wait --for=condition=Established --timeout=60s crd --all >/dev/null
}

pinned() { sed -n "s#^[[:space:]]*$1 ##p" scripts/chart/go.mod; }

# MODULE VERSION FOLDER FILES. As the server applies them: the client's way is not for ones as large.
define() {
    local folder file
    folder=$(module_folder "$1" "$2")/$3
    for file in "${@:4}"; do
        kubectl apply --server-side -f "$folder/$file.yaml" >/dev/null || fail "the API server refuses $file"
    done
}

# What ci/gpu-keda.yaml names, without which Pods are refused.
classes() {
    kubectl create priorityclass high --value=1000 >/dev/null
    kubectl create -f - >/dev/null <<EOF
apiVersion: node.k8s.io/v1
kind: RuntimeClass
metadata: { name: nvidia }
handler: nvidia
EOF
}

# No controller makes the account of Pods that name none.
namespace() {
    kubectl create namespace "$space" >/dev/null
    kubectl label namespace "$space" pod-security.kubernetes.io/warn=restricted >/dev/null
    kubectl create serviceaccount default >/dev/null
}

# VALUES: what is to be said against its Pods, where it asks for something that the Pod Security level
# "restricted" has not, and what else the one or other version may warn of. For all others the namespace
# refuses Pods that are not restricted.
expect() {
    local level=restricted
    expected=$(sed -n 's/^# against restricted: //p' "$1")
    sed -n 's/^# may be warned of: //p' "$1" >"$work/known"
    [ -z "$expected" ] || level=privileged
    kubectl label --overwrite namespace "$space" "pod-security.kubernetes.io/enforce=$level" >/dev/null
}

# Whether the version of Kubernetes has what these values ask for.
fits() {
    local since
    since=$(sed -n 's/^# kubernetes: \([0-9]*\).*/\1/p' "$1")
    [ "$minor" -ge "${since:-0}" ]
}

# One set of values, from its installation to its end.
check() {
    values=$1 set=$(basename "$1" .yaml)
    if ! fits "$values"; then
        ! helm install faces "$chart" --dry-run=server --values "$values" >/dev/null 2>&1 ||
            fail "$set can be installed into Kubernetes 1.$minor, which lacks what it asks for"
        echo "chart: $set is refused by Kubernetes 1.$minor, as it must be"
        return
    fi
    expect "$values"
    dry_run
    release install
    stored
    state >"$work/$set.state"
    pods
    release upgrade --set config.engine.max_batch=3 --set service.port=50061 --set revisionHistoryLimit=5 \
        --set commonLabels.changed=yes --set podAnnotations.changed=yes
    stored
    [ "$(live deployment .metadata.generation)" = 2 ] || fail "$set: the upgrade changes no Deployment"
    [ "$(live service .metadata.labels.changed)" = yes ] || fail "$set: the upgrade changes no Service"
    gone
    echo "chart: $set, $objects objects are checked, stored, changed and deleted"
}

# Helm's own dry run sends no object: what it has rendered goes to the API server for another one.
dry_run() {
    helm install faces "$chart" --values "$values" --dry-run=server --output json >"$work/release.json" ||
        fail "$set cannot be rendered for the API server"
    yq -p json -o yaml '.manifest' "$work/release.json" >"$work/objects.yaml"
    yq -p json -o yaml '.hooks[] | "---\n" + .manifest' "$work/release.json" >"$work/hooks.yaml"
    objects=$(count "$work/objects.yaml")
    takes "$work/objects.yaml"
    refuses "$work/objects.yaml"
}

count() { yq ea '[select(.)] | length' "$1"; }

# FILE: each object is taken, each of its fields is known, and there is no warning but the expected one.
takes() {
    try "$1" || { cat "$work/said" >&2; fail "$set: the API server refuses an object"; }
    [ "$(wc -l <"$work/taken")" = "$(count "$1")" ] || fail "$set: the API server is not shown each object"
    warned
}

try() { kubectl create --dry-run=server --validate=strict --filename "$1" >"$work/taken" 2>"$work/said"; }

# What kubectl has just told, or Helm, which puts it into quotes.
warned() {
    local warning='would violate PodSecurity "restricted:latest": '
    sed -i -E 's/^I.* warnings\.go:[0-9]+\] "(.*)"$/\1/; s/\\"/"/g' "$work/said"
    grep -v "$warning" "$work/said" | grep -vF --file "$work/known" >"$work/others" || true
    [ ! -s "$work/others" ] || { cat "$work/others" >&2; fail "$set: the API server warns of something"; }
    [ "$(sed -n "s/.*$warning//p" "$work/said")" = "$expected" ] || {
        cat "$work/said" >&2
        fail "$set: what is against restricted is not what its file says: ${expected:-nothing}"
    }
}

# FILE: none of its objects is taken with a field that its kind does not have.
refuses() {
    yq 'with(select(has("spec")); .spec.notThere = 1) | with(select(has("spec") | not); .notThere = 1)' \
        "$1" >"$work/unknown.yaml"
    ! try "$work/unknown.yaml" || fail "$set: the API server takes fields that it does not know"
    [ "$(grep -c 'strict decoding error: unknown field "[a-z.]*notThere"' "$work/said")" = "$(count "$1")" ] ||
        { cat "$work/said" >&2; fail "$set: the API server takes a field that it does not know"; }
}

# COMMAND FLAGS, with the values.
release() {
    helm "$1" faces "$chart" --values "$values" --timeout 60s "${@:2}" >/dev/null 2>"$work/said" ||
        { cat "$work/said" >&2; fail "$set: helm $1 fails"; }
    warned
}

# What the release has is what the API server has.
stored() {
    helm get manifest faces >"$work/objects.yaml"
    kubectl diff --server-side --force-conflicts --field-manager=helm --filename "$work/objects.yaml" \
        >"$work/diff" 2>&1 || { cat "$work/diff" >&2; fail "$set: the API server has something else"; }
}

# KIND FIELD, of the object with the release's name.
live() { kubectl get "$1" faces-veriframe --output yaml | yq "$2"; }

# What the API server has, without what is another at each installation.
state() {
    kubectl get --filename "$work/objects.yaml" --output yaml |
        yq 'del(.metadata, .items[].metadata["uid", "resourceVersion", "generation", "creationTimestamp"],
            .items[].spec["clusterIP", "clusterIPs"], .items[].spec.ports[].nodePort)'
}

# No controller makes Pods here: the Deployment's is tried as it would make it, those of `helm test` as Helm
# would. That they can be refused is tried with the same Pod, run by root.
pods() {
    yq 'select(.kind == "Deployment") | .spec.template | .metadata.name = "server"
        | { "apiVersion": "v1", "kind": "Pod" } * .' "$work/objects.yaml" >"$work/pod.yaml"
    takes "$work/pod.yaml"
    expected='' takes "$work/hooks.yaml"
    [ -z "$expected" ] || return 0
    yq '.spec.securityContext.runAsNonRoot = false' "$work/pod.yaml" >"$work/root.yaml"
    ! try "$work/root.yaml" || fail "$set: the namespace takes a Pod that root runs"
    grep -q 'violates PodSecurity "restricted:latest": runAsNonRoot != true' "$work/said" ||
        { cat "$work/said" >&2; fail "$set: a Pod that root runs is refused for another reason"; }
}

# Nothing stays but what Helm is told to keep; that is taken up again by the next installation.
gone() {
    local kept
    left
    [ -n "$kept" ] || return 0
    release install
    stored
    left
    # No controller takes its protection away.
    kubectl patch $kept --type=merge --patch '{ "metadata": { "finalizers": null } }' >/dev/null
    kubectl delete $kept >/dev/null
}

left() {
    kept=$(yq 'select(.metadata.annotations."helm.sh/resource-policy" == "keep")
        | (.kind | downcase) + "/" + .metadata.name' "$work/objects.yaml")
    helm uninstall faces --timeout 60s >/dev/null 2>&1 || fail "$set: helm uninstall fails"
    [ "$(kubectl get --ignore-not-found --filename "$work/objects.yaml" --output name)" = "$kept" ] ||
        fail "$set: helm uninstall leaves something"
}

# A release that goes through all sets of values, and back, comes to what an installation has. Without the
# flag Helm takes a file that sets nothing for no file, and keeps the values as they are.
changes() {
    local step=(install) sets=() way count=0
    for values in "$chart"/ci/*.yaml; do
        ! fits "$values" || sets+=("$values")
    done
    mapfile -t way < <(printf '%s\n' "${sets[@]}" && printf '%s\n' "${sets[@]}" | tac | sed 1d)
    for values in "${way[@]}"; do
        set="$(basename "$values" .yaml), after ${set:-nothing}"
        expect "$values"
        release "${step[@]}"
        stored
        state | diff "$work/$(basename "$values" .yaml).state" - ||
            fail "$set: an upgrade leads to other objects (>) than an installation (<)"
        step=(upgrade --reset-values) set=$(basename "$values" .yaml) count=$((count + 1))
    done
    echo "chart: $((count - 1)) upgrades from one set of values to another lead to what an installation has"
}

renderers
build
start
definitions
classes
namespace
for values in "$chart"/ci/*.yaml; do check "$values"; done
set=
changes
