"""An OpenAPI document as one HTML page that needs no network, no script and no other file."""

import json
import re
from collections.abc import Iterator
from html import escape
from importlib.resources import files
from shlex import quote
from typing import Any

Node = dict[str, Any]

# The page holds its own style and nothing else: no script runs in it, whatever a schema's text may say.
CONTENT_SECURITY_POLICY = b"default-src 'none'; style-src 'unsafe-inline'"
DEFAULT_URL = "http://localhost:8000"
_CODE = re.compile(r"`([^`]+)`")


def page(document: Node, base_url: str = DEFAULT_URL) -> str:
    """Return the page; its curl commands use ``base_url``."""
    info, schemas = document["info"], document["components"]["schemas"]
    style = files(__package__).joinpath("page.css").read_text()
    parts = [
        "<!doctype html><html lang=en><meta charset=utf-8>",
        "<meta name=viewport content='width=device-width, initial-scale=1'>",
        f"<title>{escape(info['title'])}: interface</title><style>{style}</style>",
        "<nav>",
        *_navigation(document),
        f"</nav><main><h1>{escape(info['title'])} {escape(info['version'])}</h1>",
        _paragraphs(info["description"]),
        "<p>The same as data: <a href=openapi.json>openapi.json</a></p>",
    ]
    for tag in document["tags"]:
        parts.append(f"<h2 id={_slug(tag['name'])}>{escape(tag['name'])}</h2>{_paragraphs(tag['description'])}")
        parts += [_operation(*found, schemas, base_url) for found in _operations(document, tag["name"])]
    parts.append("<h2 id=errors>Errors</h2>")
    parts += [_error(name, response) for name, response in document["components"]["responses"].items()]
    parts.append("<h2 id=schemas>Schemas</h2>")
    parts += [
        _details(_slug("schema", name), f"<code>{name}</code>", _schema(schemas[name])) for name in sorted(schemas)
    ]
    return "\n".join([*parts, "</main></html>"])


def _navigation(document: Node) -> Iterator[str]:
    for tag in document["tags"]:
        yield f"<h2>{escape(tag['name'])}</h2>"
        for method, path, _ in _operations(document, tag["name"]):
            yield f"<a href=#{_slug(method, path)}>{escape(path)}</a>"
    yield "<h2>More</h2><a href=#errors>Errors</a><a href=#schemas>Schemas</a>"


def _operations(document: Node, tag: str) -> Iterator[tuple[str, str, Node]]:
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            if tag in operation["tags"]:
                yield method, path, operation


def _operation(method: str, path: str, operation: Node, schemas: Node, base_url: str) -> str:
    summary = f"<b>{method.upper()}</b> <code>{escape(path)}</code> <span>{_inline(operation['summary'])}</span>"
    parts = [
        _paragraphs(operation.get("description", "")),
        f"<pre>{escape(_curl(method, path, operation, base_url))}</pre>",
    ]
    body = operation.get("requestBody", {}).get("content", {})
    parts += [f"<h4>Request: {escape(kind)}</h4>{_media(media, schemas)}" for kind, media in body.items()]
    for status, response in operation["responses"].items():
        if "$ref" in response:
            continue
        parts.append(f"<h4>{status}: {_inline(response['description'])}</h4>")
        for kind, media in response["content"].items():
            parts.append(f"<p><code>{escape(kind)}</code></p>{_media(media, schemas)}")
    errors = [response["$ref"].rpartition("/")[2] for response in operation["responses"].values() if "$ref" in response]
    if errors:
        links = ", ".join(f"<a href=#{_slug('error', name)}>{name[-3:]}</a>" for name in errors)
        parts.append(f"<h4>Errors: {links}</h4>")
    return _details(_slug(method, path), summary, "".join(parts))


def _curl(method: str, path: str, operation: Node, base_url: str) -> str:
    for parameter in operation.get("parameters", ()):
        if parameter["in"] == "path":
            path = path.replace(f"{{{parameter['name']}}}", parameter["example"])
    command = f"curl -s {base_url}{path}"
    for kind, media in operation.get("requestBody", {}).get("content", {}).items():
        if "example" in media:
            example = media["example"]
            text = example if isinstance(example, str) else json.dumps(example)
            return f"{command} -H 'content-type: {kind}' -d {quote(text)}"
    return command if method == "get" else f"{command} -X {method.upper()}"


