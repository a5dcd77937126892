package main

import (
	"context"
	"fmt"
	"log"
	"net/http"
	"slices"
	"sync"
	"sync/atomic"
)

const (
	knativeGroup   = "/apis/networking.internal.knative.dev/v1alpha1"
	kubernetesRoot = "/apis/networking.k8s.io/v1"
	classKey       = "networking.knative.dev/ingress.class"
)

// rules joins what both kinds of Ingress say into the table that requests are routed by.
type rules struct {
	api     *server
	class   string
	told    status
	current atomic.Pointer[table]

	lock    sync.Mutex
	knative []ingress
	front   []entry
}

// start follows both kinds; Knative's may not be defined yet, which is tried again like any other error.
func (r *rules) start(ctx context.Context) {
	go keep(ctx, r.api, knativeGroup+"/ingresses", func(all []ingress) error { return r.setKnative(ctx, all) })
	go keep(ctx, r.api, kubernetesRoot+"/ingresses", func(all []frontDoor) error { return r.setFront(ctx, all) })
}

// setKnative first routes by what is known, then says so in each object's status.
func (r *rules) setKnative(ctx context.Context, all []ingress) error {
	mine := slices.DeleteFunc(all, func(one ingress) bool { return one.Metadata.Annotations[classKey] != r.class })
	r.lock.Lock()
	r.knative = mine
	r.publish()
	r.lock.Unlock()
	for _, one := range mine {
		if r.told.on(&one) {
			continue
		}
		to := fmt.Sprintf("%s/namespaces/%s/ingresses/%s/status", knativeGroup, one.Metadata.Namespace, one.Metadata.Name)
		body, err := r.api.call(ctx, http.MethodPatch, to, "application/merge-patch+json", r.told.patch(&one))
		if err != nil {
			return err
		}
		body.Close()
	}
	return nil
}

func (r *rules) setFront(ctx context.Context, all []frontDoor) error {
	var front []entry
	for _, one := range all {
		found, err := one.entries(ctx, r.api)
		if err != nil {
			log.Printf("ingress %s: %v", one.key(), err) // its Service may come later: the next change asks again
			continue
		}
		front = append(front, found...)
	}
	r.lock.Lock()
	r.front = front
	r.publish()
	r.lock.Unlock()
	return nil
}

func (r *rules) publish() {
	made := newTable(r.knative)
	for _, one := range r.front {
		(*made)[one.host] = append((*made)[one.host], one.path)
	}
	r.current.Store(made)
}
