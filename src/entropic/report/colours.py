"""Colours by what is shown, on light and on dark ground; text keeps a contrast of 4.5, lines and areas of 3."""

from __future__ import annotations

from collections.abc import Iterable

__all__ = ["DARK", "LIGHT", "contrast", "dark_of", "kind_roles"]

_PAIRS = {
    "ground": ("#ffffff", "#14171b"),
    "ink": ("#1b1f24", "#e6e9ed"),
    "muted": ("#57606a", "#a6aeb8"),
    "grid": ("#d8dee4", "#353c44"),
    "amber": ("#9a6700", "#e0ad3b"),
    "blue": ("#0a5fc4", "#6cb2ff"),
    "green": ("#1a7f37", "#4ac26b"),
    "red": ("#b3261e", "#ff8a80"),
    "brown": ("#7d4e24", "#d9a066"),
    "teal": ("#0b7285", "#4fc3d9"),
    "purple": ("#7a3fd1", "#c09aff"),
    "sky": ("#4b86d6", "#5b95e2"),
}
_ROLES = {
    "field": "amber",
    "battery": "blue",
    "gross": "green",
    "cost": "red",
    "net": "ink",
    "loss": "brown",
    "delivered": "teal",
    "tape": "purple",
    "hist": "amber",
    "region": "blue",
    "equilibrium": "green",
    "total": "ink",
    "counts": "sky",
    "expected": "red",
}
LIGHT = {name: light for name, (light, _) in _PAIRS.items()} | {r: _PAIRS[c][0] for r, c in _ROLES.items()}
DARK = {name: dark for name, (_, dark) in _PAIRS.items()} | {r: _PAIRS[c][1] for r, c in _ROLES.items()}


_KINDS = ("blue", "amber", "green", "purple", "teal", "red", "brown", "muted", "ink")


def kind_roles(kinds: Iterable[str]) -> dict[str, str]:
    """A colour for each kind of a thing, by name."""
    return {kind: _KINDS[i % len(_KINDS)] for i, kind in enumerate(sorted(set(kinds)))}


def dark_of() -> dict[str, str]:
    """Light colour → dark colour."""
    return dict(_PAIRS.values())


def _luminance(colour: str) -> float:
    parts = (int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5))
    red, green, blue = (p / 12.92 if p <= 0.04045 else ((p + 0.055) / 1.055) ** 2.4 for p in parts)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def contrast(a: str, b: str) -> float:
    """Contrast of two colours, 1 to 21 (WCAG 2.2)."""
    dim, bright = sorted((_luminance(a), _luminance(b)))
    return (bright + 0.05) / (dim + 0.05)
