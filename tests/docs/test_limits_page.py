"""docs/reference/limits.md and the code say the same."""

import re
from dataclasses import asdict
from pathlib import Path

from predictors.llm.bounds import texts
from switchyard.gateway.recordings.generation import UNATTENDED
from switchyard.gateway.recordings.names import CANONICAL_BYTES
from switchyard.gateway.recordings.writer import LEASE_SECONDS, RECORDING_BYTES, UNSTORED_BYTES
from switchyard.gateway.responses.store import INPUT_BYTES
from switchyard.gateway.stages.background import MOST
from switchyard.http import json_cost
from switchyard.http.server import ServerLimits
from switchyard.store.recordings.contract import AFTER_SECONDS, INLINE_BYTES, SEGMENT_BYTES, Bounds
from switchyard.store.recordings.sealed import MAX_KEYS
from switchyard.store.recordings.sqlite_schema import FILE_BYTES, SEGMENTS

PAGE = Path(__file__).parents[2] / "docs" / "reference" / "limits.md"


def test_every_limit_is_documented_with_its_default_and_a_reason() -> None:
    rows = re.findall(r"^\| `(\w+)` \| ([\d.]+) \| (.+) \|$", PAGE.read_text(), re.MULTILINE)
    of_json = ("json_parts", "outline_bytes", "json_depth", "list_items", "item_objects", "message_objects")
    counts = {name: getattr(json_cost, name.upper()) for name in of_json}
    of_texts = ("text_bytes", "bytes_per_token")
    counts |= {name: getattr(texts, name.upper()) for name in of_texts}
    assert {name: float(default) for name, default, _ in rows} == asdict(ServerLimits()) | counts
    assert all(len(reason.split()) > 5 for _, _, reason in rows)


def test_the_limits_of_recordings_are_those_of_the_code() -> None:
    section = PAGE.read_text().partition("## Recordings\n")[2].partition("\n## ")[0]
    documented = [float(most) for most in re.findall(r"^\| [^|]+ \| (\d+) \| .+ \|$", section, re.MULTILINE)]
    of_bounds = [Bounds().recordings, Bounds().size]
    of_gateways = [RECORDING_BYTES, UNSTORED_BYTES, LEASE_SECONDS, MOST, UNATTENDED, INPUT_BYTES, CANONICAL_BYTES]
    assert documented == [
        *of_bounds,
        *of_gateways,
        SEGMENT_BYTES,
        INLINE_BYTES,
        SEGMENTS,
        FILE_BYTES,
        AFTER_SECONDS,
        MAX_KEYS,
    ]
