"""nginx, HAProxy and Envoy as processes, each in front of one upstream, with the defaults that people run them with."""

import asyncio
import os
import shutil
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from pathlib import Path

from tests.ports import free_port

HOST = "127.0.0.1"
_START_SECONDS = 30
_INSTALL = "run `make setup`, which installs it"

_NGINX = """\
daemon off; master_process off; worker_processes 1; pid nginx.pid; error_log stderr crit;
events { worker_connections 1024; }
http {
  access_log off;
  client_body_temp_path body; proxy_temp_path proxy; fastcgi_temp_path f; uwsgi_temp_path u; scgi_temp_path s;
  upstream up { server 127.0.0.1:%(upstream)d; keepalive 64; }
  server {
    listen 127.0.0.1:%(port)d;
    location / { proxy_pass http://up; proxy_http_version 1.1; proxy_set_header Connection ""; }
  }
}
"""
_HAPROXY = """\
global
  nbthread 1
  maxconn 1024
defaults
  mode http
  timeout connect 5s
  timeout client 10s
  timeout server 10s
  http-reuse always
frontend f
  bind 127.0.0.1:%(port)d
  default_backend b
backend b
  server s 127.0.0.1:%(upstream)d
"""
# HTTP/1.0 is served by the others as it comes; Envoy has to be told.
_ENVOY = """\
static_resources:
  listeners:
    - address: {socket_address: {address: 127.0.0.1, port_value: %(port)d}}
      filter_chains:
        - filters:
            - name: envoy.filters.network.http_connection_manager
              typed_config:
                "@type": type.googleapis.com/%(filters)s.network.http_connection_manager.v3.HttpConnectionManager
                stat_prefix: in
                http_protocol_options: {accept_http_10: true, default_host_for_http_10: x}
                route_config:
                  virtual_hosts:
                    - {name: all, domains: ["*"], routes: [{match: {prefix: /}, route: {cluster: up}}]}
                http_filters:
                  - name: envoy.filters.http.router
                    typed_config: {"@type": type.googleapis.com/%(filters)s.http.router.v3.Router}
  clusters:
    - name: up
      type: STATIC
      connect_timeout: 5s
      load_assignment:
        cluster_name: up
        endpoints:
          - lb_endpoints:
              - endpoint: {address: {socket_address: {address: 127.0.0.1, port_value: %(upstream)d}}}
"""
_FILTERS = "envoy.extensions.filters"


def _nginx(config: Path) -> tuple[str, ...]:
    return ("-e", "stderr", "-p", str(config.parent), "-c", str(config))


def _haproxy(config: Path) -> tuple[str, ...]:
    return ("-db", "-f", str(config))


def _envoy(config: Path) -> tuple[str, ...]:
    return ("--disable-hot-restart", "--concurrency", "1", "--log-level", "error", "-c", str(config))


_PROXIES: Mapping[str, tuple[str, Callable[[Path], tuple[str, ...]], str]] = {
    "nginx": ("nginx.conf", _nginx, _NGINX),
    "haproxy": ("haproxy.cfg", _haproxy, _HAPROXY),
    "envoy": ("envoy.yaml", _envoy, _ENVOY),
}
NAMES = tuple(_PROXIES)


@asynccontextmanager
async def proxy(name: str, folder: Path, upstream: int) -> AsyncIterator[int]:
    """The port of a running proxy, whose files are put into ``folder``.

    Raises:
        FileNotFoundError: it is not installed.
    """
    program = shutil.which(name, path=f"{os.environ['PATH']}:/usr/sbin")  # where Debian keeps servers
    if program is None:
        raise FileNotFoundError(f"there is no {name} on PATH: {_INSTALL}")
    port = free_port()
    command = (program, *_configured(name, folder, port, upstream))
    with (folder / "log").open("wb") as log:
        process = await asyncio.create_subprocess_exec(*command, stdout=log, stderr=log)
    try:
        await _listens(name, port, process, folder / "log")
        yield port
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()


def _configured(name: str, folder: Path, port: int, upstream: int) -> tuple[str, ...]:
    """The arguments that start a proxy, whose configuration has been written."""
    file, command, text = _PROXIES[name]
    folder.mkdir()
    config = folder / file
    config.write_text(text % {"port": port, "upstream": upstream, "filters": _FILTERS}, encoding="utf-8")
    return command(config)


async def _listens(name: str, port: int, process: asyncio.subprocess.Process, log: Path) -> None:
    async with asyncio.timeout(_START_SECONDS):
        while True:
            if process.returncode is not None:
                raise RuntimeError(f"{name} ended at once:\n{_end_of(log)}")
            try:
                _, writer = await asyncio.open_connection(HOST, port)
            except OSError:
                await asyncio.sleep(0.02)
                continue
            writer.close()
            return


def _end_of(log: Path) -> str:
    return log.read_text(encoding="utf-8", errors="replace")[-2000:]
