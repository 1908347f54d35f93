"""Agreement beyond chance, against published examples."""

from __future__ import annotations

import pytest

from app.domain.agreement import cohen_kappa, fleiss_kappa

# The worked example of Fleiss' kappa: ten subjects, fourteen raters, five categories (counts), kappa 0.210.
FLEISS_EXAMPLE = [
    (0, 0, 0, 0, 14),
    (0, 2, 6, 4, 2),
    (0, 0, 3, 5, 6),
    (0, 3, 9, 2, 0),
    (2, 2, 8, 1, 1),
    (7, 7, 0, 0, 0),
    (3, 2, 6, 3, 0),
    (2, 5, 3, 2, 2),
    (6, 5, 2, 1, 0),
    (0, 2, 2, 3, 7),
]


def _answers(counts):
    return [category for category, count in enumerate(counts) for _ in range(count)]


def _pairs(both_yes, yes_no, no_yes, both_no):
    table = {("y", "y"): both_yes, ("y", "n"): yes_no, ("n", "y"): no_yes, ("n", "n"): both_no}
    return [pair for pair, count in table.items() for _ in range(count)]


@pytest.mark.parametrize(
    ("table", "kappa"),
    [
        ((20, 5, 10, 15), 0.4),
        ((45, 15, 25, 15), 0.1304),
        ((25, 35, 5, 35), 0.2593),
        ((10, 0, 0, 10), 1.0),
        ((0, 10, 10, 0), -1.0),
    ],
)
def test_cohens_kappa_of_known_tables(table, kappa):
    assert cohen_kappa(_pairs(*table)) == pytest.approx(kappa, abs=5e-5)


def test_fleiss_kappa_of_the_known_example():
    assert fleiss_kappa([_answers(counts) for counts in FLEISS_EXAMPLE]) == pytest.approx(0.2099, abs=5e-5)


def test_fleiss_counts_items_with_fewer_people():
    assert fleiss_kappa([["a", "a"], ["b", "b", "b"], ["a", None]]) == pytest.approx((2 / 3 - 19 / 49) / (1 - 19 / 49))


def test_where_nothing_can_be_said():
    assert cohen_kappa([]) is None
    assert fleiss_kappa([]) is None
    assert cohen_kappa([("a", "a")] * 5) is None
    assert fleiss_kappa([["a", "a"], ["a", "a"]]) is None
