package main

import (
	"context"
	"log"
	"net"
	"net/http"
	"net/http/httputil"
	"net/url"
	"sync/atomic"
	"time"
)

type proxy struct {
	current     *atomic.Pointer[table]
	fromCluster bool
}

func newProxy(current *atomic.Pointer[table], fromCluster bool) *proxy {
	return &proxy{current: current, fromCluster: fromCluster}
}

// transport is for one request: a kept connection stays with its pod even when the Service has moved on, or has more of
// them, and a pod that ends would break the next request. DisableKeepAlives is not enough: with HTTP/2, requests that come
// together then share a connection that the first one closes.
func transport(h2c bool) *http.Transport {
	made := &http.Transport{DisableCompression: true, DialContext: dial}
	made.Protocols = new(http.Protocols)
	made.Protocols.SetHTTP1(!h2c)
	made.Protocols.SetUnencryptedHTTP2(h2c)
	return made
}

// dial tries for some seconds: between a pod's end and the update of the node's rules, its address refuses.
func dial(ctx context.Context, network, address string) (net.Conn, error) {
	dialer := net.Dialer{Timeout: 2 * time.Second}
	var connection net.Conn
	var err error
	for range 20 {
		if connection, err = dialer.DialContext(ctx, network, address); err == nil || ctx.Err() != nil {
			return connection, err
		}
		time.Sleep(100 * time.Millisecond)
	}
	return nil, err
}

func (p *proxy) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	// Without it the server closes the request's body when the response begins, which fails the transport's last read of it,
	// and with that the response, if a pod is fast. HTTP/2 knows no such rule and rejects the call.
	if r.ProtoMajor == 1 {
		if err := http.NewResponseController(w).EnableFullDuplex(); err != nil {
			log.Print(err)
		}
	}
	rules := p.current.Load()
	if rules == nil {
		http.Error(w, "the ingress has not read its rules yet", http.StatusServiceUnavailable)
		return
	}
	rule := rules.find(r.Host, r.URL.Path, r.Header.Get, p.fromCluster)
	if rule == nil {
		http.Error(w, "no Knative route for host "+r.Host, http.StatusNotFound)
		return
	}
	to := rule.choose()
	if to == nil {
		http.Error(w, "the route of host "+r.Host+" leads nowhere", http.StatusNotFound)
		return
	}
	carrier := transport(to.ServicePort.h2c())
	defer carrier.CloseIdleConnections()
	forward := httputil.ReverseProxy{
		FlushInterval: -1, // every piece of a stream at once
		Transport:     carrier,
		Rewrite: func(call *httputil.ProxyRequest) {
			call.SetURL(&url.URL{Scheme: "http", Host: to.address()})
			call.Out.Host = call.In.Host
			if rule.RewriteHost != "" {
				call.Out.Host = rule.RewriteHost
			}
			call.SetXForwarded()
			for _, headers := range []map[string]string{rule.AppendHeaders, to.AppendHeaders} {
				for name, value := range headers {
					call.Out.Header.Set(name, value)
				}
			}
		},
	}
	forward.ServeHTTP(w, r)
}
