"""What became of a model that was added, for people and for programs."""

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import Any

from switchyard.cli.models import output
from switchyard.cli.models.calling import call_line
from switchyard.cli.models.folders import Folders
from switchyard.cli.models.waiting import listed, takes_requests, verdict_on
from switchyard.repository.status import ModelStatus
from switchyard.repository.verdict import Verdict


@dataclass(frozen=True, kw_only=True, slots=True)
class Outcome:
    """``verdict`` is the command's own, ``status`` what the platform that runs here said, None if nothing.

    ``call`` is a command that the model answers; ``written`` is the folder of its InferenceService. One that is
    ``unserved`` was published, and yet the gateway takes no requests for it.
    """

    verdict: Verdict
    status: ModelStatus | None = None
    note: str = ""
    call: str = ""
    written: str = ""
    unserved: bool = False

    @property
    def failed(self) -> bool:
        refused = self.status is not None and self.status.phase == "failed"
        return self.verdict.facts is None or refused or self.unserved

    def row(self) -> dict[str, Any]:
        return asdict(self)

    def lines(self, seconds: float) -> Iterator[str]:
        """Return sentences, of an adding that took ``seconds``."""
        verdict = self.verdict
        if verdict.facts is None:
            yield from output.verdict_lines(verdict)
            return
        yield from output.fault_lines(verdict)
        yield f"{verdict.name}: added to {verdict.group}, {output.size(verdict.facts.bytes)} in {seconds:.1f} s"
        if self.written:
            yield f"{verdict.name}: its InferenceService is in {self.written}, for the next `switchyard up`"
        if self.status is not None:
            sentence = f": {self.status.sentence}" if self.status.sentence else ""
            yield f"{verdict.name}: {output.state(self.status)}{sentence}"
        if self.note:
            yield f"{verdict.name}: {self.note}"
        if self.call:
            yield self.call


def outcome(
    folders: Folders, verdict: Verdict, *, before: ModelStatus | None, seconds: float, written: str = ""
) -> Outcome:
    """Wait at most ``seconds`` for what the platform that runs here says of a model whose status was ``before``."""
    run = folders.run()
    if run is None:
        return Outcome(verdict=verdict, written=written, note="nothing runs here; `switchyard up` serves it")
    name = verdict.name
    status = verdict_on(folders, verdict.group, name, before=before, seconds=seconds)
    if status is None:
        note = f"the platform has not said anything of it yet; ask again with `switchyard model show {name}`"
        return Outcome(verdict=verdict, written=written, note=note)
    if status.phase == "failed" or status.facts is None:
        return Outcome(verdict=verdict, status=status, written=written)
    state = listed(folders, name)
    if state is None or not takes_requests(state):
        reason = state.reason if state else "the gateway does not list it; see `switchyard status`"
        return Outcome(verdict=verdict, status=status, written=written, note=f"not served: {reason}", unserved=True)
    call = call_line(run.gateway, name, status.facts, with_key=run.asks_for_keys)
    return Outcome(verdict=verdict, status=status, written=written, call=call)
