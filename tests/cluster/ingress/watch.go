package main

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"os"
	"strings"
	"sync/atomic"
	"time"
)

const (
	identity   = "/var/run/secrets/kubernetes.io/serviceaccount/"
	collection = "/apis/networking.internal.knative.dev/v1alpha1/ingresses"
	classKey   = "networking.knative.dev/ingress.class"
)

// server is the API server as this pod's service account sees it.
type server struct {
	base   string
	client *http.Client
}

func inCluster() (*server, error) {
	authority, err := os.ReadFile(identity + "ca.crt")
	if err != nil {
		return nil, err
	}
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM(authority)
	address := net.JoinHostPort(os.Getenv("KUBERNETES_SERVICE_HOST"), os.Getenv("KUBERNETES_SERVICE_PORT"))
	transport := &http.Transport{TLSClientConfig: &tls.Config{RootCAs: pool}}
	return &server{base: "https://" + address, client: &http.Client{Transport: transport}}, nil
}

func (s *server) call(ctx context.Context, method, path, kind string, body []byte) (io.ReadCloser, error) {
	token, err := os.ReadFile(identity + "token") // kubelet renews it
	if err != nil {
		return nil, err
	}
	request, err := http.NewRequestWithContext(ctx, method, s.base+path, bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	request.Header.Set("Authorization", "Bearer "+strings.TrimSpace(string(token)))
	if kind != "" {
		request.Header.Set("Content-Type", kind)
	}
	answer, err := s.client.Do(request)
	if err != nil {
		return nil, err
	}
	if answer.StatusCode >= http.StatusMultipleChoices {
		defer answer.Body.Close()
		text, _ := io.ReadAll(io.LimitReader(answer.Body, 500))
		return nil, fmt.Errorf("%s %s: %s: %s", method, path, answer.Status, text)
	}
	return answer.Body, nil
}

// keep holds the table up to date for ever: it reads all, follows the changes, and reads all again when it loses them.
func keep(ctx context.Context, api *server, class string, current *atomic.Pointer[table], told status) {
	for {
		err := follow(ctx, api, class, current, told)
		log.Print("reading all again: ", err)
		time.Sleep(500 * time.Millisecond)
	}
}

func follow(ctx context.Context, api *server, class string, current *atomic.Pointer[table], told status) error {
	body, err := api.call(ctx, http.MethodGet, collection, "", nil)
	if err != nil {
		return err
	}
	var list struct {
		Metadata struct {
			ResourceVersion string `json:"resourceVersion"`
		} `json:"metadata"`
		Items []ingress `json:"items"`
	}
	err = json.NewDecoder(body).Decode(&list)
	body.Close()
	if err != nil {
		return err
	}
	known := map[string]ingress{}
	take := func(one ingress, gone bool) {
		key := one.Metadata.Namespace + "/" + one.Metadata.Name
		delete(known, key)
		if !gone && one.Metadata.Annotations[classKey] == class {
			known[key] = one
		}
	}
	for _, one := range list.Items {
		take(one, false)
	}
	if err := publish(ctx, api, known, current, told); err != nil {
		return err
	}
	changes := collection + "?watch=true&timeoutSeconds=300&resourceVersion=" + list.Metadata.ResourceVersion
	body, err = api.call(ctx, http.MethodGet, changes, "", nil)
	if err != nil {
		return err
	}
	defer body.Close()
	for decoder := json.NewDecoder(body); ; {
		var event struct {
			Type   string  `json:"type"`
			Object ingress `json:"object"`
		}
		if err := decoder.Decode(&event); err != nil {
			return err
		}
		if event.Type == "ERROR" {
			return fmt.Errorf("the watch from version %s is no longer served", list.Metadata.ResourceVersion)
		}
		take(event.Object, event.Type == "DELETED")
		if err := publish(ctx, api, known, current, told); err != nil {
			return err
		}
	}
}

// publish first routes by what is known, then says so in each object's status.
func publish(ctx context.Context, api *server, known map[string]ingress, current *atomic.Pointer[table], told status) error {
	all := make([]ingress, 0, len(known))
	for _, one := range known {
		all = append(all, one)
	}
	current.Store(newTable(all))
	for _, one := range all {
		if told.on(&one) {
			continue
		}
		to := fmt.Sprintf("/apis/networking.internal.knative.dev/v1alpha1/namespaces/%s/ingresses/%s/status",
			one.Metadata.Namespace, one.Metadata.Name)
		body, err := api.call(ctx, http.MethodPatch, to, "application/merge-patch+json", told.patch(&one))
		if err != nil {
			return err
		}
		body.Close()
	}
	return nil
}
