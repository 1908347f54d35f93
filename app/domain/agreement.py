"""How well people agree, with the model and with one another."""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable, Sequence


def _kappa(observed: float, by_chance: float) -> float | None:
    """None where chance alone explains everything: all gave the same answer to all."""
    return None if by_chance >= 1 else (observed - by_chance) / (1 - by_chance)


def cohen_kappa(pairs: Sequence[tuple[Hashable, Hashable]]) -> float | None:
    """Agreement of two people beyond chance (Cohen 1960); each pair is what both said about one item.

    1 is perfect, 0 is chance. None if there is no item, or if both gave one and the same answer throughout.
    """
    if not pairs:
        return None
    total = len(pairs)
    first, second = Counter(a for a, _ in pairs), Counter(b for _, b in pairs)
    by_chance = sum(first[answer] * second[answer] for answer in first) / total**2
    return _kappa(sum(a == b for a, b in pairs) / total, by_chance)


def fleiss_kappa(items: Sequence[Sequence[Hashable]]) -> float | None:
    """Agreement of several people beyond chance (Fleiss 1971); each item is what at least two people said about it.

    The people may differ from item to item, and so may their number: an item's agreement is the share of its pairs of
    people that agree. None if there is no item, or if everybody gave one and the same answer throughout.
    """
    if not items:
        return None
    answers = Counter(answer for item in items for answer in item)
    total = sum(answers.values())
    observed = sum(_agreeing_pairs(item) for item in items) / len(items)
    return _kappa(observed, sum((count / total) ** 2 for count in answers.values()))


def _agreeing_pairs(item: Sequence[Hashable]) -> float:
    people = len(item)
    return sum(count * (count - 1) for count in Counter(item).values()) / (people * (people - 1))
