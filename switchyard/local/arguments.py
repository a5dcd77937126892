"""What local mode changes in a container's command line, and nothing else: placeholders, paths, ports, hosts."""

import re
from collections.abc import Mapping, Sequence

from switchyard.local.errors import LocalError

LOOPBACK = "127.0.0.1"

_HTTP_FLAGS = ("--http_port", "--http-port", "--port")
_GRPC_FLAGS = ("--grpc_port", "--grpc-port")
_HOST_FLAGS = ("--host", "--http_host", "--grpc_host")

_PLACEHOLDER = re.compile(r"\{\{\s*\.(?P<root>Name|Namespace|Labels|Annotations)(?:\.(?P<key>[\w./-]+))?\s*\}\}")
_REFERENCE = re.compile(r"\$(?:\$|\((?P<name>[-._a-zA-Z][-._a-zA-Z0-9]*)\))")


def fill_placeholders(text: str, metadata: Mapping[str, object]) -> str:
    """Replaces ``{{.Name}}``, ``{{.Namespace}}``, ``{{.Labels.x}}`` and ``{{.Annotations.x}}`` as KServe does.

    KServe runs a Go template over the runtime's container with the service's metadata (``ReplacePlaceholders``).

    Raises:
        LocalError: a label or annotation is not there, or another placeholder is used.
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
    """Replaces ``$(NAME)`` by the container's own variable; unknown ones stay and ``$$`` is ``$``, as in Kubernetes."""

    def value(match: re.Match[str]) -> str:
        if match[0] == "$$":
            return "$"
        return env.get(match["name"], match[0])

    return _REFERENCE.sub(value, text)


def replace_paths(text: str, mounts: Mapping[str, str]) -> str:
    """Replaces a mount path at a path boundary by the folder that stands for it here; the longest mount path wins."""
    if not mounts:
        return text
    longest_first = "|".join(map(re.escape, sorted(mounts, key=len, reverse=True)))
    return re.sub(rf"(?<![\w.\-/])({longest_first})(?![\w.\-])", lambda match: mounts[match[0]], text)


def bind(argv: Sequence[str], *, http_port: int, grpc_port: int) -> tuple[str, ...]:
    """``argv`` with its port flags set to these ports and its host flags to loopback; ``--flag=x`` and ``--flag x``."""
    values = dict.fromkeys(_HTTP_FLAGS, str(http_port)) | dict.fromkeys(_GRPC_FLAGS, str(grpc_port))
    values |= dict.fromkeys(_HOST_FLAGS, LOOPBACK)
    bound: list[str] = []
    pending: str | None = None
    for argument in argv:
        flag, equals, _ = argument.partition("=")
        if pending is not None:
            bound.append(pending)
            pending = None
        elif flag in values and equals:
            bound.append(f"{flag}={values[flag]}")
        else:
            bound.append(argument)
            pending = values.get(argument)
    return tuple(bound)


def port_of(argv: Sequence[str], *, grpc: bool = False) -> int | None:
    """The HTTP (or gRPC) port that a command line asks for, None if it names none.

    Raises:
        LocalError: the flag's value is no port number.
    """
    flags = _GRPC_FLAGS if grpc else _HTTP_FLAGS
    for position, argument in enumerate(argv):
        flag, equals, value = argument.partition("=")
        if flag not in flags:
            continue
        text = value if equals else "".join(argv[position + 1 : position + 2])
        if not text.isdecimal() or not 0 < int(text) < 65536:
            raise LocalError(f"argument {flag} is {text!r}, not a port number from 1 to 65535")
        return int(text)
    return None
