"""``switchyard model`` against a gateway, which says of models what its catalog does."""

import asyncio
from pathlib import Path

import pytest
from typer.testing import CliRunner

from switchyard.catalog import Card, Catalog, Model, State
from switchyard.cli.app import app
from tests.switchyard.gateway.conftest import Bench, Call, gateway

CARD = Card(format="onnx", bytes=1000, license="mit", description="Reads digits.", source="hf://a/b", revision="abc")
SENTENCE = "1/model.onnx is not an ONNX file: export the model again."


async def model(bench: Bench, *arguments: str) -> tuple[int, str, str]:
    """The status of a command, what it prints, and what it says went wrong."""
    given = {"SWITCHYARD_KEY": "", "SWITCHYARD_URL": bench.url, "COLUMNS": "200"}
    # A thread, because the command has an event loop of its own.
    done = await asyncio.to_thread(CliRunner().invoke, app, ["model", *arguments], env=given)
    return done.exit_code, done.stdout, done.stderr


def catalog(bench: Bench) -> Catalog:
    digits = Model(name="digits", kind="vision", url=bench.model.url, card=CARD)
    failed = State(phase="failed", reason=SENTENCE)
    broken = Model(name="broken", kind="vision", url=bench.model.url, state=failed)
    return Catalog({"digits": digits, "broken": broken})


async def loaded(call: Call) -> None:
    await call.start()
    await call.end()


async def unloadable(call: Call) -> None:
    await call.answer({"error": "failed to load 'digits': no weights", "code": "model_failed"}, 400)


async def test_a_gateways_models_are_listed_and_shown(tmp_path: Path) -> None:
    async with gateway(tmp_path) as bench:
        bench.catalog.replace(catalog(bench))
        code, out, _ = await model(bench, "list")
        assert code == 0
        assert [line.split()[:3] for line in out.splitlines()[1:]] == [
            ["digits", "vision", "asleep"],
            ["broken", "vision", "failed"],
        ]
        assert SENTENCE in out
        code, out, _ = await model(bench, "show", "digits")
        assert code == 0
        for words in ("digits: asleep", "mit", "Reads digits.", "hf://a/b", "abc", "1.0 kB"):
            assert words in out
        assert "does not exist" in (await model(bench, "show", "no such"))[2]


@pytest.mark.parametrize("what", ["load", "unload"])
async def test_a_gateway_loads_and_unloads_a_model_or_says_why_not(tmp_path: Path, what: str) -> None:
    async with gateway(tmp_path, loaded) as bench:
        bench.catalog.replace(catalog(bench))
        code, out, _ = await model(bench, what, "digits")
        assert (code, out.startswith(f"digits: {what}ed in ")) == (0, True)
        assert bench.model.calls[-1].scope["path"] == f"/v2/repository/models/digits/{what}"
        code, _, err = await model(bench, what, "broken")
        assert (code, SENTENCE in err) == (1, True)
        bench.model.script = unloadable
        code, _, err = await model(bench, what, "digits")
        assert (code, err) == (1, "error: failed to load 'digits': no weights\n")
