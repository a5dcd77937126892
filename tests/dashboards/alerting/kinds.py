"""The kinds of tests that every alert has: each takes a scenario and says what must hold."""

from collections.abc import Callable

from tests.dashboards.alerting.promtool import Phase, Sheet, labels_of

BAD_STEPS = 3  # that all is bad on after it must have fired


def fires(sheet: Sheet) -> None:
    """It is silent while all is well and until ``for`` is over, and fires in time, with the labels its texts name."""
    one = sheet.scenario
    phases: list[tuple[Phase, int]] = [("good", one.warm), ("bad", one.within + BAD_STEPS)]
    silent = sheet.never(one.warm + one.delay - 1)
    sheet.add("fires", phases, silent, sheet.fires(one.warm + one.within, labels=list(labels_of(one.of))))


def stays_silent_just_below(sheet: Sheet) -> None:
    """Just below the threshold it never fires, nor beyond it for less than ``for``."""
    one = sheet.scenario
    steps = one.warm + one.within + BAD_STEPS
    sheet.add("just below", [("good", one.warm), ("below", steps)], sheet.never(one.warm + steps - 1))
    if one.delay > 1:
        brief: list[tuple[Phase, int]] = [("good", one.warm), ("bad", one.delay - 1), ("good", one.clears)]
        if not one.counts:
            sheet.add("ends before `for`", brief, sheet.never(one.warm + one.delay + one.clears - 2))


def resolves(sheet: Sheet) -> None:
    """It ends in time after all is good again."""
    one = sheet.scenario
    bad = one.warm + one.within
    phases: list[tuple[Phase, int]] = [("good", one.warm), ("bad", one.within + 1), ("good", one.clears + BAD_STEPS)]
    sheet.add("resolves", phases, sheet.fires(bad), sheet.fires(bad + 1 + one.clears, is_so=False))


def is_silent_without_traffic(sheet: Sheet) -> None:
    """It never fires while nothing is asked of the platform."""
    one = sheet.scenario
    steps = one.warm + one.within + one.delay + BAD_STEPS
    check = sheet.fires(steps - 1) if one.idle_fires else sheet.never(steps - 1)
    sheet.add("zero traffic", [("idle", steps)], check)


def is_silent_without_series(sheet: Sheet) -> None:
    """It never fires for what was scaled to zero, and ends when that is so."""
    one = sheet.scenario
    steps = one.within + one.clears + BAD_STEPS
    check = sheet.fires if one.absent_fires else lambda step: sheet.never(step)
    sheet.add("no series", [("gone", steps)], check(steps - 1))
    sheet.add("good, then scaled to zero", [("good", one.warm), ("gone", steps)], check(one.warm + steps - 1))
    fades = max(one.clears, one.fades)
    bad: list[tuple[Phase, int]] = [("good", one.warm), ("bad", one.within + 1), ("gone", fades + 1)]
    end = one.warm + one.within + fades
    sheet.add("bad, then scaled to zero", bad, sheet.fires(end + 1, is_so=bool(one.absent_fires)))


def survives_a_counter_reset(sheet: Sheet) -> None:
    """A process that begins anew, and counts from 0, neither makes it fire nor ends it."""
    one = sheet.scenario
    steps = one.warm + one.within + BAD_STEPS
    sheet.add("reset while good", [("good", steps)], sheet.never(steps - 1), reset=one.warm + 1)
    if one.counts:
        began = one.warm + one.within
        phases: list[tuple[Phase, int]] = [("good", one.warm), ("bad", one.within + 4)]
        sheet.add("reset while bad", phases, sheet.fires(began + 3), reset=began + 1)


KINDS: tuple[Callable[[Sheet], None], ...] = (
    fires,
    stays_silent_just_below,
    resolves,
    is_silent_without_traffic,
    is_silent_without_series,
    survives_a_counter_reset,
)