def _media(media: Node, schemas: Node) -> str:
    """Render a body: its example, and its fields where they are those of one schema."""
    schema, event = media["schema"], media.get("x-event-schema")
    example = _example(media["example"]) if "example" in media else ""
    if event:
        return f"<p>Events; the data of each is {_link(event)}.</p>{example}"
    if schema.get("format") == "binary":
        return f"<p>The encoded file.</p>{example}"
    if "$ref" in schema:
        name = schema["$ref"].rpartition("/")[2]
        fields = f"<details><summary>{escape(name)}</summary><div>{_schema(schemas[name])}</div></details>"
        return example + fields
    return f"<p>{_type(schema)}</p>{example}"


def _error(name: str, response: Node) -> str:
    parts = [_paragraphs(response["description"])]
    for kind, media in response["content"].items():
        parts.append(f"<p><code>{escape(kind)}</code> {_type(media['schema'])}</p>")
        parts += [f"<h4>{escape(one['summary'])}</h4>{_example(one['value'])}" for one in media["examples"].values()]
    return _details(_slug("error", name), f"<code>{escape(name)}</code>", "".join(parts))


def _schema(schema: Node) -> str:
    text = _paragraphs(schema.get("description", ""))
    fields = schema.get("properties", {})
    if not fields:
        return f"{text}<p>{_type({**schema, 'description': ''})}</p>"
    required = set(schema.get("required", ()))
    rows = [_field(name, field, name in required) for name, field in fields.items()]
    return f"{text}<table>{''.join(rows)}</table>"


def _field(name: str, field: Node, required: bool) -> str:
    notes = ["required"] if required else []
    if field.get("default") not in (None, [], {}):
        notes.append(f"default {json.dumps(field['default'])}")
    notes += [f"{word} {field[word]}" for word in ("minimum", "maximum", "maxItems", "maxLength") if word in field]
    notes += ["deprecated"] if field.get("deprecated") else []
    about = "".join([", ".join([_type(field), *map(escape, notes)]), f"<p>{_inline(field.get('description', ''))}</p>"])
    return f"<tr><th><code>{escape(name)}</code><td>{about}</tr>"


def _type(schema: Node) -> str:
    """Render a schema in a few words, with links to the schemas it names."""
    if "$ref" in schema:
        return _link(schema["$ref"])
    if "const" in schema:
        return f"<code>{escape(json.dumps(schema['const']))}</code>"
    if "enum" in schema:
        return " | ".join(f"<code>{escape(json.dumps(value))}</code>" for value in schema["enum"])
    for word in ("anyOf", "oneOf"):
        if word in schema:
            return " | ".join(_type(one) for one in schema[word])
    kinds = schema.get("type", "any")
    names = [kinds] if isinstance(kinds, str) else list(kinds)
    if "items" in schema:
        names[names.index("array")] = f"array of {_type(schema['items'])}"
    return " | ".join(names)


def _link(target: str) -> str:
    name = target.rpartition("/")[2]
    return f"<a href=#{_slug('schema', name)}>{escape(name)}</a>"


def _details(identifier: str, summary: str, content: str) -> str:
    """Render a block that is closed at first; the id is inside, so that a browser opens it when a link points to it."""
    return f"<details><summary>{summary}</summary><div id={identifier}>{content}</div></details>"


def _example(value: Any) -> str:
    text = value if isinstance(value, str) else json.dumps(value, indent=2, ensure_ascii=False)
    return f"<pre>{escape(text)}</pre>"


def _paragraphs(text: str) -> str:
    return f"<p>{_inline(text)}</p>" if text else ""


def _inline(text: str) -> str:
    return _CODE.sub(r"<code>\1</code>", escape(text))


def _slug(*words: str) -> str:
    return re.sub(r"[^A-Za-z0-9]+", "-", " ".join(words)).strip("-")
