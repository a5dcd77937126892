package main

import (
	"context"
	"fmt"
	"strconv"
	"strings"
)

// frontDoor is the part of networking.k8s.io/v1 Ingress that is acted on.
type frontDoor struct {
	Metadata metadata `json:"metadata"`
	Spec     struct {
		Rules []struct {
			Host string `json:"host"`
			HTTP struct {
				Paths []struct {
					Path    string `json:"path"`
					Backend struct {
						Service struct {
							Name string `json:"name"`
							Port struct {
								Name   string `json:"name"`
								Number int    `json:"number"`
							} `json:"port"`
						} `json:"service"`
					} `json:"backend"`
				} `json:"paths"`
			} `json:"http"`
		} `json:"rules"`
	} `json:"spec"`
}

func (f frontDoor) key() string { return f.Metadata.Namespace + "/" + f.Metadata.Name }

// entry is a path of a host; the host is empty for one that takes every host that no other rule names.
type entry struct {
	host string
	path path
}

func (f frontDoor) entries(ctx context.Context, api *server) ([]entry, error) {
	var found []entry
	for _, rule := range f.Spec.Rules {
		for _, to := range rule.HTTP.Paths {
			service := to.Backend.Service
			number := service.Port.Number
			if number == 0 {
				var err error
				if number, err = portOf(ctx, api, f.Metadata.Namespace, service.Name, service.Port.Name); err != nil {
					return nil, err
				}
			}
			only := split{ServiceName: service.Name, ServiceNamespace: f.Metadata.Namespace, Percent: 100}
			only.ServicePort = port(strconv.Itoa(number))
			found = append(found, entry{strings.ToLower(rule.Host), path{Path: to.Path, Splits: []split{only}}})
		}
	}
	return found, nil
}

// portOf asks for the number of a Service's named port.
func portOf(ctx context.Context, api *server, namespace, name, wanted string) (int, error) {
	var service struct {
		Spec struct {
			Ports []struct {
				Name string `json:"name"`
				Port int    `json:"port"`
			} `json:"ports"`
		} `json:"spec"`
	}
	if err := api.get(ctx, "/api/v1/namespaces/"+namespace+"/services/"+name, &service); err != nil {
		return 0, err
	}
	for _, one := range service.Spec.Ports {
		if one.Name == wanted {
			return one.Port, nil
		}
	}
	return 0, fmt.Errorf("service %s/%s has no port called %s", namespace, name, wanted)
}
