"""Figure 7: a panel a route, the numbers in it, and one panel with all errors."""

from __future__ import annotations

import numpy as np
import pytest

from cellfields.errors import InputError
from cellfields.evaluation.figures import energy_routes_figure

TRUTH = np.array([-3.4, -3.41, -3.39])
ROUTES = ("direct", "sum", "orbital", "SCF", "Harris–Foulkes")
ENERGIES = {
    name: {route: TRUTH + sign * 1e-4 * np.arange(3) / (i + 1) for i, route in enumerate(ROUTES)}
    for name, sign in (("paper's recipe", 1), ("best recipe", -0.1))
}


def test_panels_and_numbers() -> None:
    figure = energy_routes_figure(TRUTH, ENERGIES, {"SCF": (1.5e-6, 0.37e-3)})
    assert [axis.get_title() for axis in figure.axes] == [
        "(a) direct", "(b) sum", "(c) orbital", "(d) SCF", "(e) Harris–Foulkes", "errors of best recipe"
    ]  # fmt: skip
    direct, scf = figure.axes[0].texts[0].get_text(), figure.axes[3].texts[0].get_text()
    assert "paper's recipe, ours\n  mean 0.1, max 0.2 mHa" in direct and "printed" not in direct
    assert "best recipe\n  mean 0.0025, max 0.005 mHa" in scf
    assert "printed\n  mean 0.0015, max 0.37 mHa" in scf
    np.testing.assert_allclose(figure.axes[0].lines[0].get_xdata(), 1e3 * (TRUTH - TRUTH.mean()))
    np.testing.assert_allclose(
        figure.axes[0].lines[1].get_ydata(), 1e3 * (ENERGIES["best recipe"]["direct"] - TRUTH.mean())
    )


def test_distribution_of_errors() -> None:
    axis = energy_routes_figure(TRUTH, ENERGIES).axes[5]
    assert [text.get_text() for text in axis.get_legend().get_texts()] == list(ROUTES)
    np.testing.assert_allclose(axis.lines[0].get_xdata(), [1e-7, 0.01, 0.02], rtol=1e-6)
    np.testing.assert_allclose(axis.lines[0].get_ydata(), [100 / 3, 200 / 3, 100])


@pytest.mark.parametrize(
    "energies",
    [
        {},
        {"a": {}},
        {"a": {"sum": TRUTH[:2]}},
        {"a": {"sum": TRUTH}, "b": {"direct": TRUTH}},
    ],
)
def test_numbers_that_do_not_go_together(energies: dict) -> None:
    with pytest.raises(InputError, match="an energy a strain for every route of every engine"):
        energy_routes_figure(TRUTH, energies)
