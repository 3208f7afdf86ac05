# The tools that scripts/chart.sh and chart-cluster.sh run, each from PATH or built once into out/chart/bin,
# and the schemas of Kubernetes' objects. Sourced, after `skip` and `out` are set.

bin=$out/bin
PATH=$bin:$PATH
helm=v3.22.0 # of helm-unittest too: what both need is compiled once
mkdir -p "$bin"

# Whether what was fetched as NAME is of this version.
have() { [ "$(cat "$out/$1.version" 2>/dev/null)" = "$2" ]; }

# NAME VERSION PACKAGE FLAG WORDS: a Go program; one on PATH does if NAME FLAG says WORDS. The tag spares
# promtool the libraries of every cloud, which it needs for nothing here.
go_tool() {
    if have "$1" "$2" || "$1" "$4" 2>&1 | grep -q "$5"; then return; fi
    command -v go >/dev/null || skip "there is neither $1 nor go to build it"
    echo "chart: building $1 $2"
    GOBIN=$bin CGO_ENABLED=0 go install -trimpath -tags remove_all_sd "$3@$2" || skip "go cannot build $1 $2"
    echo "$2" >"$out/$1.version"
}

# Its module replaces another one, which `go install` does not do for it.
unittest_tool() {
    local version=v1.1.2 module=github.com/helm-unittest/helm-unittest
    have helm-unittest "$version" && return
    command -v go >/dev/null || skip "there is no go to build helm-unittest"
    echo "chart: building helm-unittest $version"
    rm -rf "$out/unittest"
    mkdir -p "$out/unittest"
    cat >"$out/unittest/go.mod" <<EOF
module unittest
go 1.26.0
require $module $version
require helm.sh/helm/v3 $helm
replace github.com/vmware-labs/yaml-jsonpath v0.3.2 => github.com/helm-unittest/yaml-jsonpath v0.4.0
EOF
    echo "package unittest; import _ \"$module/cmd/helm-unittest\"" >"$out/unittest/tools.go"
    (cd "$out/unittest" &&
        CGO_ENABLED=0 go build -mod=mod -trimpath -o "$bin/helm-unittest" "$module/cmd/helm-unittest") ||
        skip "go cannot build helm-unittest $version"
    echo "$version" >"$out/helm-unittest.version"
}

# Our own, scripts/chart.
foreign_tool() {
    local version
    version=$(cat scripts/chart/* | cksum)
    have foreign "$version" && return
    command -v go >/dev/null || skip "there is no go to build scripts/chart"
    echo "chart: building scripts/chart"
    (cd scripts/chart && CGO_ENABLED=0 go build -trimpath -o "$bin/foreign" .) ||
        skip "go cannot build scripts/chart"
    echo "$version" >"$out/foreign.version"
}

# What Kubernetes' own OpenAPI says of each kind, version by version, unknown fields refused. A package
# of PyPI has them as files; nothing of it is run. Its references are to a host: they become files.
schemas() {
    local version=1.37.0 from=$out/wheel/kubernetes_validate/kubernetes-json-schema minor
    have schemas "$version" && return
    python3 -m pip --version >/dev/null 2>&1 || skip "there is no pip to fetch schemas of Kubernetes"
    echo "chart: fetching schemas of Kubernetes (kubernetes-validate $version)"
    rm -rf "$out/wheel" "$out/schemas"
    python3 -m pip install --quiet --disable-pip-version-check --root-user-action=ignore \
        --no-deps --only-binary=:all: --target "$out/wheel" "kubernetes-validate==$version" ||
        skip "pip cannot fetch schemas of Kubernetes"
    mkdir -p "$out/schemas"
    for minor in "${minors[@]}"; do
        mv "$from/v1.$minor.0-local-strict" "$out/schemas/v1.$minor.0"
        sed -i 's|"/api/_definitions.json#|"_definitions.json#|; s/"$id":/"$comment":/' \
            "$out/schemas/v1.$minor.0"/*.json
    done
    rm -rf "$out/wheel"
    echo "$version" >"$out/schemas.version"
}

# What renders, all that scripts/chart-cluster.sh needs of this.
renderers() {
    go_tool helm "$helm" helm.sh/helm/v3/cmd/helm version '"v3'
    go_tool yq v4.54.3 github.com/mikefarah/yq/v4 --version 'mikefarah.* v4'
}

tools() {
    renderers
    go_tool kubeconform v0.8.0 github.com/yannh/kubeconform/cmd/kubeconform -h schema-location
    go_tool promtool v0.316.0 github.com/prometheus/prometheus/cmd/promtool --version 'version [3-9]'
    unittest_tool
    foreign_tool
    schemas
}
