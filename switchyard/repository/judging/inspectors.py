"""Which inspector reads the folders of which group."""

from collections.abc import Mapping

from switchyard.repository.huggingface import inspector as huggingface
from switchyard.repository.inspection import Inspector
from switchyard.repository.triton import inspector as triton
from switchyard.repository.verdict import Group

INSPECTORS: Mapping[Group, Inspector] = {"vision": triton.inspect, "llm": huggingface.inspect}
