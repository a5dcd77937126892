"""What sentence-transformers adds to a model: its modules, how vectors are pooled, and the longest text."""

from collections.abc import Iterator
from pathlib import Path, PurePosixPath

from switchyard.repository.huggingface.documents import FaultError, read_json, read_object, shown, whole_number
from switchyard.repository.huggingface.model_config import ModelConfig
from switchyard.repository.verdict import Fault, FaultCode

MODULES = "modules.json"
# As vLLM's get_sentence_transformer_tokenizer_config looks for it.
_LENGTHS = [
    f"sentence_{model}_config.json"
    for model in ("bert", "roberta", "distilbert", "camembert", "albert", "xlm-roberta", "xlnet")
]
_LIBRARY = "sentence_transformers."
_MODULES = 20  # a model has two to four


def is_embedding(folder: Path) -> bool:
    """Whether sentence-transformers has written the folder."""
    return (folder / MODULES).exists()


def longest_text(folder: Path) -> int | None:
    """Return the tokens that texts are cut to by sentence-transformers, as vLLM does, None without its file."""
    file = next((name for name in _LENGTHS if (folder / name).exists()), None)
    if file is None:
        return None
    return whole_number(read_object(folder, file, FaultCode.MODEL_CONFIG), ("max_seq_length",), file)


def check_modules(folder: Path, config: ModelConfig) -> Iterator[Fault]:
    """Yield what is wrong with ``modules.json`` and with the pooling that it names.

    Raises:
        FaultError: it is no list of modules, or names code of its own (PICKLE).
    """
    if not is_embedding(folder):
        return
    modules = read_json(folder, MODULES, FaultCode.MODEL_CONFIG)
    if not isinstance(modules, list) or not 0 < len(modules) <= _MODULES:
        raise FaultError(
            FaultCode.MODEL_CONFIG, f"{MODULES} has to be a list of modules: copy the model's own.", MODULES
        )
    for module in modules:
        kind, path = (module.get("type"), module.get("path", "")) if isinstance(module, dict) else (None, "")
        if not isinstance(kind, str) or not isinstance(path, str):
            sentence = f'{MODULES} has a module without "type" and "path": copy the model\'s own.'
            raise FaultError(FaultCode.MODEL_CONFIG, sentence, MODULES)
        if not kind.startswith(_LIBRARY):
            sentence = (
                f"{MODULES} names code of its own to load ({shown(kind)}), and no code of a model is run here: choose "
                "a model of the modules of sentence-transformers."
            )
            raise FaultError(FaultCode.PICKLE, sentence, MODULES)
        if PurePosixPath(path).is_absolute() or ".." in PurePosixPath(path).parts or "\0" in path:
            sentence = f"{MODULES} names the folder {shown(path)}, which is outside of the model: correct it."
            raise FaultError(FaultCode.LINK, sentence, MODULES)
        if kind.endswith(".Pooling"):
            yield from _check_pooling(folder, f"{path}/config.json", config)


def _check_pooling(folder: Path, file: str, config: ModelConfig) -> Iterator[Fault]:
    values = read_object(folder, file, FaultCode.MODEL_CONFIG)
    dimension = whole_number(values, ("word_embedding_dimension", "embedding_dimension"), file)
    if dimension and config.hidden_size and dimension != config.hidden_size:
        sentence = (
            f"{file} says that vectors have {dimension} numbers, but hidden_size of config.json is "
            f"{config.hidden_size}: copy both of one model."
        )
        yield Fault(code=FaultCode.MODEL_CONFIG, message=sentence, file=file)
