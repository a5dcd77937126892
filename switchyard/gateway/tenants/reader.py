"""``python -m switchyard.gateway.tenants.reader FILE``: checks ``tenants.yaml`` and writes it as rows for the gateway.

A process of its own, because both steps hold the interpreter's lock: a file of 100,000 keys would stall every request
for a second as JSON, for ten as YAML. The gateway takes the rows, each a line of JSON, a few at a time.
"""

import gc
import itertools
import resource
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import orjson
import yaml
from pydantic import ValidationError

from switchyard.files import read_file
from switchyard.gateway.tenants.clashes import clashes
from switchyard.gateway.tenants.document import Issuer, Key, Limit, ModelPrice, Tenant, TenantsFile
from switchyard.gateway.tenants.faults import causes
from switchyard.gateway.tenants.faults import sentence as fault_sentence
from switchyard.gateway.tenants.shown import INVALID, field, sentence, yaml_problem

FILE_BYTES = 64 * 1024 * 1024  # 300,000 keys; a Secret has at most 1 MiB
MEMORY_BYTES = 4 * 1024 * 1024 * 1024  # of this process; 300,000 keys in YAML take 1.5 GB, brackets alone far more
KEYS_PER_ROW = 64
_PROBLEMS = 10  # told at a time
_NANO = 1_000_000_000
_TAG = "tag:yaml.org,2002:"
_TEXT, _LIST, _MAPPING = (f"{_TAG}{name}" for name in ("str", "seq", "map"))
_SHORT = 16  # characters of a value: less than hashes have, of which each is another
_UNFINISHED = object()


class InvalidTenantsError(ValueError):
    """``tenants.yaml`` is not valid; each line of the message has a place in it and a sentence."""


class _Loader(yaml.CSafeLoader):
    """Rejects fields that are there twice, of which YAML's parser takes the last.

    What such files consist of, texts and what holds them by name or in order, it makes itself, in half of PyYAML's
    time, and leaves the rest to PyYAML.
    """

    def __init__(self, stream: bytes) -> None:
        super().__init__(stream)
        self._made: dict[yaml.Node, Any] = {}
        self._tags: dict[str, str] = {}

    def resolve(self, kind: type[yaml.Node], value: Any, implicit: Any) -> str:
        """Return the tag of a node; those of names and short values, which come again, are remembered."""
        short = kind is yaml.ScalarNode and implicit[0] and len(value) <= _SHORT
        if short and value in self._tags:
            return self._tags[value]
        tag: str = super().resolve(kind, value, implicit)  # type: ignore[no-untyped-call]
        if short:
            self._tags[value] = tag
        return tag

    def construct_document(self, node: yaml.Node) -> Any:
        """Return what the file says."""
        return self._value(node)

    def construct_mapping(self, node: Any, deep: bool = False) -> dict[Any, Any]:
        mapping: dict[Any, Any] = super().construct_mapping(node, deep)
        _check_fields(mapping, node)
        return mapping

    def _value(self, node: yaml.Node) -> Any:
        if node.tag == _TEXT:
            return node.value
        if node not in self._made:  # else an anchor's, which is not to be made as often as it is named
            self._made[node] = _UNFINISHED
            try:
                self._made[node] = self._new_value(node)
            except InvalidTenantsError:
                raise
            except (ValueError, LookupError, AttributeError, TypeError):  # of Python's types, with what is in the file
                kind = field(node.tag.removeprefix(_TAG))
                raise InvalidTenantsError(f"line {node.start_mark.line + 1}: this is no valid {kind}") from None
        if self._made[node] is _UNFINISHED:
            raise InvalidTenantsError(f"line {node.start_mark.line + 1}: this contains itself")
        return self._made[node]

    def _new_value(self, node: yaml.Node) -> Any:
        if node.tag == _LIST and isinstance(node, yaml.SequenceNode):
            return [self._value(item) for item in node.value]
        if node.tag != _MAPPING or not isinstance(node, yaml.MappingNode):
            return self.construct_object(node, deep=True)
        if any(key.tag != _TEXT for key, _ in node.value):  # such as one that merges others
            return self.construct_mapping(node, deep=True)
        mapping = {key.value: self._value(value) for key, value in node.value}
        _check_fields(mapping, node)
        return mapping


def _check_fields(mapping: dict[Any, Any], node: yaml.Node) -> None:
    if len(mapping) != len(node.value):
        raise InvalidTenantsError(f"line {node.start_mark.line + 1}: a field is there twice in one mapping; keep one")


def read(path: Path) -> TenantsFile:
    """Read and check the file.

    Raises:
        InvalidTenantsError: it is not valid.
        OSError: it cannot be read, or is no file of at most ``FILE_BYTES``.
    """
    said = parsed(read_file(path, FILE_BYTES))
    problems = [*clashes(said)]
    try:
        file = TenantsFile.model_validate(said)
    except ValidationError as err:
        problems = [*(fault_sentence(fault, said) for fault in causes(err.errors(include_input=False))), *problems]
    if problems:
        more = len(problems) - _PROBLEMS
        told = [sentence(problem) for problem in problems[:_PROBLEMS]]
        raise InvalidTenantsError("\n".join([*told, *([f"and {more} more"] if more > 0 else [])]))
    return file


