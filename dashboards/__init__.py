"""Boards, rules and alerts: what an operator sees, written once and tested against the running platform."""
