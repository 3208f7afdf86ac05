# An API server of Kubernetes with its etcd, and kubectl: built with go into out/chart/cluster, started on the
# loopback with a certificate and a token of their own. Sourced by scripts/chart-cluster.sh, after `out` is
# set; `work`, `space` and KUBECONFIG are read later.

kubernetes=${KUBERNETES:-v1.37.2}
minor=${kubernetes#v1.}
minor=${minor%%.*}
cluster=$out/cluster/$kubernetes
PATH=$cluster:$PATH
processes=()

# The three programs are built in one module, so that what they share is compiled once, and etcd is of the
# version that Kubernetes is tested with.
build() {
    [ ! -e "$cluster/kube-apiserver" ] || return 0
    command -v go >/dev/null || fail "there is no go to build Kubernetes"
    module
    program etcd go.etcd.io/etcd/server/v3
    program kubectl k8s.io/kubernetes/cmd/kubectl
    program kube-apiserver k8s.io/kubernetes/cmd/kube-apiserver
}

# Kubernetes asks for parts of itself as folders beside it, which the module does not have: each is a module
# as well, by the same version but for its 0.
module() {
    local source
    source=$(module_folder k8s.io/kubernetes "$kubernetes")
    mkdir -p "$cluster/build"
    {
        echo "module cluster"
        grep -E '^(go|godebug) ' "$source/go.mod"
        echo "require k8s.io/kubernetes $kubernetes"
        sed -nE "s#^[[:space:]]*(k8s\.io/[a-z-]+) => \./staging/.*#replace \1 => \1 v0.${kubernetes#v1.}#p" \
            "$source/go.mod"
    } >"$cluster/build/go.mod"
    {
        echo 'package cluster'
        echo 'import _ "go.etcd.io/etcd/server/v3"'
        echo 'import _ "k8s.io/kubernetes/cmd/kube-apiserver"'
    } >"$cluster/build/tools.go"
}

# NAME PACKAGE. Without what is set here a server would say that it is of version 0.0.
program() {
    local said flags="-s -w"
    for said in k8s.io/component-base/version k8s.io/client-go/pkg/version; do
        flags+=" -X $said.gitVersion=$kubernetes -X $said.gitMajor=1 -X $said.gitMinor=$minor"
    done
    echo "chart: building $1 for Kubernetes $kubernetes"
    (cd "$cluster/build" &&
        CGO_ENABLED=0 go build -mod=mod -trimpath -ldflags "$flags" -o "$cluster/$1" "$2") ||
        fail "go cannot build $1"
}

# MODULE VERSION: the folder with its files, fetched where it is not there yet.
module_folder() {
    local said
    said=$(cd "$work" && go mod download -json "$1@$2") || fail "go cannot fetch $1 $2: $said"
    yq -p json -o yaml '.Dir' <<<"$said"
}

# On the loopback. Whoever has neither the token nor, for etcd, the certificate is told nothing.
start() {
    local port token key=$work/key.pem certificate=$work/certificate.pem
    token=$(openssl rand -hex 32)
    echo "$token,admin,admin,system:masters" >"$work/tokens"
    openssl req -x509 -newkey rsa:2048 -nodes -days 1 -subj /CN=kube-apiserver \
        -addext subjectAltName=IP:127.0.0.1 -keyout "$key" -out "$certificate" 2>"$work/openssl" ||
        fail "openssl makes no certificate: $(cat "$work/openssl")"
    start_etcd
    port=$(free_port)
    background kube-apiserver --etcd-servers="$etcd" --etcd-cafile="$certificate" \
        --etcd-certfile="$certificate" --etcd-keyfile="$key" --bind-address=127.0.0.1 \
        --secure-port="$port" --tls-cert-file="$certificate" --tls-private-key-file="$key" \
        --token-auth-file="$work/tokens" --anonymous-auth=false --authorization-mode=RBAC \
        --service-account-issuer=https://kubernetes.default.svc --service-account-key-file="$key" \
        --service-account-signing-key-file="$key" --service-cluster-ip-range=10.96.0.0/16 \
        --endpoint-reconciler-type=none
    cat >"$KUBECONFIG" <<EOF
apiVersion: v1
kind: Config
current-context: here
contexts: [{ name: here, context: { cluster: here, user: admin, namespace: $space } }]
clusters: [{ name: here, cluster: { server: "https://127.0.0.1:$port", certificate-authority: $certificate } }]
users: [{ name: admin, user: { token: $token } }]
EOF
    chmod 600 "$KUBECONFIG"
    await kube-apiserver kubectl get --raw /readyz
}

start_etcd() {
    etcd=https://127.0.0.1:$(free_port)
    background etcd --data-dir="$work/etcd" --unsafe-no-fsync \
        --listen-client-urls="$etcd" --advertise-client-urls="$etcd" --cert-file="$certificate" \
        --key-file="$key" --client-cert-auth --trusted-ca-file="$certificate" \
        --listen-peer-urls="https://127.0.0.1:$(free_port)" --peer-cert-file="$certificate" \
        --peer-key-file="$key" --peer-client-cert-auth --peer-trusted-ca-file="$certificate"
    await etcd curl --silent --fail --noproxy '*' --cacert "$certificate" --cert "$certificate" \
        --key "$key" "$etcd/health"
}

# Below those that systems give out for connections.
free_port() {
    local port
    while port=$((20000 + RANDOM % 12000)); do
        (exec 3<>"/dev/tcp/127.0.0.1/$port") 2>/dev/null || break
    done
    echo "$port"
}

# PROGRAM FLAGS, until the script ends.
background() {
    "$@" >"$work/$1.log" 2>&1 &
    processes+=($!)
}

# PROGRAM COMMAND: until the command is content with the program that was started last.
await() {
    local name=$1
    shift
    for _ in $(seq 1200); do
        ! "$@" >/dev/null 2>&1 || return 0
        kill -0 "${processes[-1]}" 2>/dev/null || break
        sleep 0.1
    done
    tail -n 20 "$work/$name.log" >&2
    fail "$name is not ready"
}

# Nothing of it is kept, so nothing need end in order.
stop() {
    [ ${#processes[@]} = 0 ] || kill -KILL "${processes[@]}" 2>/dev/null || true
    { wait; } 2>/dev/null
    rm -rf "$work"
}
