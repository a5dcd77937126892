"""What paths find: gjson's documented examples on a body of ours; each answer is what Go's gjson 1.18.0 gave."""

import pytest

from switchyard.router.gjson import get

BODY = r"""{
  "model": "chat-fast", "user": {"id": 7, "name": "Ada"}, "v1.5": "dotted",
  "stop": ["end", "halt", "quit"], "stream": true, "seed": null,
  "messages": [
    {"role": "system", "content": "be brief", "tags": ["a", "b"]},
    {"role": "user", "content": "sum it", "tags": ["b", "c"], "tokens": 12},
    {"role": "user", "content": "and now?", "tags": ["c"], "tokens": 40.5}
  ],
  "flags": [{"n": 1, "v": "yes"}, {"n": 2, "v": true}, {"n": 3, "v": false}, {"n": 4, "v": "0"},
    {"n": 5, "v": 0}, {"n": 6, "v": "1"}, {"n": 7, "v": 3}, {"n": 8, "v": null}, {"n": 9}]
}"""
LINES = '{"n":1}\n{"n":2}\n[3]\n"four"\n'


def found(path: str, body: str) -> str:
    return get(body.encode().decode("latin-1"), path.encode().decode("latin-1")).raw


@pytest.mark.parametrize(
    ("path", "raw"),
    [
        ("user.name", '"Ada"'),
        ("user", '{"id": 7, "name": "Ada"}'),
        ("stop", '["end", "halt", "quit"]'),
        ("stop.0", '"end"'),
        ("stop.1", '"halt"'),
        ("stop.-1", ""),
        ("messages.1.role", '"user"'),
        ("messages.9", ""),
        ("m*l", '"chat-fast"'),
        ("st?p.2", '"quit"'),
        ("*.name", '"Ada"'),
        ("v1\\.5", '"dotted"'),
        ("v1.5", ""),
        ("stop.#", "3"),
        ("messages.#", "3"),
        ("messages.#.role", '["system","user","user"]'),
        ("messages.#.tokens", "[12,40.5]"),
        ("messages.#.tags.#", "[2,2,1]"),
        ("messages.#.absent", "[]"),
        ('messages.#(role=="user").content', '"sum it"'),
        ('messages.#(role=="user")#.content', '["sum it","and now?"]'),
        ('messages.#(tags.0="b")#', '[{"role": "user", "content": "sum it", "tags": ["b", "c"], "tokens": 12}]'),
        ("messages.#(tokens>12)#.tokens", "[40.5]"),
        ("messages.#(tokens>=12)#.tokens", "[12,40.5]"),
        ("messages.#(tokens<40)#.tokens", "[12]"),
        ("messages.#(tokens<=12)#.tokens", "[12]"),
        ("messages.#(tokens!=12)#.tokens", "[40.5]"),
        ('messages.#(content%"*it").role', '"user"'),
        ('messages.#(content!%"*it").role', '"system"'),
        ("messages.#(tokens)#.tokens", "[12,40.5]"),
        ('messages.#(tags.#(=="c"))#.content', '["sum it","and now?"]'),
        ('messages.#[role=="user"].content', '"sum it"'),
        ('stop.#(%"*t")', '"halt"'),
        ('stop.#(!%"*t")', '"end"'),
        ('stop.#(>"f")#', '["halt","quit"]'),
        ('stop.#(=="none")', ""),
        ('stop.#(=="none")#', "[]"),
        ("flags.#(v==~true)#.n", "[2,6,7]"),
        ("flags.#(v==~false)#.n", "[3,4,5,8,9]"),
        ("flags.#(v==~null)#.n", "[8,9]"),
        ("flags.#(v==~*)#.n", "[1,2,3,4,5,6,7,8]"),
        ("flags.#(v!=~true)#.n", "[1,3,4,5,8,9]"),
        ("flags.#(v!=~false)#.n", "[1,2,6,7]"),
        ("flags.#(v!=~null)#.n", "[1,2,3,4,5,6,7]"),
        ("flags.#(v!=~*)#.n", "[9]"),
        ("flags.#(v==~other)#.n", "[]"),
        ('messages.#(role=="user")#|0.content', '"sum it"'),
        ('messages.#(role=="user")#.0', "[]"),
        ('messages.#(role=="user")#|#', "2"),
        ('messages.#(role=="user")#.#', "[]"),
        ("messages|#", "3"),
        ("messages.0|role", '"system"'),
        ("messages|0|role", '"system"'),
        ("stop.@reverse", '["quit","halt","end"]'),
        ("stop.@reverse.0", '"quit"'),
        ("stop|@reverse|1", '"halt"'),
        ("user.@reverse", '{"name":"Ada","id":7}'),
        ("user.@keys", '["id","name"]'),
        ("user.@values", '[7,"Ada"]'),
        ("user.@tostr", '"{\\"id\\": 7, \\"name\\": \\"Ada\\"}"'),
        ("user.@tostr.@fromstr", '{"id": 7, "name": "Ada"}'),
        ("user.@ugly", '{"id":7,"name":"Ada"}'),
        ("user.@this", '{"id": 7, "name": "Ada"}'),
        ("@this.model", '"chat-fast"'),
        ("@valid.model", '"chat-fast"'),
        ("messages.#.tags.@flatten", '[["a","b"],["b","c"],["c"]]'),
        ("messages.#.tags|@flatten", '["a", "b","b", "c","c"]'),
        ("messages.#.tags|@flatten|#", "5"),
        ('user.@pretty:{"indent":"","width":1}', '{\n"id": 7,\n"name": "Ada"\n}\n'),
        ("[user.name,stop.0]", '["Ada","end"]'),
        ("{user.name,stop.0}", '{"name":"Ada","0":"end"}'),
        ('{"who":user.name,stop.#,messages.#(role=="user").tokens}', '{"who":"Ada","_":3,"tokens":12}'),
        ("[model,absent,seed]", '["chat-fast",null]'),
        ("user.[name,id]", '["Ada",7]'),
        ("messages.#.{role,tokens}", '[{"role":"system"},{"role":"user","tokens":12},{"role":"user","tokens":40.5}]'),
        ("messages.#.[role,tokens]|1", '["user",12]'),
        ("[messages.0,messages.1].@join.@ugly", '{"role":"user","content":"sum it","tags":["b","c"],"tokens":12}'),
        (
            "[user,messages.1].@join.@ugly",
            '{"id":7,"name":"Ada","role":"user","content":"sum it","tags":["b","c"],"tokens":12}',
        ),
        ('[user,user].@join:{"preserve":true}.@ugly', '{"id":7,"name":"Ada","id":7,"name":"Ada"}'),
        ("{tags:messages.1.tags,n:stop}|@group|@ugly", '[{"tags":"b","n":"end"},{"tags":"c","n":"halt"},{"n":"quit"}]'),
        ("@dig:tokens", "[12,40.5]"),
        ("@dig:#(tokens>12).tokens", "[40.5]"),
        ('{model,"tier":!"fast","on":!true}', '{"model":"chat-fast","tier":"fast","on":true}'),
        ('!"fixed"', '"fixed"'),
        ("!null", "null"),
        ("model|!5", "5"),
        ("absent|!true", "true"),
        ("user.name.first", ""),
        ("seed", "null"),
        ("absent", ""),
        ("#", ""),
        ("0", ""),
        ('[@this].#(model=="chat-fast").model', '"chat-fast"'),
        ('[@this].#(model=="other")', ""),
        ("{ .input.userId == 1 }", "{}"),
    ],
)
def test_a_path_finds_what_it_says(path: str, raw: str) -> None:
    assert found(path, BODY) == raw


