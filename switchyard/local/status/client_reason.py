"""Why a model does not serve, as clients of the gateway are told it: without the paths of this machine.

The terminal, the logs and ``switchyard status`` keep them: they are for the person whose machine it is.
"""

import os
import re
from pathlib import Path

# Up to a space, quote or closing mark; no part of a URL, a word or a relative path comes before it.
_PATH = re.compile(r"(?<![\w./-])(?:file://)?(/(?!/)[^\s'\"`,;:()\[\]<>]*[^\s'\"`,;:()\[\]<>.…])")


def for_clients(reason: str, root: Path) -> str:
    """Return ``reason`` with paths below ``root`` made relative to it, and only the last name of all others."""

    def shown(found: re.Match[str]) -> str:
        path = Path(found[1])
        if not os.path.isdir(f"/{path.parts[1]}"):  # a path of a URL, such as /v2/health/ready
            return found[0]
        if path == root:
            return "the working directory"
        inside = path.relative_to(root) if path.is_relative_to(root) else None
        # A hidden folder holds environments and interpreters, no models.
        if inside is None or any(part.startswith(".") for part in inside.parts):
            return path.name
        return str(inside)

    # First, as it may have spaces in it, where a path in a sentence would end.
    return _PATH.sub(shown, reason.replace(f"{root}/", "./") if " " in str(root) else reason)
