"""Every part of the language decides a condition: without it, the same body would go another way.

docs/decisions/0010 refers to this table, which says why no part of the port can go.
"""

import pytest

from switchyard.router.gjson import compile
from switchyard.router.gjson.path import MODIFIERS

CONDITIONS: dict[str, tuple[str, bytes, bytes]] = {
    "@this": ("[@this].#(a==1)", b'{"a":1}', b'{"a":2}'),
    "@reverse": ("@reverse.0.last", b'[{"a":1},{"last":1}]', b'[{"last":1},{"a":1}]'),
    "@keys": ('@keys.#(=="model")', b'{"model":1}', b'{"other":"model"}'),
    "@values": ('@values.#(=="x")', b'{"any":"x"}', b'{"x":"any"}'),
    "@flatten": ("@flatten.2", b"[[1,2],3]", b"[[1,2]]"),
    "@flatten, deep": ('@flatten:{"deep":true}.2', b"[[1,[2,3]]]", b"[[1,[2]]]"),
    "@join": ("[@join].#(a==2)", b'[{"a":1},{"a":2}]', b'[{"a":2},{"a":1}]'),
    "@group": ("@group.1", b'{"id":[1,2]}', b'{"id":[1]}'),
    "@dig": ("@dig:model|0", b'{"a":[{"model":1}]}', b'{"a":[{"name":1}]}'),
    "@valid": ("text|@fromstr|@valid", b'{"text":"{}"}', b'{"text":"{"}'),
    "@fromstr": ("arguments|@fromstr|city", b'{"arguments":"{\\"city\\":1}"}', b'{"arguments":"{}"}'),
    "@tostr": ('[messages|@tostr].#(%"*base64*")', b'{"messages":[{"url":"data:;base64,"}]}', b'{"messages":[]}'),
    "@ugly": ('[@ugly|@tostr].#(%"*\\"a\\":1*")', b'{"a": 1}', b'{"a": 2}'),
    "@pretty": ('[@pretty|@tostr].#(%"{\\n*")', b'{"a":1}', b"[1]"),
    "@pretty, sorted": ('@pretty:{"sortKeys":true}.@values.0.x', b'{"b":1,"a":{"x":2}}', b'{"b":1,"c":{"x":2}}'),
    "literals": ('[!"a",model].#(=="b")', b'{"model":"b"}', b'{"model":"c"}'),
    "lines": ("..0.model", b'{"model":1}', b'{"m":1}'),
    "multipaths": ('{"n":messages.#,model}.n', b'{"messages":[]}', b'{"messages":{}}'),
    "wildcards": ("m*l", b'{"model":1}', b'{"mode":1}'),
    "each": ("messages.#.role|1", b'{"messages":[{"role":1},{"role":2}]}', b'{"messages":[{"role":1},{}]}'),
    "counts": ("[messages.#].#(>1)", b'{"messages":[1,2]}', b'{"messages":[1]}'),
    "all that match": ("m.#(a==1)#|1", b'{"m":[{"a":1},{"a":1}]}', b'{"m":[{"a":1},{"a":2}]}'),
    "truth": ("[@this].#(tools==~null)", b'{"a":1}', b'{"tools":[]}'),
    "Go's numbers, read": ("[@this].#(n>0x1p4)", b'{"n":17}', b'{"n":16}'),
    "Go's numbers, written": ('[n|@fromstr|@tostr].#(=="1000")', b'{"n":1e3}', b'{"n":1e4}'),
}


@pytest.mark.parametrize("part", CONDITIONS)
def test_a_part_of_the_language_decides_a_condition(part: str) -> None:
    path, holding, other = CONDITIONS[part]
    assert compile(path).holds(holding)
    assert not compile(path).holds(other)


def test_no_modifier_is_without_its_condition() -> None:
    assert {f"@{name}" for name in MODIFIERS} <= CONDITIONS.keys()
