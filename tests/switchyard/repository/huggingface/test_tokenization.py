"""What tokenizers of well-known models do passes, and what takes without end does not."""

import pytest
from tokenizers import Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers

from switchyard.repository.huggingface.tokenization.effort import excessive_effort, nests_repetitions
from switchyard.repository.huggingface.tokenization.growth import excessive_growth

GPT_4 = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+"
    r"|\s+(?!\S)|\s+"
)
BLOOM = r" ?[^(\s|[.,!?…。，、।۔،])]+"


@pytest.mark.parametrize(
    ("pattern", "nested"),
    [
        ("(a+)+b", True),
        (r"(?:\w+\s?)*!", True),
        ("((x*)y?){3,}", True),
        ("(?:(?:a{2,})b?){1,99}", True),
        ("(a+?)+", True),
        ("([a-z]+[)])*", True),
        (GPT_4, False),
        (BLOOM, False),
        (r"\d{1,3}(?=(?:\d{3})*\b)", False),
        ("(?>a+)+b", False),
        ("(a++)+b", False),
        ("[(a+)+]+", False),
        (r"\(a+\)+", False),
        ("(ab+)(cd)*", False),
        ("(a+)?b+", False),
        ("(((", False),
        ("))+", False),
        ("[[", False),
    ],
)
def test_nested_repetitions_are_found(pattern: str, nested: bool) -> None:
    assert nests_repetitions(pattern) is nested


@pytest.mark.parametrize("pattern", [GPT_4, BLOOM])
def test_patterns_of_well_known_models_take_little(pattern: str) -> None:
    tokenizer = Tokenizer(models.BPE({}, []))
    tokenizer.pre_tokenizer = pre_tokenizers.Split(Regex(pattern), "isolated")
    assert list(excessive_effort(tokenizer)) == []


def test_a_pattern_that_is_slow_by_the_cube_is_found() -> None:
    tokenizer = Tokenizer(models.BPE({}, []))
    tokenizer.pre_tokenizer = pre_tokenizers.Split(Regex("a*a*a*b"), "isolated")
    assert "characters of 'a' and what may end them" in next(excessive_effort(tokenizer))


def test_long_words_of_wordpiece_are_bounded() -> None:
    tokenizer = Tokenizer(models.WordPiece({"[UNK]": 0}, unk_token="[UNK]", max_input_chars_per_word=10**6))
    assert list(excessive_effort(tokenizer)) == ["its max_input_chars_per_word is 1000000, of 1000 that it may be"]


@pytest.mark.parametrize(
    ("steps", "grows"),
    [
        ([normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")], False),
        ([normalizers.Replace(Regex(" {2,}"), "▁"), normalizers.NFKC()], False),
        ([normalizers.Replace("``", '"'), normalizers.Replace("''", '"'), normalizers.NFKD()], False),
        ([normalizers.Replace("a" * 10, "b" * 100)], False),
        ([normalizers.Replace(Regex("z[q]"), "b" * 17)], True),
        ([normalizers.Replace("", "b" * 17)], True),
        ([normalizers.Replace("zq", "aaaaa"), normalizers.Replace("aa", "b" * 30)], True),
        ([normalizers.Sequence([normalizers.Replace("a", "b" * 15)]), normalizers.Replace("b", "c" * 15)], True),
    ],
)
def test_growth_is_found_over_all_normalizers(steps: list[normalizers.Normalizer], grows: bool) -> None:
    tokenizer = Tokenizer(models.BPE({}, []))
    tokenizer.normalizer = normalizers.Sequence(steps)
    assert bool(list(excessive_growth(tokenizer))) is grows


@pytest.mark.parametrize(
    ("steps", "grows"),
    [
        ([decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse(), decoders.Strip(" ", 1, 0)], False),
        ([decoders.Replace("a", "b" * 10), decoders.Replace("c", "d" * 10)], False),
        ([decoders.Replace("a", "b" * 15), decoders.Fuse(), decoders.Replace("b", "c" * 15)], True),
        ([decoders.Sequence([decoders.Replace("a", "b" * 15)]), decoders.Replace(Regex("b"), "c" * 15)], True),
    ],
)
def test_growth_is_found_over_all_decoders(steps: list[decoders.Decoder], grows: bool) -> None:
    tokenizer = Tokenizer(models.BPE({}, []))
    tokenizer.decoder = decoders.Sequence(steps)
    assert bool(list(excessive_growth(tokenizer))) is grows