@pytest.mark.parametrize(
    ("path", "raw"),
    [
        ("..#", "4"),
        ("..0", '{"n":1}'),
        ("..1.n", "2"),
        ("..3", '"four"'),
        ("..#.n", "[1,2]"),
        ("..#(n>1).n", "2"),
        ("..4", ""),
        ("n", "1"),
    ],
)
def test_two_dots_make_an_array_of_lines(path: str, raw: str) -> None:
    assert found(path, LINES) == raw


@pytest.mark.parametrize(
    ("path", "body", "raw"),
    [
        ("a", b'{"a":1,"a":2}', b"1"),
        ("a.b", b'{"a":1,"a":{"c":1},"a":{"b":5}}', b"5"),
        ("a", b'{"\\u0061":1}', b"1"),
        ("a", b'"{\\"a\\":1}"', b""),
        ("*", b'{"x":1}', b"1"),
        ("a|@this", b'{"a":1}', b"1"),
        ("a\\.b|0", b'{"a.b":[9]}', b"9"),
        ("18446744073709551617", b"[0,1]", b"1"),
        ("01", b"[0,1]", b"1"),
        ('#(a="\\u0062").a', b'[{"a":"b"}]', b'"b"'),
        ('#(="😀")', b'["\\ud83d\\ude00"]', b'"\\ud83d\\ude00"'),
        ("#(>1e3)#", b"[999,1001,1e4]", b"[1001,1e4]"),
        ("#(=0x10p0)", b"[16]", b"16"),
        ("@pretty|@tostr", b'{"b":[1,2],"a":{}}', b'"{\\n  \\"b\\": [1, 2],\\n  \\"a\\": {}\\n}\\n"'),
        ('@pretty:{"sortKeys":true}|@keys', b'{"b":1,"a":2}', b'["a","b"]'),
        ("@fromstr", b'"[1]"', b"[1]"),
        ("@fromstr", b"1e3", b"1000"),
        ('@flatten:{"deep":true}', b"[1,[2,[3,[]]]]", b"[1,2,3]"),
        ("[a]b", b'{"b":1}', b"1"),
        ("{a", b'{"":1}', b"1"),
        ("#(a", b"[5]", b"5"),
        ("@nosuch", b'{"@nosuch":1}', b"1"),
        ("a@b:c", b'{"a@b:c":1}', b"1"),
    ],
)
def test_odd_paths_and_bodies_give_what_they_give_in_go(path: str, body: bytes, raw: bytes) -> None:
    assert found(path, body.decode()).encode("latin-1") == raw


def test_an_empty_result_exists_only_if_it_was_found() -> None:
    assert not get("{}", "a").exists
    assert get('{"a":null}', "a").exists
    assert get('{"a":""}', "a").exists


def test_deep_bodies_are_walked_without_recursion() -> None:
    deep = "[" * 1000 + "]" * 1000
    assert get(f'{{"deep":{deep},"model":"x"}}', "model").text == "x"
