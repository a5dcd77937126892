"""The configuration of a model as Triton gives it to one in Python."""

import json
from collections.abc import Mapping
from typing import Any

from google.protobuf import json_format

_NUMBERS = frozenset(("dims", "shape", "versions", "priority_levels", "default_priority_level"))  # of 64 bits


def as_json(config: Any, name: str) -> str:
    """Return what ``initialize`` gets as ``model_config``: every field, with what Triton adds."""
    whole = json_format.MessageToDict(
        config, preserving_proto_field_name=True, always_print_fields_with_no_presence=True
    )
    whole = _with_numbers(whole)
    whole["name"], whole["backend"] = name, "python"
    whole["default_model_filename"] = whole["default_model_filename"] or "model.py"
    whole.setdefault("version_policy", {"latest": {"num_versions": 1}})
    whole.setdefault("optimization", {})
    groups = whole["instance_group"] or [{"name": "", "count": 1, "gpus": [], "profile": []}]
    for number, group in enumerate(groups):
        # No device of a GPU is here, and one kind is as good as another for a run of a second.
        group.update(name=group["name"] or f"{name}_{number}", kind="KIND_CPU", count=max(group["count"], 1))
    whole["instance_group"] = groups
    return json.dumps(whole)


def _with_numbers(value: Any, key: str = "") -> Any:
    """Undo that protobuf writes numbers of 64 bits as text, as Triton does."""
    if isinstance(value, dict):
        return {each: _with_numbers(inner, each) for each, inner in value.items()}
    if isinstance(value, list):
        return [_with_numbers(inner, key) for inner in value]
    is_number = isinstance(value, str) and (key in _NUMBERS or key.endswith("_microseconds"))
    return int(value) if is_number else value


class ModelConfig:
    """What ``auto_complete_config`` gets and returns: it may add what the configuration lacks, and change nothing."""

    def __init__(self, model_config: str) -> None:
        self._config: dict[str, Any] = json.loads(model_config)

    def as_dict(self) -> dict[str, Any]:
        return self._config

    def set_max_batch_size(self, max_batch_size: int) -> None:
        if self._config["max_batch_size"] > max_batch_size:
            raise ValueError(
                f"max_batch_size is {self._config['max_batch_size']} in config.pbtxt, but {max_batch_size} in "
                "auto_complete_config"
            )
        self._config["max_batch_size"] = max_batch_size

    def set_dynamic_batching(self) -> None:
        if found := {"sequence_batching", "ensemble_scheduling"} & self._config.keys():
            raise ValueError(f"config.pbtxt has {found.pop()}, but auto_complete_config sets dynamic_batching")
        self._config.setdefault("dynamic_batching", {})

    def add_input(self, input: dict[str, Any]) -> None:
        self._add("input", input, {"name", "data_type", "dims", "optional"})

    def add_output(self, output: dict[str, Any]) -> None:
        self._add("output", output, {"name", "data_type", "dims"})

    def set_model_transaction_policy(self, transaction_policy_dict: Mapping[str, Any]) -> None:
        given = self._config.setdefault("model_transaction_policy", {})
        for key, value in transaction_policy_dict.items():
            if key != "decoupled" or given.get(key, value) != value:
                raise ValueError(f"auto_complete_config sets {key} of model_transaction_policy to {value}")
            given[key] = value

    def _add(self, side: str, tensor: dict[str, Any], known: set[str]) -> None:
        if wrong := (tensor.keys() - known) | ({"name", "data_type", "dims"} - tensor.keys()):
            raise ValueError(f"auto_complete_config adds an {side} that has, or lacks, {', '.join(sorted(wrong))}")
        for given in self._config[side]:
            if given["name"] != tensor["name"]:
                continue
            for key, value in tensor.items():
                if given.get(key) not in (value, None, [], "TYPE_INVALID"):
                    raise ValueError(
                        f"the {side} '{tensor['name']}' has {key} {given[key]} in config.pbtxt, but {value} in "
                        "auto_complete_config"
                    )
            given.update(tensor)
            return
        self._config[side].append(tensor)
