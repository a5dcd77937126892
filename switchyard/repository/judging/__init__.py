"""Judges a folder in a child process with limits: ``Judge`` for a program that goes on, ``check`` for one folder."""

from switchyard.repository.judging.confinement import ProcessLimits
from switchyard.repository.judging.judge import Judge, JudgeError, check
from switchyard.repository.judging.rules import rules_version
from switchyard.repository.judging.wire import Job, Judged

__all__ = ["Job", "Judge", "JudgeError", "Judged", "ProcessLimits", "check", "rules_version"]
