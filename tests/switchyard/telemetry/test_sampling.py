"""Which requests are traced, by OpenTelemetry's variables."""

import pytest

from switchyard.settings import SettingsError
from switchyard.telemetry.sampling import ARGUMENT, SAMPLER, Sampler

WHOLE = 2**64


@pytest.mark.parametrize(
    ("name", "argument", "part"),
    [
        ("", "", 1.0),
        ("always_on", "0.5", 1.0),
        ("parentbased_always_on", "", 1.0),
        ("always_off", "", 0.0),
        ("parentbased_always_off", "1", 0.0),
        ("traceidratio", "0.25", 0.25),
        ("parentbased_traceidratio", "0.01", 0.01),
        ("parentbased_traceidratio", "", 1.0),
        ("traceidratio", "0", 0.0),
    ],
)
def test_the_variables_mean_what_the_standard_says(name: str, argument: str, part: float) -> None:
    sampler = Sampler.from_env({SAMPLER: name, ARGUMENT: argument})
    assert sampler.bound == round(part * WHOLE)
    assert sampler.follows_callers


@pytest.mark.parametrize(
    ("name", "argument", "wrong"),
    [
        ("jaeger_remote", "", SAMPLER),
        ("traceidratio", "1.5", ARGUMENT),
        ("traceidratio", "few", ARGUMENT),
        ("parentbased_traceidratio", "nan", ARGUMENT),
        ("traceidratio", "-0.1", ARGUMENT),
    ],
)
def test_a_value_that_cannot_be_used_is_named(name: str, argument: str, wrong: str) -> None:
    with pytest.raises(SettingsError, match=f"^{wrong} is "):
        Sampler.from_env({SAMPLER: name, ARGUMENT: argument})


def test_the_part_of_traces_that_begin_is_the_ratio() -> None:
    sampler = Sampler.from_env({SAMPLER: "traceidratio", ARGUMENT: "0.25"})
    assert 2200 < sum(sampler.begins() for _ in range(10_000)) < 2800  # seven standard deviations
    assert all(Sampler().begins() for _ in range(100))
    assert not any(Sampler(0).begins() for _ in range(100))
