package main

import (
	"encoding/json"
	"testing"
)

const document = `{"spec": {"rules": [
 {"hosts": ["a.example.com"], "visibility": "ExternalIP", "http": {"paths": [
  {"splits": [{"serviceName": "a", "serviceNamespace": "n", "servicePort": 80, "percent": 100}]},
  {"headers": {"Tag": {"exact": "new"}}, "splits": [{"serviceName": "b", "serviceNamespace": "n", "servicePort": 81}]},
  {"path": "/deep", "splits": [{"serviceName": "c", "serviceNamespace": "n", "servicePort": "http"}]}]}},
 {"hosts": ["a.n"], "visibility": "ClusterLocal", "http": {"paths": [
  {"splits": [{"serviceName": "a", "serviceNamespace": "n", "servicePort": 80, "percent": 100}]}]}}]}}`

func TestFind(t *testing.T) {
	var one ingress
	if err := json.Unmarshal([]byte(document), &one); err != nil {
		t.Fatal(err)
	}
	rules := newTable([]ingress{one})
	(*rules)[""] = []path{{Path: "/", Splits: []split{{ServiceName: "front", Percent: 100}}}}
	for _, test := range []struct {
		name, host, path, tag string
		fromCluster           bool
		service               string
	}{
		{"a host", "a.example.com", "/", "", false, "a"},
		{"a host in capitals with a port", "A.Example.com:80", "/", "", false, "a"},
		{"a header decides before the path", "a.example.com", "/deep", "new", false, "b"},
		{"the longest path", "a.example.com", "/deep/er", "", false, "c"},
		{"a local host from the world", "a.n", "/", "", false, ""},
		{"a local host from a pod", "a.n", "/", "", true, "a"},
		{"a public host from a pod", "a.example.com", "/", "", true, "a"},
		{"a host that no rule names", "b.example.com", "/", "", false, "front"},
	} {
		t.Run(test.name, func(t *testing.T) {
			header := func(name string) string { return map[string]string{"Tag": test.tag}[name] }
			found := rules.find(test.host, test.path, header, test.fromCluster)
			service := ""
			if found != nil {
				service = found.choose().ServiceName
			}
			if service != test.service {
				t.Errorf("goes to %q, wanted %q", service, test.service)
			}
		})
	}
}

func TestChooseKeepsToTheShares(t *testing.T) {
	one := path{Splits: []split{{ServiceName: "old", Percent: 70}, {ServiceName: "new", Percent: 30}}}
	taken := 0
	for range 10000 {
		if one.choose().ServiceName == "new" {
			taken++
		}
	}
	if taken < 2700 || taken > 3300 {
		t.Errorf("30 %% of 10000 became %d", taken)
	}
}
