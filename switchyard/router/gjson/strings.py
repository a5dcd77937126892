"""Strings, numbers and booleans as Go reads and writes them, on text with one character per byte."""

import math
import re

import orjson

_PLAIN = re.compile(r"[^\\\x00-\x1f]++")
_HEX = re.compile(r"[0-9a-fA-F]{4}")
_ESCAPES = {"\\": "\\", "/": "/", "b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t", '"': '"'}
_REPLACEMENT = 0xFFFD

_DIGITS = r"[0-9]++(?:_[0-9]++)*+"
_HEX_DIGITS = r"[0-9a-fA-F]++(?:_[0-9a-fA-F]++)*+"
_DECIMAL_FLOAT = re.compile(rf"[+-]?(?:{_DIGITS}(?:\.(?:{_DIGITS})?)?|\.{_DIGITS})(?:[eE][+-]?{_DIGITS})?")
_HEX_FLOAT = re.compile(rf"[+-]?0[xX]_?(?:{_HEX_DIGITS}(?:\.(?:{_HEX_DIGITS})?)?|\.{_HEX_DIGITS})[pP][+-]?{_DIGITS}")
_SPECIAL_FLOAT = re.compile(r"[+-]?inf(?:inity)?|nan", re.IGNORECASE)

# One well-formed UTF-8 sequence (Unicode, table 3-7), or a single byte that belongs to none.
_UTF8 = (
    r"[\xc2-\xdf][\x80-\xbf]|\xe0[\xa0-\xbf][\x80-\xbf]|[\xe1-\xec\xee\xef][\x80-\xbf]{2}|\xed[\x80-\x9f][\x80-\xbf]"
    r"|\xf0[\x90-\xbf][\x80-\xbf]{2}|[\xf1-\xf3][\x80-\xbf]{3}|\xf4[\x80-\x8f][\x80-\xbf]{2}"
)
_TO_ESCAPE = re.compile(rf'[\x00-\x1f<>&"\\]|{_UTF8}|[\x80-\xff]')
_SHORT_ESCAPES = {"\b": "\\b", "\f": "\\f", "\n": "\\n", "\r": "\\r", "\t": "\\t", "\\": "\\\\", '"': '\\"'}


def unescape(text: str) -> str:
    """Return the content of a JSON string; everything after a bad escape is dropped (gjson.go: unescape)."""
    try:  # some eighty times as fast, for what is valid
        content: str = orjson.loads(f'"{text}"'.encode("latin-1"))
    except orjson.JSONDecodeError:
        return _unescape_invalid(text)
    return content.encode().decode("latin-1")


def _unescape_invalid(text: str) -> str:
    parts: list[str] = []
    i = 0
    while i < len(text):
        if plain := _PLAIN.match(text, i):
            parts.append(plain[0])
            i = plain.end()
            continue
        kind = text[i + 1 : i + 2] if text[i] == "\\" else ""
        if kind in _ESCAPES:
            parts.append(_ESCAPES[kind])
            i += 2
        elif kind == "u" and i + 6 <= len(text):
            rune, i = _escaped_rune(text, i)
            parts.append(chr(rune).encode().decode("latin-1"))
        else:
            break
    return "".join(parts)


def _escaped_rune(text: str, i: int) -> tuple[int, int]:
    r"""Return the rune of the ``\u`` escape at ``i`` and the position after it; half a surrogate pair is U+FFFD."""
    rune, i = _code(text, i + 2), i + 6
    if not 0xD800 <= rune < 0xE000:
        return rune, i
    if len(text) - i < 6 or text[i : i + 2] != "\\u":
        return _REPLACEMENT, i
    low = _code(text, i + 2)
    paired = rune < 0xDC00 <= low < 0xE000
    return (0x10000 + ((rune - 0xD800) << 10) + (low - 0xDC00) if paired else _REPLACEMENT), i + 6


def _code(text: str, i: int) -> int:
    return int(text[i : i + 4], 16) if _HEX.match(text, i) else 0


def quote(text: str) -> str:
    """Return ``text`` as a JSON string, HTML's special characters escaped too (gjson.go: AppendJSONString)."""
    return f'"{_TO_ESCAPE.sub(_escape, text)}"'


def _escape(found: re.Match[str]) -> str:
    chars = found[0]
    if chars in ("\xe2\x80\xa8", "\xe2\x80\xa9"):
        return "\\u2028" if chars[2] == "\xa8" else "\\u2029"
    if len(chars) > 1:
        return chars
    if chars >= "\x80":
        return "\\ufffd"
    return _SHORT_ESCAPES.get(chars) or f"\\u{ord(chars):04x}"


def to_float(text: str) -> float:
    """Convert as Go's ``strconv.ParseFloat`` without its error: 0 for invalid numbers, infinity for too large ones."""
    if _DECIMAL_FLOAT.fullmatch(text) or _SPECIAL_FLOAT.fullmatch(text):
        return float(text)
    if _HEX_FLOAT.fullmatch(text):
        try:
            return float.fromhex(text.replace("_", ""))
        except OverflowError:
            return -math.inf if text.startswith("-") else math.inf
    return 0.0


def from_float(number: float) -> str:
    """Convert as Go's ``strconv.FormatFloat(number, 'f', -1, 64)``: the shortest digits, never an exponent."""
    if math.isnan(number):
        return "NaN"
    if math.isinf(number):
        return "+Inf" if number > 0 else "-Inf"
    mantissa, _, exponent = repr(number).partition("e")
    sign = "-" if mantissa.startswith("-") else ""
    whole, _, fraction = mantissa.lstrip("-").partition(".")
    fraction = "" if fraction == "0" else fraction
    shift = int(exponent or 0)
    if shift >= 0:
        moved = fraction[:shift].ljust(shift, "0")
        whole, fraction = (whole + moved).lstrip("0") or "0", fraction[shift:]
    else:
        moved = whole.rjust(-shift, "0")
        whole, fraction = moved[:shift] or "0", moved[shift:] + fraction
    return f"{sign}{whole}.{fraction}" if fraction else sign + whole


def to_bool(text: str) -> bool | None:
    """Convert as Go's ``strconv.ParseBool`` of the lower-cased text; None if it is neither."""
    lowered = text.lower() if text.isascii() else ""
    if lowered in ("1", "t", "true"):
        return True
    return False if lowered in ("0", "f", "false") else None


def to_index(digits: str) -> int | None:
    """gjson's parseUint, then Go's ``int``: None unless all are digits; wraps at 64 bits."""
    if not digits or not digits.isascii() or not digits.isdigit():
        return None
    # 10**64 is a multiple of 2**64: digits before the last 64 change nothing.
    wrapped = int(digits[-64:]) & 0xFFFF_FFFF_FFFF_FFFF
    return wrapped - (1 << 64) if wrapped >> 63 else wrapped


def trim(text: str) -> str:
    """Strip leading and trailing bytes up to the space."""
    return text.strip(_UP_TO_SPACE)


_UP_TO_SPACE = "".join(map(chr, range(33)))
