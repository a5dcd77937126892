"""Questions to the programs that observe a run, over their HTTP APIs."""

import json
import urllib.error
import urllib.request
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlencode

from switchyard.local.errors import LocalError
from switchyard.local.program import program
from switchyard.local.status.run_directory import Run

_TIMEOUT = 10.0
_RESPONSE_BYTES = 64 << 20


def url_of(run: Run, name: str) -> str:
    """Return where the program called ``name`` is.

    Raises:
        LocalError: nothing observes the run.
    """
    if name not in run.observers:
        raise LocalError(f"nothing observes this run: `{program()} down`, then `{program()} up --observe`")
    return run.observers[name]


def get(url: str, query: Mapping[str, str] | None = None) -> Any:
    """Return the JSON at ``url``, None if there is nothing (404).

    Raises:
        LocalError: there is no response, or it is no JSON.
    """
    whole = f"{url}?{urlencode(query)}" if query else url
    try:
        with urllib.request.urlopen(whole, timeout=_TIMEOUT) as response:  # noqa: S310  (loopback)
            return json.loads(response.read(_RESPONSE_BYTES))
    except urllib.error.HTTPError as err:
        if err.code == 404:
            return None
        raise LocalError(f"{url} responds with {err.code}: {_said(err)}") from err
    except (OSError, ValueError) as err:
        raise LocalError(f"{url} does not respond: {err}; see `{program()} status`") from err


def _said(err: urllib.error.HTTPError) -> str:
    return err.read(500).decode(errors="replace").strip()
