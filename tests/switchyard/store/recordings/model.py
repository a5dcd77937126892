"""Recordings as plain objects in memory: what every implementation is compared with."""

from dataclasses import dataclass, field

from switchyard.store.recordings.contract import (
    AFTER_SECONDS,
    FOLLOWED_SECONDS,
    INLINE_BYTES,
    Bounds,
    Held,
    Page,
    Recording,
    State,
    kind_of,
)


@dataclass
class Modelled:
    """One recording."""

    id: str
    kind: str
    began: float
    lease_ends: float
    ends: float
    state: State = "running"
    kept: bool = False
    followed_until: float = 0.0
    reported_to: str = ""
    segments: list[bytes] = field(default_factory=list)

    @property
    def size(self) -> int:
        return sum(map(len, self.segments))


class Model:
    """The recordings of one scope; each method returns what an implementation does, or the name of its error."""

    def __init__(self) -> None:
        self.now = 0.0
        self.recordings: dict[str, Modelled] = {}
        self.names: dict[str, str] = {}

    def move_to(self, now: float) -> None:
        self.now = now
        for one in [one for one in self.recordings.values() if one.ends <= now]:
            self.remove(one)

    def remove(self, one: Modelled) -> None:
        self.unname(one)
        del self.recordings[one.id]

    def unname(self, one: Modelled) -> None:
        self.names = {name: recording for name, recording in self.names.items() if recording != one.id}

    def state(self, one: Modelled) -> State:
        return "lost" if one.state == "running" and one.lease_ends <= self.now else one.state

    def page(self, one: Modelled, after: int) -> Page:
        there: list[bytes] = []
        for segment in one.segments[after:]:
            if there and sum(map(len, there)) + len(segment) > INLINE_BYTES:
                break
            there.append(segment)
        recording = Recording(
            id=one.id,
            fingerprint=one.id.encode(),
            state=self.state(one),
            age=self.now - one.began,
            left=one.ends - self.now,
            segments=len(one.segments),
            size=one.size,
        )
        return Page(recording=recording, first=after, segments=there)

    def claim(self, names: list[str], recording: str, *, lease: float, ttl: float, report_lost: bool) -> Page | None:
        one = self.recordings.get(self.names.get(names[0], ""))
        if one and one.id == recording and one.state == "running":
            return None
        if one and self.state(one) == "lost":
            if report_lost and one.reported_to in ("", recording):
                one.reported_to = recording
            else:
                self.remove(one)
                one = None
        if one:
            return self.page(one, 0)
        self.recordings[recording] = Modelled(recording, kind_of(names[0]), self.now, self.now + lease, self.now + ttl)
        self.names |= dict.fromkeys(names, recording)
        return None

    def find(self, name: str, after: int) -> Page | None:
        return self.page(self.recordings[self.names[name]], after) if name in self.names else None

    def follow(self, recording: str, after: int) -> Page | None:
        one = self.recordings.get(recording)
        if one is None:
            return None
        if one.state == "running" and one.followed_until < self.now + FOLLOWED_SECONDS / 2:
            one.followed_until = self.now + FOLLOWED_SECONDS
        return self.page(one, after)

    def append(self, recording: str, number: int, segment: bytes, lease: float) -> bool | str:
        one = self.recordings.get(recording)
        if one is None or one.state != "running":
            return "SupersededError"
        if segment and number > len(one.segments):
            return "ValueError"
        if segment and number == len(one.segments):
            one.segments.append(segment)
        one.lease_ends, one.reported_to = self.now + lease, ""
        return one.followed_until > self.now

    def finish(
        self, recording: str, number: int, segment: bytes, *, complete: bool, ttl: float, bounds: Bounds
    ) -> str | None:
        one, state = self.recordings.get(recording), "complete" if complete else "failed"
        if one is None or one.state not in ("running", state):
            return "SupersededError"
        if one.state == state:
            return None
        if segment and number > len(one.segments):
            return "ValueError"
        if segment and number == len(one.segments):
            one.segments.append(segment)
        if complete and self.make_room(one, bounds):
            one.state, one.kept, one.ends = "complete", True, self.now + ttl
        else:
            self.unname(one)
            one.state, one.ends = "complete" if complete else "failed", self.now + AFTER_SECONDS
        return None

    def make_room(self, new: Modelled, bounds: Bounds) -> bool:
        if new.size > bounds.size or bounds.recordings < 1:
            return False
        kept = sorted(self.kept(new.kind), key=lambda one: one.ends)
        while len(kept) >= bounds.recordings or sum(one.size for one in kept) + new.size > bounds.size:
            self.remove(kept.pop(0))
        return True

    def kept(self, kind: str) -> list[Modelled]:
        return [one for one in self.recordings.values() if one.kept and one.kind == kind]

    def forget(self, name: str) -> bool:
        if name not in self.names:
            return False
        self.remove(self.recordings[self.names[name]])
        return True

    def clear(self, kind: str) -> int:
        kept = self.kept(kind)
        for one in kept:
            self.remove(one)
        return len(kept)

    def held(self) -> dict[str, Held]:
        kinds = {one.kind for one in self.recordings.values() if one.kept}
        return {
            kind: Held(recordings=len(self.kept(kind)), size=sum(one.size for one in self.kept(kind))) for kind in kinds
        }
