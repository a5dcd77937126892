"""Rates how hard a prompt is and decides which of two models responds; knows no engine."""
