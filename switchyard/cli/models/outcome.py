"""What became of a model that was added, for people and for programs."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any

from switchyard.cli.models import output
from switchyard.cli.models.calling import call_line
from switchyard.cli.models.folders import NOTHING_RUNS, Folders, Listed, Serving, status_row
from switchyard.cli.models.waiting import Before, Start, listed, served, started, takes_requests, verdict_on
from switchyard.repository.status import ModelStatus
from switchyard.repository.verdict import Verdict

_NOTES: Mapping[Start, str] = {
    "ready": "",
    "former": "what was there before goes on",
    "waking": "it is still being started; ask again with `switchyard model show {name}`",
    "none": "nothing has run it yet, as there was no memory for it beside the others; the first request starts it",
}


@dataclass(frozen=True, kw_only=True, slots=True)
class Outcome:
    """``verdict`` is the command's own, ``status`` what the platform that runs here said, None if nothing.

    ``serving`` is what the gateway said then. ``call`` is a command that the model answers; ``written`` is the folder
    of its InferenceService. One that is ``unserved`` was published, and yet the engine or the gateway rejects it.
    """

    verdict: Verdict
    status: ModelStatus | None = None
    serving: Serving | None = None
    note: str = ""
    call: str = ""
    written: str = ""
    unserved: bool = False

    @property
    def failed(self) -> bool:
        rejected = self.status is not None and self.status.phase == "failed"
        return self.verdict.facts is None or rejected or self.unserved

    def row(self) -> dict[str, Any]:
        return {**asdict(self), "status": status_row(self.status) if self.status else None}

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
        yield from (f"{verdict.name}: note: {note}" for note in verdict.facts.notes)
        if self.status is not None:
            model = Listed(group=verdict.group, name=verdict.name, status=self.status, runs=True, serving=self.serving)
            yield f"{verdict.name}: {model.state}{f': {model.reason}' if model.reason else ''}"
        if self.note:
            yield f"{verdict.name}: {self.note}"
        if self.call:
            yield self.call


def outcome(
    folders: Folders,
    verdict: Verdict,
    *,
    before: Before,
    seconds: float,
    written: str = "",
    on_waking: Callable[[str], None] = lambda reason: None,
) -> Outcome:
    """Wait at most ``seconds`` for what the platform that runs here says of a model, and then for its first start."""
    run, end = folders.run(), Outcome(verdict=verdict, written=written)
    if run is None:
        return replace(end, note=NOTHING_RUNS)
    name, former = verdict.name, before.status(verdict.group, verdict.name)
    status = verdict_on(folders, verdict.group, name, before=former, seconds=seconds)
    if status is None:
        note = f"the platform has not said anything of it yet; ask again with `switchyard model show {name}`"
        return replace(end, note=note)
    end = replace(end, status=status)
    if status.phase == "failed" or status.facts is None:
        return end
    state = listed(folders, name)
    if state is None or not takes_requests(state):
        reason = state.reason if state else "the gateway does not list it; see `switchyard status`"
        return replace(end, note=f"not served: {reason}", unserved=True)
    end = replace(end, call=call_line(run.gateway, name, status.facts, with_key=run.asks_for_keys))
    if verdict.group == "vision" or (former is not None and former.digest == status.digest):
        return replace(end, serving=Serving(state=state.phase, reason=state.reason))
    start = started(folders, name, before=before, seconds=seconds, on_waking=on_waking)
    rejected = start in ("failed", "former")
    return replace(
        end,
        serving=served(folders).get(name) if start != "none" else None,
        note=_NOTES.get(start, "").format(name=name),
        call="" if rejected else end.call,
        unserved=rejected,
    )
