"""Prometheus' discovery in Kubernetes, over HTTP: Debian's Prometheus is built without its own.

The labels are those of its manual (kubernetes_sd_config, roles pod and endpoints), as far as prometheus-operator uses
them.
"""

import json
import re
import ssl
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx

from tools.cluster.machine.layout import API_SERVER, PKI

_META = "__meta_kubernetes"
Group = dict[str, Any]


class Discovery:
    """The targets that there are now, from the API server."""

    def __init__(self) -> None:
        trusted = ssl.create_default_context(cafile=str(PKI / "ca.crt"))
        trusted.load_cert_chain(PKI / "admin.crt", PKI / "admin.key")
        self._client = httpx.Client(base_url=API_SERVER, verify=trusted, trust_env=False, timeout=30)

    def close(self) -> None:
        self._client.close()

    def found(self, role: str, namespaces: list[str]) -> list[Group]:
        """The targets of a role; none of ``namespaces`` are all."""
        groups = self._pods() if role == "pod" else self._endpoints()
        return [one for one in groups if not namespaces or one["labels"][f"{_META}_namespace"] in namespaces]

    def _items(self, kind: str) -> list[Mapping[str, Any]]:
        found: list[Mapping[str, Any]] = self._client.get(f"/api/v1/{kind}").raise_for_status().json()["items"]
        return found

    def _pods(self) -> Iterator[Group]:
        for pod in self._items("pods"):
            address, labels = pod["status"].get("podIP"), _of_pod(pod)
            if address:
                for container in pod["spec"]["containers"]:
                    for port in container.get("ports", ()):
                        number = str(port["containerPort"])
                        own = {
                            f"{_META}_pod_container_name": container["name"],
                            f"{_META}_pod_container_port_name": port.get("name", ""),
                            f"{_META}_pod_container_port_number": number,
                        }
                        yield {"targets": [f"{address}:{number}"], "labels": {**labels, **own}}

    def _endpoints(self) -> Iterator[Group]:
        services = {(one["metadata"]["namespace"], one["metadata"]["name"]): one for one in self._items("services")}
        for endpoints in self._items("endpoints"):
            metadata = endpoints["metadata"]
            service = services.get((metadata["namespace"], metadata["name"]))
            for subset in endpoints.get("subsets") or ():
                for port in subset.get("ports", ()) if service else ():
                    for address in subset.get("addresses", ()):
                        own = {
                            f"{_META}_namespace": metadata["namespace"],
                            f"{_META}_service_name": metadata["name"],
                            f"{_META}_endpoint_port_name": port.get("name", ""),
                            f"{_META}_endpoint_address_target_kind": address.get("targetRef", {}).get("kind", ""),
                            f"{_META}_endpoint_address_target_name": address.get("targetRef", {}).get("name", ""),
                            **_labels("service", service["metadata"]),  # type: ignore[index]
                        }
                        yield {"targets": [f"{address['ip']}:{port['port']}"], "labels": own}


def _of_pod(pod: Mapping[str, Any]) -> dict[str, str]:
    metadata, status = pod["metadata"], pod["status"]
    ready = {one["type"]: one["status"] for one in status.get("conditions", ())}.get("Ready", "unknown")
    return {
        f"{_META}_namespace": metadata["namespace"],
        f"{_META}_pod_name": metadata["name"],
        f"{_META}_pod_ip": status.get("podIP", ""),
        f"{_META}_pod_phase": status["phase"],
        f"{_META}_pod_ready": ready.lower(),
        **_labels("pod", metadata),
    }


def _labels(kind: str, metadata: Mapping[str, Any]) -> dict[str, str]:
    named = {re.sub(r"[^a-zA-Z0-9_]", "_", key): value for key, value in (metadata.get("labels") or {}).items()}
    values = {f"{_META}_{kind}_label_{key}": value for key, value in named.items()}
    return values | {f"{_META}_{kind}_labelpresent_{key}": "true" for key in named}


@contextmanager
def serving() -> Iterator[str]:
    """Answer ``?role=pod&namespace=…`` on loopback; the block's value is the URL."""
    discovery = Discovery()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked = parse_qs(urlsplit(self.path).query)
            body = json.dumps(discovery.found(asked["role"][0], asked.get("namespace", []))).encode()
            self.send_response(200)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:
            return

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
        discovery.close()
