"""One module for each parser: ``target`` asserts what holds for any bytes; ``TOKENS`` are bytes that lead somewhere."""
