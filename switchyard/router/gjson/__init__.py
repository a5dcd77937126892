"""Conditions in the GJSON path language of github.com/tidwall/gjson v1.18.0, tested on bodies."""

from switchyard.router.gjson.condition import Body, Condition, compile
from switchyard.router.gjson.get import get
from switchyard.router.gjson.result import Result
from switchyard.router.gjson.valid import is_valid_json

__all__ = ["Body", "Condition", "Result", "compile", "get", "is_valid_json"]