def parsed(data: bytes) -> Any:
    """Return what YAML or JSON says.

    Raises:
        InvalidTenantsError: it is neither, or has a field twice.
    """
    # JSON is YAML, and programs that write large files write it: it is read 100 times faster.
    if data.lstrip()[:1] == b"{":
        try:
            return orjson.loads(data)
        except orjson.JSONDecodeError:
            pass
    try:
        return yaml.load(data, Loader=_Loader)  # noqa: S506 - a safe loader
    except yaml.YAMLError as err:
        mark = getattr(err, "problem_mark", None)
        # Without the excerpt of the file that the error's own text has, nor what its problem quotes.
        place = f"line {mark.line + 1}, column {mark.column + 1}: " if mark is not None else ""
        problem = yaml_problem(getattr(err, "problem", None) or "this is not YAML")
        raise InvalidTenantsError(sentence(f"{place}{problem}")) from None
    except RecursionError:
        raise InvalidTenantsError("the file is nested deeper than any of its fields") from None


def rows(file: TenantsFile) -> Iterator[Mapping[str, Any]]:
    """Yield the price list, and the tenants and teams with their keys, as ``Directory.add`` takes them."""
    if file.prices:
        yield {"prices": [_nano_dollars(price) for price in file.prices]}
    for tenant in file.tenants:
        limits: dict[str, Any] = {"zone": tenant.timezone, "tenant": _limits(tenant.limits), "team": ()}
        yield from _rows(tenant, "", [tenant.models], tenant.keys, limits)
        for team in tenant.teams:
            yield from _rows(
                tenant, team.name, [tenant.models, team.models], team.keys, {**limits, "team": _limits(team.limits)}
            )


def _nano_dollars(price: ModelPrice) -> Mapping[str, Any]:
    cached = price.input if price.cached_input is None else price.cached_input
    dollars = {**price.model_dump(exclude={"models", "accelerator_hour", "accelerators"}), "cached_input": cached}
    dollars["replica_hour"] = price.accelerator_hour * price.accelerators
    return {"models": price.models, **{name: int(amount * _NANO) for name, amount in dollars.items()}}


def _rows(
    tenant: Tenant, team: str, models: Sequence[Sequence[str]], keys: Sequence[Key], limits: Mapping[str, Any]
) -> Iterator[Mapping[str, Any]]:
    row: dict[str, Any] = {"tenant": tenant.name, "team": team, "weight": tenant.weight, "limits": limits}
    row["models"] = [list(some) for some in models if "*" not in some]
    row["cache"] = None if tenant.cache is None else tenant.cache.model_dump(mode="json")
    row["service_tiers"] = tenant.service_tiers
    for first in range(0, max(len(keys), 1), KEYS_PER_ROW):
        some = keys[first : first + KEYS_PER_ROW]
        yield {**row, "keys": [(key.sha256, key.id, key.roles, _end(key), _limits(key.limits)) for key in some]}


def _limits(limits: Sequence[Limit]) -> Sequence[Any]:
    """Return limits as ``limits.read_limits`` takes them."""
    return [
        (
            limit.limit,
            int(limit.counted),
            limit.per,
            () if "*" in limit.models else limit.models,
            limit.shadow,
            limit.without_store,
        )
        for limit in limits
    ]


def issuer_rows(file: TenantsFile, folder: Path) -> Iterator[Mapping[str, Any]]:
    """Yield the issuers of tokens, as ``Directory.add`` takes them; names of files are relative to ``folder``."""
    for issuer in file.jwt:
        yield {"issuer": _issuer_row(issuer, folder)}


def _issuer_row(issuer: Issuer, folder: Path) -> Mapping[str, Any]:
    row = issuer.model_dump(mode="json")
    for name in ("audience", "tenant_claim", "team_claim", "roles_claim"):
        row[name] = [row[name]] if isinstance(row[name], str) else row[name] or []
    row["jwks_url"] = row["jwks_url"] or ""
    row["jwks_file"] = str(folder / row["jwks_file"]) if row["jwks_file"] else ""
    return row


def _end(key: Key) -> float | None:
    """Return the end of a key's validity in seconds since 1970: 0 for one that was revoked, None for never."""
    if key.revoked:
        return 0.0
    return None if key.expires is None else key.expires.timestamp()


def main() -> int:
    """Write the rows of the file that is named, or what is wrong with it; return the exit status."""
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY_BYTES, MEMORY_BYTES))
    gc.disable()  # all that is read is kept: collections would find nothing, in three quarters of the time
    try:
        path = Path(sys.argv[1])
        file = read(path)
        for row in itertools.chain(issuer_rows(file, path.absolute().parent), rows(file)):
            sys.stdout.buffer.write(orjson.dumps(row, option=orjson.OPT_APPEND_NEWLINE))
    except InvalidTenantsError as err:
        problem = str(err)
    except OSError as err:
        problem = err.strerror or "it cannot be read"
    except MemoryError:
        problem = f"to read it takes more than {MEMORY_BYTES >> 20} MiB of memory"
    else:
        return 0
    print(problem, file=sys.stderr)
    return INVALID


if __name__ == "__main__":
    sys.exit(main())
