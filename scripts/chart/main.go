// Reads rendered objects from standard input and refuses fields that their kinds do not have, for kinds
// of other projects than Kubernetes: by the Go types of those projects. What a type does not say, such as
// the range of a number, is not checked.
package main

import (
	"bytes"
	"fmt"
	"io"
	"os"

	certmanager "github.com/cert-manager/cert-manager/pkg/apis/certmanager/v1"
	monitoring "github.com/prometheus-operator/prometheus-operator/pkg/apis/monitoring/v1"
	gateway "sigs.k8s.io/gateway-api/apis/v1"
	"sigs.k8s.io/yaml"
)

// A new object of the kind; none where the kind is left to others.
func object(version, kind string) any {
	switch version + " " + kind {
	case "cert-manager.io/v1 Certificate":
		return &certmanager.Certificate{}
	case "gateway.networking.k8s.io/v1 GRPCRoute":
		return &gateway.GRPCRoute{}
	case "monitoring.coreos.com/v1 PodMonitor":
		return &monitoring.PodMonitor{}
	case "monitoring.coreos.com/v1 PrometheusRule":
		return &monitoring.PrometheusRule{}
	case "monitoring.coreos.com/v1 ServiceMonitor":
		return &monitoring.ServiceMonitor{}
	default:
		return nil
	}
}

func main() {
	text, err := io.ReadAll(os.Stdin)
	if err != nil {
		fail("cannot read: %v", err)
	}
	count := 0
	for _, part := range bytes.Split(text, []byte("\n---\n")) {
		var head struct {
			APIVersion string `json:"apiVersion"`
			Kind       string `json:"kind"`
		}
		if err := yaml.Unmarshal(part, &head); err != nil {
			fail("not YAML: %v", err)
		}
		object := object(head.APIVersion, head.Kind)
		if object == nil {
			continue
		}
		if err := yaml.UnmarshalStrict(part, object); err != nil {
			fail("%s: %v", head.Kind, err)
		}
		count++
	}
	fmt.Println(count)
}

func fail(format string, values ...any) {
	fmt.Fprintf(os.Stderr, format+"\n", values...)
	os.Exit(1)
}
