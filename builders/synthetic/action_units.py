"""Action units: how the eight expressions move the 68 points and which creases they press.

The units are those of the Facial Action Coding System (Ekman and Friesen); the recipes follow the
prototypes of Du, Tao and Martinez (2014) and, for contempt, Ekman and Heider (1988).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from occlufer.schema import LANDMARK_MIRROR

from .outlines import floats

Floats = NDArray[np.float32]
Activation = dict[str, float]  # "AU12": both sides; "AU12L", "AU12R": one side of the picture

EXPRESSIONS: dict[str, Activation] = {
    "anger": {"AU4": 1.1, "AU5": 0.55, "AU7": 0.6, "AU23": 0.7, "AU24": 0.7},
    "disgust": {"AU4": 0.35, "AU7": 0.75, "AU9": 1.1, "AU10": 0.9, "AU15": 0.45, "AU16": 0.5},
    "fear": {
        **{"AU1": 1.0, "AU2": 0.5, "AU4": 0.55, "AU5": 1.0},
        **{"AU20": 1.05, "AU25": 0.75, "AU26": 0.25},
    },
    "happiness": {"AU6": 0.9, "AU12": 1.05, "AU25": 0.55},
    "neutral": {},
    "sadness": {"AU1": 1.05, "AU4": 0.5, "AU15": 1.05, "AU17": 0.7, "AU43": 0.45},
    "surprise": {"AU1": 1.0, "AU2": 1.05, "AU5": 0.9, "AU25": 0.4, "AU26": 0.75, "AU27": 0.5},
    "contempt": {"AU12L": 1.0, "AU14L": 1.1, "AU10L": 0.3, "AU7": 0.3, "AU43": 0.12},
}

# What may join in a photograph, at up to this strength.
COMPANIONS: dict[str, Activation] = {
    "anger": {"AU10": 0.6, "AU25": 0.6, "AU17": 0.4},
    "disgust": {"AU17": 0.5, "AU25": 0.5, "AU6": 0.3},
    "fear": {"AU26": 0.5, "AU7": 0.2, "AU2": 0.3},
    "happiness": {"AU25": 0.6, "AU26": 0.4, "AU2": 0.2},
    "neutral": {"AU1": 0.12, "AU4": 0.12, "AU12": 0.1, "AU15": 0.1, "AU24": 0.15, "AU25": 0.15},
    "sadness": {"AU7": 0.3, "AU25": 0.25, "AU11": 0.5},
    "surprise": {"AU27": 0.6, "AU26": 0.2},
    "contempt": {"AU17": 0.25, "AU24": 0.3, "AU14R": 0.15},
}

# Shift (x, y) of the points of the left half and the midline at strength 1, in half face widths.
_SHIFTS: dict[str, dict[int, tuple[float, float]]] = {
    "AU1": {21: (0.0, -0.19), 20: (0, -0.12), 19: (0, -0.04), 18: (0, 0.01)},
    "AU2": {17: (0, -0.11), 18: (0, -0.17), 19: (0, -0.15), 20: (0, -0.07), 21: (0, -0.01)},
    "AU4": {21: (0.07, 0.15), 20: (0.05, 0.13), 19: (0.03, 0.07), 18: (0.01, 0.02)},
    "AU5": {37: (0, -0.07), 38: (0, -0.07), 41: (0, 0.012), 40: (0, 0.012)},
    "AU6": {41: (0, -0.04), 40: (0, -0.035), 36: (0, -0.01), 17: (0, 0.02)},
    "AU7": {41: (0, -0.035), 40: (0, -0.035), 37: (0, 0.022), 38: (0, 0.022)},
    "AU9": {
        **{31: (-0.03, -0.07), 32: (-0.01, -0.06), 33: (0, -0.05), 30: (0, -0.06), 29: (0, -0.03)},
        **{21: (0.03, 0.09), 20: (0.02, 0.06), 50: (0, -0.06), 51: (0, -0.05), 49: (-0.01, -0.06)},
        **{40: (0, -0.02), 38: (0, 0.02), 61: (0, -0.03), 62: (0, -0.03)},
    },
    "AU10": {
        **{49: (-0.01, -0.09), 50: (0, -0.1), 51: (0, -0.08), 61: (0, -0.07), 62: (0, -0.07)},
        **{31: (-0.01, -0.03), 60: (0, -0.01), 48: (0, 0.01)},
    },
    "AU11": {49: (0, -0.03), 31: (-0.01, -0.01)},
    "AU12": {
        **{48: (-0.11, -0.15), 60: (-0.11, -0.14), 49: (-0.07, -0.05), 59: (-0.08, -0.07)},
        **{58: (-0.02, 0.0), 50: (-0.02, 0.01), 51: (0, 0.02), 61: (-0.04, -0.01), 62: (0, 0.015)},
        **{67: (-0.04, 0.015), 66: (0, 0.03), 57: (0, 0.01), 31: (-0.03, -0.01), 3: (-0.03, -0.02)},
        **{4: (-0.04, -0.01), 2: (-0.02, -0.01)},
    },
    "AU14": {48: (-0.07, -0.03), 60: (-0.06, -0.03), 49: (-0.03, 0.01), 59: (-0.03, -0.02)},
    "AU15": {
        **{48: (-0.01, 0.13), 60: (-0.01, 0.12), 59: (-0.01, 0.06), 49: (-0.01, 0.05)},
        **{58: (0, 0.01), 61: (0, 0.01)},
    },
    "AU16": {58: (0, 0.07), 57: (0, 0.07), 59: (0, 0.04), 67: (0, 0.06), 66: (0, 0.06)},
    "AU17": {
        **{57: (0, -0.07), 58: (0, -0.06), 59: (0, -0.02), 66: (0, -0.03), 67: (0, -0.03)},
        **{62: (0, -0.03), 61: (0, -0.03), 51: (0, -0.02), 50: (0, -0.02), 8: (0, -0.03)},
    },
    "AU20": {
        **{48: (-0.17, 0.04), 60: (-0.17, 0.04), 59: (-0.11, 0.03), 49: (-0.11, 0.02)},
        **{58: (-0.03, 0), 50: (-0.02, 0.02), 67: (-0.06, 0), 61: (-0.06, 0), 3: (-0.03, 0)},
        **{4: (-0.04, 0.01)},
    },
    "AU23": {48: (0.05, 0), 60: (0.04, 0), 49: (0.02, 0.03), 50: (0, 0.035), 58: (0, -0.03)},
    "AU24": {
        **{50: (0, 0.045), 51: (0, 0.04), 49: (0, 0.03), 57: (0, -0.06), 58: (0, -0.055)},
        **{59: (0, -0.03), 48: (0.02, 0), 60: (0.02, 0)},
    },
    "AU25": {
        **{67: (0, 0.12), 66: (0, 0.13), 57: (0, 0.1), 58: (0, 0.1), 59: (0, 0.06)},
        **{61: (0, -0.02), 62: (0, -0.02), 8: (0, 0.03), 7: (0, 0.03)},
    },
    "AU26": {
        **{67: (0.01, 0.24), 66: (0, 0.26), 57: (0, 0.24), 58: (0.01, 0.23), 59: (0.03, 0.14)},
        **{48: (0.05, 0.06), 60: (0.05, 0.06), 8: (0, 0.22), 7: (0, 0.22), 6: (0, 0.2)},
        **{5: (0.01, 0.16), 4: (0.02, 0.09), 3: (0.02, 0.03)},
    },
    "AU27": {
        **{67: (0.0, 0.24), 66: (0, 0.26), 57: (0, 0.25), 58: (0.0, 0.24), 59: (0.04, 0.14)},
        **{48: (0.09, 0.05), 60: (0.09, 0.05), 61: (0.02, -0.04), 62: (0, -0.04), 50: (0, -0.03)},
        **{51: (0, -0.03), 49: (0.04, -0.02), 8: (0, 0.22), 7: (0, 0.22), 6: (0, 0.2)},
        **{5: (0.02, 0.16), 4: (0.03, 0.09), 3: (0.03, 0.03)},
    },
    "AU43": {37: (0, 0.05), 38: (0, 0.05)},
}


def _displacements() -> dict[str, Floats]:
    """Return for each unit and side the shift of all 68 points, float32 (68, 3)."""
    table = {}
    for unit, shifts in _SHIFTS.items():
        left, right = np.zeros((68, 3), np.float32), np.zeros((68, 3), np.float32)
        for point, (x, y) in shifts.items():
            partner = LANDMARK_MIRROR[point]
            half = 0.5 if partner == point else 1.0
            left[point] += floats((x * half, y * half, 0))
            right[partner] += floats((-x * half, y * half, 0))
        table.update({unit: left + right, f"{unit}L": left, f"{unit}R": right})
    return table


_DISPLACEMENTS = _displacements()


def activation(label: str, rng: np.random.Generator) -> Activation:
    """Return the strength of every unit in one photograph of the expression.

    The whole expression is scaled by 0.6..1.2, each unit by its own small factor, and units that
    often go along join in by chance. A one-sided expression falls on either side.
    """
    intensity = rng.uniform(0.6, 1.2)
    result = {
        unit: strength * intensity * rng.uniform(0.85, 1.15)
        for unit, strength in EXPRESSIONS[label].items()
    }
    for unit, strength in COMPANIONS[label].items():
        if rng.random() < 0.45:
            result[unit] = result.get(unit, 0.0) + strength * rng.random()
    for unit in ("AU1L", "AU2R", "AU4", "AU12R", "AU25", "AU7"):
        result[unit] = result.get(unit, 0.0) + abs(rng.normal(0, 0.035))
    return mirrored(result) if rng.random() < 0.5 else result


def mirrored(activations: Activation) -> Activation:
    """Return the activation of the mirrored face."""
    swap = {"L": "R", "R": "L"}
    return {
        unit[:-1] + swap[unit[-1]] if unit[-1] in swap else unit: strength
        for unit, strength in activations.items()
    }


def strength(activations: Activation, unit: str, side: str) -> float:
    """Return how strongly a unit acts on one side, "L" or "R" of the picture."""
    return activations.get(unit, 0.0) + activations.get(unit + side, 0.0)


def moved(points: Floats, activations: Activation) -> Floats:
    """Return the points (68, 3) under the activation, lids and lips kept from crossing."""
    result = points.copy()
    for unit, amount in activations.items():
        result += np.float32(amount) * _DISPLACEMENTS[unit]
    for upper, lower, gap in ((37, 41, 0.03), (38, 40, 0.03), (44, 46, 0.03), (43, 47, 0.03)):
        _keep_apart(result, upper, lower, gap)
    for upper, lower in ((61, 67), (62, 66), (63, 65)):
        _keep_apart(result, upper, lower, 0.006)
    for outer, inner in ((49, 60), (50, 61), (51, 62), (52, 63), (53, 64)):
        _keep_apart(result, outer, inner, 0.02 if inner in (60, 64) else 0.05)
    for inner, outer in ((67, 58), (66, 57), (65, 56)):
        _keep_apart(result, inner, outer, 0.07)
    return result


def _keep_apart(points: Floats, upper: int, lower: int, gap: float) -> None:
    """Move two points, in place, until `upper` lies at least `gap` over `lower`."""
    missing = max(0.0, gap - float(points[lower, 1] - points[upper, 1]))
    points[upper, 1] -= missing / 2
    points[lower, 1] += missing / 2
