package main

import (
	"math/rand/v2"
	"net"
	"strconv"
	"strings"
)

type metadata struct {
	Name        string            `json:"name"`
	Namespace   string            `json:"namespace"`
	Generation  int64             `json:"generation"`
	Annotations map[string]string `json:"annotations"`
}

// ingress is the part of networking.internal.knative.dev/v1alpha1 Ingress that is acted on.
type ingress struct {
	Metadata metadata `json:"metadata"`
	Spec     struct {
		Rules []struct {
			Hosts      []string `json:"hosts"`
			Visibility string   `json:"visibility"`
			HTTP       struct {
				Paths []path `json:"paths"`
			} `json:"http"`
		} `json:"rules"`
	} `json:"spec"`
	Status struct {
		ObservedGeneration int64 `json:"observedGeneration"`
		Conditions         []struct {
			Type   string `json:"type"`
			Status string `json:"status"`
		} `json:"conditions"`
	} `json:"status"`
}

func (i ingress) key() string { return i.Metadata.Namespace + "/" + i.Metadata.Name }

type path struct {
	Path    string `json:"path"`
	Headers map[string]struct {
		Exact string `json:"exact"`
	} `json:"headers"`
	RewriteHost   string            `json:"rewriteHost"`
	AppendHeaders map[string]string `json:"appendHeaders"`
	Splits        []split           `json:"splits"`
	local         bool
}

type split struct {
	ServiceName      string            `json:"serviceName"`
	ServiceNamespace string            `json:"serviceNamespace"`
	ServicePort      port              `json:"servicePort"`
	Percent          int               `json:"percent"`
	AppendHeaders    map[string]string `json:"appendHeaders"`
}

// port is a number or a name in the API; names are what Knative calls its ports.
type port string

func (p *port) UnmarshalJSON(text []byte) error {
	*p = port(strings.Trim(string(text), `"`))
	return nil
}

// h2c says that the Service speaks HTTP/2 without TLS: 81 is Knative's port for it.
func (p port) h2c() bool {
	return p == "81" || strings.HasPrefix(string(p), "h2c") || strings.HasPrefix(string(p), "http2")
}

// address ends its host with a dot: with fewer than five in it, a pod's resolver first asks for it below each of its own
// domains, which takes longer than all else that a request does here.
func (s split) address() string {
	return net.JoinHostPort(s.ServiceName+"."+s.ServiceNamespace+".svc.cluster.local.", string(s.ServicePort))
}

// table holds the paths of all rules by host, in lower case.
type table map[string][]path

func newTable(all []ingress) *table {
	made := table{}
	for _, one := range all {
		for _, rule := range one.Spec.Rules {
			for _, host := range rule.Hosts {
				host = strings.ToLower(host)
				for _, to := range rule.HTTP.Paths {
					to.local = rule.Visibility == "ClusterLocal"
					made[host] = append(made[host], to)
				}
			}
		}
	}
	return &made
}

// find returns the path with the most matching headers, then the longest prefix, among those of the host or, if it has
// none, of every host; nil if nothing matches.
func (t *table) find(host, requested string, header func(string) string, fromCluster bool) *path {
	if name, number, err := net.SplitHostPort(host); err == nil {
		if _, err := strconv.Atoi(number); err == nil {
			host = name
		}
	}
	var best *path
	candidates, known := (*t)[strings.ToLower(host)]
	if !known {
		candidates = (*t)[""]
	}
	for i := range candidates {
		one := &candidates[i]
		if (one.local && !fromCluster) || !strings.HasPrefix(requested, one.Path) || !one.wants(header) {
			continue
		}
		if best == nil || len(one.Headers) > len(best.Headers) ||
			(len(one.Headers) == len(best.Headers) && len(one.Path) > len(best.Path)) {
			best = one
		}
	}
	return best
}

func (p *path) wants(header func(string) string) bool {
	for name, value := range p.Headers {
		if header(name) != value.Exact {
			return false
		}
	}
	return true
}

// choose picks a split by its share.
func (p *path) choose() *split {
	left := rand.IntN(100)
	for i := range p.Splits {
		if left -= p.Splits[i].Percent; left < 0 {
			return &p.Splits[i]
		}
	}
	if len(p.Splits) > 0 {
		return &p.Splits[len(p.Splits)-1] // a single split may leave its share out
	}
	return nil
}
