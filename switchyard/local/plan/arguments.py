"""Rewrites a container's command line for this machine: placeholders, paths, ports and hosts."""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence

from switchyard.local.errors import LocalError

LOOPBACK = "127.0.0.1"
PORTS = 65536

_HTTP_FLAGS = ("--http_port", "--http-port", "--port")
_PORT_FLAGS = (*_HTTP_FLAGS, "--grpc_port", "--grpc-port", "--metrics_port", "--metrics-port")
_HOST_FLAGS = ("--host", "--http_host", "--grpc_host", "--http-address", "--grpc-address", "--metrics-address")
_KV_CACHE_FLAG = "--kv-cache-memory-bytes"
# Not preceded by a character of a host name or a path, so that `my-localhost:80` stays.
_ADDRESS = re.compile(r"(?<![\w.-])(?:localhost|127\.0\.0\.1):(?P<port>\d{1,5})\b")
# Without a port, or with that of a Kubernetes Service: only that one is what the activator takes the place of.
_URL = re.compile(r"https?://(?P<host>[a-z0-9.-]+)(?::(?:80|443))?(?![\w.:-])")

_PLACEHOLDER = re.compile(r"\{\{\s*\.(?P<root>Name|Namespace|Labels|Annotations)(?:\.(?P<key>[\w./-]+))?\s*\}\}")
_REFERENCE = re.compile(r"\$(?:\$|\((?P<name>[-._a-zA-Z][-._a-zA-Z0-9]*)\))")


def loopback_url(port: int, scheme: str = "http") -> str:
    """Return the base URL of a server of this machine."""
    return f"{scheme}://{LOOPBACK}:{port}"


def fill_placeholders(text: str, metadata: Mapping[str, object]) -> str:
    """Replace ``{{.Name}}``, ``{{.Namespace}}``, ``{{.Labels.x}}`` and ``{{.Annotations.x}}`` as KServe does.

    KServe runs a Go template over the runtime's container with the service's metadata (``ReplacePlaceholders``).

    Raises:
        LocalError: a label or annotation is missing, or another placeholder is used.
    """

    def value(match: re.Match[str]) -> str:
        root, key = match["root"], match["key"]
        if root in ("Name", "Namespace"):
            return str(metadata.get(root.lower(), "default"))
        entries = metadata.get(root.lower()) or {}
        if not isinstance(entries, Mapping) or key not in entries:
            raise LocalError(
                f"{text!r} uses {root.lower()}[{key!r}], which {metadata.get('name')} does not have; add it"
            )
        return str(entries[key])

    filled = _PLACEHOLDER.sub(value, text)
    if "{{" in filled:
        raise LocalError(f"{text!r}: only {{{{.Name}}}}, .Namespace, .Labels.x and .Annotations.x are replaced")
    return filled


def expand_references(text: str, env: Mapping[str, str]) -> str:
    """Replace ``$(NAME)`` by the container's own variable; unknown ones stay and ``$$`` is ``$``, as in Kubernetes."""

    def value(match: re.Match[str]) -> str:
        if match[0] == "$$":
            return "$"
        return env.get(match["name"], match[0])

    return _REFERENCE.sub(value, text)


def replace_paths(text: str, mounts: Mapping[str, str]) -> str:
    """Replace a mount path at a path boundary by its folder on this machine; the longest mount path wins."""
    if not mounts:
        return text
    longest_first = "|".join(map(re.escape, sorted(mounts, key=len, reverse=True)))
    return re.sub(rf"(?:(?<![\w.\-/])|(?<=://))({longest_first})(?![\w.\-])", lambda match: mounts[match[0]], text)


def bind(texts: Sequence[str], ports: Mapping[int, int]) -> tuple[str, ...]:
    """Replace the pod's ``ports`` in a command line by this machine's, and host flags by loopback.

    Ports are replaced in port flags (``--flag=x`` and ``--flag x``) and in addresses within the pod, such as
    ``127.0.0.1:9000``, which one container uses to reach another.
    """
    bound: list[str] = []
    pending: Callable[[str], str] | None = None
    for text in texts:
        flag, equals, value = text.partition("=")
        if pending is not None:
            bound.append(pending(text))
            pending = None
            continue
        rewrite = _rewrite(flag, ports)
        if rewrite is None:
            bound.append(rebase(text, ports))
        elif equals:
            bound.append(f"{flag}={rewrite(value)}")
        else:
            bound.append(text)
            pending = rewrite
    return tuple(bound)


def _rewrite(flag: str, ports: Mapping[int, int]) -> "Callable[[str], str] | None":
    if flag in _HOST_FLAGS:
        return lambda value: LOOPBACK
    if flag in _PORT_FLAGS:
        return lambda value: str(ports[_port(flag, value)])
    return None


def rebase(text: str, ports: Mapping[int, int]) -> str:
    """Replace the ports of loopback addresses in ``text``; addresses of other ports stay."""
    return _ADDRESS.sub(lambda match: f"{LOOPBACK}:{ports.get(int(match['port']), match['port'])}", text)


def rehost(text: str, hosts: Mapping[str, str]) -> str:
    """Replace the cluster's host names in URLs by the ``host:port`` in ``hosts``; other names stay."""

    def address(match: re.Match[str]) -> str:
        found = hosts.get(match["host"])
        return f"http://{found}" if found else match[0]

    return _URL.sub(address, text)


def ports_of(argv: Sequence[str]) -> frozenset[int]:
    """Return every port that a command line names.

    Raises:
        LocalError: the value of a port flag is not a port number.
    """
    return frozenset(port for flag in _PORT_FLAGS for port in _values(argv, (flag,)))


def port_of(argv: Sequence[str]) -> int | None:
    """Return the HTTP port that a command line names, None if it names none.

    Raises:
        LocalError: the flag's value is not a port number.
    """
    return next(_values(argv, _HTTP_FLAGS), None)


def kv_cache_bytes(argv: Sequence[str]) -> int | None:
    """Return the bytes of KV cache that a command line gives vLLM, None if it names none; the last flag wins."""
    given = [argument.partition("=")[2] for argument in argv if argument.startswith(f"{_KV_CACHE_FLAG}=")]
    return int(given[-1]) if given and given[-1].isdecimal() else None


def _values(argv: Sequence[str], flags: Sequence[str]) -> Iterator[int]:
    for position, argument in enumerate(argv):
        flag, equals, value = argument.partition("=")
        if flag in flags:
            yield _port(flag, value if equals else "".join(argv[position + 1 : position + 2]))


def _port(flag: str, text: str) -> int:
    if not text.isdecimal() or not 0 < int(text) < PORTS:
        raise LocalError(f"argument {flag} is {text!r}, not a port number from 1 to 65535")
    return int(text)
