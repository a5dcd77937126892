"""``tokenizer.json``, as the ``tokenizers`` library reads it, against the rows of the embedding and special tokens."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from itertools import chain
from pathlib import Path
from typing import Any

from tokenizers import Tokenizer

from switchyard.repository.huggingface.documents import (
    MIB,
    FaultError,
    listed,
    read_bytes,
    read_object,
    shown,
    shown_value,
)
from switchyard.repository.huggingface.model_config import CONFIG, GENERATION_CONFIG, ModelConfig
from switchyard.repository.huggingface.references import reject_tokenizer_references
from switchyard.repository.huggingface.tokenization.effort import excessive_effort
from switchyard.repository.huggingface.tokenization.growth import excessive_growth
from switchyard.repository.verdict import Fault, FaultCode

TOKENIZER, TOKENIZER_CONFIG = "tokenizer.json", "tokenizer_config.json"
TOKENIZER_BYTES = 128 * MIB  # the largest of today have 35
_CONFIG_BYTES = 16 * MIB  # some list thousands of added tokens
# What older checkpoints keep instead, which only Python code of transformers reads.
_SLOW = ("tokenizer.model", "spiece.model", "sentencepiece.bpe.model", "vocab.json", "vocab.txt", "tekken.json")
_SAMPLE = "Hello 1"
_MODELS_OWN = "copy the model's own"
_NEEDED = ("bos_token", "eos_token")
SPECIAL_TOKENS = ("bos_token", "eos_token", "unk_token", "sep_token", "pad_token", "cls_token", "mask_token")


@dataclass(frozen=True, kw_only=True, slots=True)
class TokenizerFacts:
    """What else depends on the tokenizer: ``special`` are its named tokens, ``longest`` its ``model_max_length``."""

    config: Mapping[str, Any] = field(default_factory=dict, repr=False)
    special: Mapping[str, str] = field(default_factory=dict)
    longest: int | None = None


def read_tokenizer_config(folder: Path) -> TokenizerFacts:
    """Read ``tokenizer_config.json``, which a folder may lack.

    Raises:
        FaultError: it cannot be read, or names code or other files to load.
    """
    if not (folder / TOKENIZER_CONFIG).exists():
        return TokenizerFacts()
    config = read_object(folder, TOKENIZER_CONFIG, FaultCode.TOKENIZER, _CONFIG_BYTES)
    reject_tokenizer_references(config, TOKENIZER_CONFIG)
    special = {name: token for name in SPECIAL_TOKENS if (token := _content(config.get(name)))}
    longest = config.get("model_max_length")
    return TokenizerFacts(
        config=config,
        special=special,
        # transformers writes 10^30 for "no bound".
        longest=int(longest) if isinstance(longest, int | float) and 0 < longest < 2**31 else None,
    )


def _content(value: object) -> str:
    value = value.get("content") if isinstance(value, dict) else value
    return value if isinstance(value, str) else ""


def check_tokenizer(
    folder: Path, config: ModelConfig, facts: TokenizerFacts, notes: list[str], *, generates: bool
) -> Iterator[Fault]:
    """Yield where the tokenizer contradicts ``config.json``, or itself; a token that no request needs is a note.

    Raises:
        FaultError: the library cannot read it.
    """
    tokenizer = _load(folder)
    rows = config.vocab_size
    # Tokens that were added may lie beyond: vLLM rejects the requests that use them (Gemma 3's image token is one).
    beyond = [
        (number, token) for token, number in tokenizer.get_vocab(with_added_tokens=False).items() if number >= rows
    ]
    if rows and beyond:
        number, token = max(beyond)
        yield _fault(
            f"{TOKENIZER} gives the token {shown(token)} the id {number}, but {CONFIG}'s vocab_size {rows} ends at "
            f"{rows - 1}: copy both of one model."
        )
        return
    yield from _check_sample(tokenizer)
    declared = facts.config.get("added_tokens_decoder")
    added = {_content(token) for token in declared.values()} if isinstance(declared, dict) else set()
    for name, token in facts.special.items():
        if tokenizer.token_to_id(token) is not None or token in added:
            continue
        sentence = f"{TOKENIZER_CONFIG} says that {name} is {shown(token)}, which {TOKENIZER} does not have: "
        sentence += "correct it, or copy both of one model."
        if name in _NEEDED:
            yield _fault(sentence, TOKENIZER_CONFIG)
        else:
            notes.append(sentence)
    if generates:
        yield from _check_end(folder, tokenizer, config)


def _fault(sentence: str, file: str = TOKENIZER) -> Fault:
    return Fault(code=FaultCode.TOKENIZER, message=sentence, file=file)


def _load(folder: Path) -> Tokenizer:
    if not (folder / TOKENIZER).exists():
        if slow := [name for name in _SLOW if (folder / name).exists()]:
            sentence = (
                f"The tokenizer is only there as {listed(slow)}, and {TOKENIZER} is missing: write it by "
                '`AutoTokenizer.from_pretrained("FOLDER").save_pretrained("FOLDER")` of transformers.'
            )
            raise FaultError(FaultCode.TOKENIZER, sentence, TOKENIZER)
        raise FaultError(FaultCode.INCOMPLETE, f"{TOKENIZER} is missing: copy it into the folder.", TOKENIZER)
    data = read_bytes(folder, TOKENIZER, TOKENIZER_BYTES, FaultCode.TOKENIZER)
    if not data:
        raise FaultError(FaultCode.INCOMPLETE, f"{TOKENIZER} is empty: copy it into the folder again.", TOKENIZER)
    try:
        return Tokenizer.from_buffer(data)
    except BaseException as err:
        reason = _reason(err).removeprefix("Cannot instantiate Tokenizer from buffer: ")
        sentence = f"{TOKENIZER} is no tokenizer that the tokenizers library reads ({reason}): copy the model's own."
        raise FaultError(FaultCode.TOKENIZER, sentence, TOKENIZER) from None


def _reason(err: BaseException) -> str:
    """Return what a library in Rust says; its panics are no Exception, and everything else goes on."""
    if isinstance(err, Exception) or type(err).__name__ == "PanicException":
        return shown(str(err))
    raise err


def _check_sample(tokenizer: Tokenizer) -> Iterator[Fault]:
    """Yield what a text would cost, before more of it is encoded than a few words, and whether it becomes tokens."""
    tokenizer.no_padding()  # as vLLM encodes
    tokenizer.no_truncation()
    encoded = "texts in which characters repeat"
    try:
        for excess in chain(excessive_growth(tokenizer), excessive_effort(tokenizer)):
            yield _fault(f"{TOKENIZER} makes a short request cost too much time or memory: {excess}; {_MODELS_OWN}.")
            return
        encoded = repr(_SAMPLE)
        ids = tokenizer.encode(_SAMPLE).ids
    except BaseException as err:
        yield _fault(f"{TOKENIZER} cannot encode {encoded} ({_reason(err)}): {_MODELS_OWN}.")
        return
    if not ids:
        yield _fault(f"{TOKENIZER} makes no token of {_SAMPLE!r}: its vocabulary is not the model's; {_MODELS_OWN}.")


def _check_end(folder: Path, tokenizer: Tokenizer, config: ModelConfig) -> Iterator[Fault]:
    """Yield a fault if no token ends a text, by which every response would be as long as it may."""
    ids, file = config.special_ids["eos_token_id"], CONFIG
    if (folder / GENERATION_CONFIG).exists():
        generation = read_object(folder, GENERATION_CONFIG, FaultCode.MODEL_CONFIG)
        value = generation.get("eos_token_id")
        if value is not None:
            ids, file = tuple(value if isinstance(value, list) else [value]), GENERATION_CONFIG
    known = tokenizer.get_vocab_size(with_added_tokens=True)
    for number in ids:
        is_id = isinstance(number, int) and not isinstance(number, bool) and 0 <= number < 2**32
        # Of several ends, some models name such as only pad the embedding.
        if is_id and (tokenizer.id_to_token(number) is not None or (len(ids) > 1 and number >= known)):
            continue
        yield _fault(
            f"{file} says that a text ends with the token {shown_value(number)} (eos_token_id), which {TOKENIZER} does "
            "not have: take the id of the end token from there.",
            file,
        )
