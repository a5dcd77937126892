"""The inspector works within the limits of the process that judges."""

from pathlib import Path

from switchyard.repository.judging.judge import check
from switchyard.repository.verdict import FaultCode
from tests.switchyard.repository.huggingface.models import REPOSITORY, copy_of, safetensors, with_header, write


def test_a_good_model_is_judged() -> None:
    verdict = check(REPOSITORY / "chat-fast")
    assert verdict.faults == ()
    assert verdict.facts is not None
    assert verdict.facts.context_length == 2048


def test_weights_larger_than_the_process_may_map_are_read(tmp_path: Path) -> None:
    folder = copy_of("chat-fast", tmp_path)
    size = 3 << 30
    header = safetensors({"model.embed_tokens.weight": ("F32", (size // 512, 128), size)}, data=False)
    write("model.safetensors", header)(folder)
    with (folder / "model.safetensors").open("ab") as file:  # a hole: it takes no room
        file.truncate(len(header) + size)
    verdict = check(folder)
    assert verdict.faults[0].code is FaultCode.WEIGHTS
    assert "[6291456, 128]" in " ".join(fault.message for fault in verdict.faults)


def test_a_header_of_a_hundred_thousand_tensors_is_no_trouble(tmp_path: Path) -> None:
    folder = copy_of("chat-fast", tmp_path)
    names = ",".join(f'"{index}":{{"dtype":"F32","shape":[0],"data_offsets":[0,0]}}' for index in range(100_000))
    write("model.safetensors", with_header(f"{{{names}}}".encode()))(folder)
    verdict = check(folder)
    assert verdict.faults[0].code is FaultCode.WEIGHTS
