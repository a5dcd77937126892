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
	"maps"
	"net"
	"net/http"
	"os"
	"slices"
	"strings"
	"time"
)

const identity = "/var/run/secrets/kubernetes.io/serviceaccount/"

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

func (s *server) get(ctx context.Context, path string, into any) error {
	body, err := s.call(ctx, http.MethodGet, path, "", nil)
	if err != nil {
		return err
	}
	defer body.Close()
	return json.NewDecoder(body).Decode(into)
}

// object is what a collection holds.
type object interface{ key() string }

// keep follows a collection for ever: it reads all, follows the changes, and reads all again when it loses them.
// changed hears all objects, first and after each change.
func keep[T object](ctx context.Context, api *server, collection string, changed func([]T) error) {
	for {
		err := follow(ctx, api, collection, changed)
		log.Print("reading all again: ", err)
		time.Sleep(500 * time.Millisecond)
	}
}

func follow[T object](ctx context.Context, api *server, collection string, changed func([]T) error) error {
	var list struct {
		Metadata struct {
			ResourceVersion string `json:"resourceVersion"`
		} `json:"metadata"`
		Items []T `json:"items"`
	}
	if err := api.get(ctx, collection, &list); err != nil {
		return err
	}
	known := map[string]T{}
	for _, one := range list.Items {
		known[one.key()] = one
	}
	if err := changed(slices.Collect(maps.Values(known))); err != nil {
		return err
	}
	changes := collection + "?watch=true&timeoutSeconds=300&resourceVersion=" + list.Metadata.ResourceVersion
	body, err := api.call(ctx, http.MethodGet, changes, "", nil)
	if err != nil {
		return err
	}
	defer body.Close()
	for decoder := json.NewDecoder(body); ; {
		var event struct {
			Type   string `json:"type"`
			Object T      `json:"object"`
		}
		if err := decoder.Decode(&event); err != nil {
			return err
		}
		switch event.Type {
		case "ERROR":
			return fmt.Errorf("the watch from version %s is no longer served", list.Metadata.ResourceVersion)
		case "DELETED":
			delete(known, event.Object.key())
		default:
			known[event.Object.key()] = event.Object
		}
		if err := changed(slices.Collect(maps.Values(known))); err != nil {
			return err
		}
	}
}
