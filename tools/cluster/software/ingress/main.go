// Ingress is a networking layer for Knative Serving in tests, made of Go's standard library alone.
//
// It watches Knative's Ingress objects of one class, routes requests by host, path and headers to the Services that
// they name, and then reports the objects as ready. Kubernetes' own Ingress objects are routed too, for any class. A revision at zero is no case of its own: Knative points the
// revision's Service at the activator. It goes by Kourier's names, so that nothing else need know of it. No TLS, no retries but of connections: enough for tests, not a product.
package main

import (
	"context"
	"flag"
	"log"
	"net/http"
)

func main() {
	class := flag.String("class", "kourier.ingress.networking.knative.dev", "value of the annotation networking.knative.dev/ingress.class")
	public := flag.String("public", "kourier.kourier-system.svc.cluster.local", "where the world reaches port 8080")
	local := flag.String("local", "kourier-internal.kourier-system.svc.cluster.local", "where pods reach port 8081")
	flag.Parse()

	api, err := inCluster()
	if err != nil {
		log.Fatal(err)
	}
	routes := &rules{api: api, class: *class, told: status{public: *public, local: *local}}
	routes.start(context.Background())

	http.HandleFunc("/ready", func(w http.ResponseWriter, _ *http.Request) {
		if routes.current.Load() == nil {
			w.WriteHeader(http.StatusServiceUnavailable)
		}
	})
	go func() { log.Fatal(http.ListenAndServe(":9000", nil)) }()
	go func() { log.Fatal(serve(":8081", newProxy(&routes.current, true))) }()
	log.Fatal(serve(":8080", newProxy(&routes.current, false)))
}

// serve takes HTTP/1.1 and, for gRPC, HTTP/2 without TLS.
func serve(address string, handler http.Handler) error {
	protocols := new(http.Protocols)
	protocols.SetHTTP1(true)
	protocols.SetUnencryptedHTTP2(true)
	return (&http.Server{Addr: address, Handler: handler, Protocols: protocols}).ListenAndServe()
}
