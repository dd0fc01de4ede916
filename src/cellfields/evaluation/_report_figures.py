"""The report's figures with their captions; a quantity that is zero everywhere or not known gets no figure."""

from __future__ import annotations

from cellfields.evaluation.accuracy import Evaluation
from cellfields.evaluation.figures import error_vs_strain_figure, parity_figure, position_error_figure, slice_figure
from cellfields.evaluation.figures.parity import parity_panels
from cellfields.evaluation.figures.slices import plane_name, varying_fields
from cellfields.evaluation.html_page import figure_box
from cellfields.evaluation.judging import unchanging
from cellfields.state import CellState


def figures(evaluation: Evaluation, specimen: CellState | None, predicted: CellState | None) -> list[str]:
    """HTML of the figures that can be drawn from these results.

    Args:
        evaluation: errors of the engines; each figure shows the surrogate and the best plain baseline in its quantity.
        specimen: true state of the strain whose fields are drawn, or None to draw no fields.
        predicted: the surrogate's state of the same strain.
    """
    drawn = []
    some_outside = evaluation.outside is not None and bool(evaluation.outside.any())
    ringed = " Rings: strains outside those learned from." if some_outside else ""
    if specimen and predicted and varying_fields(specimen, predicted):
        drawn.append(_slices(specimen, predicted))
    constant = unchanging(evaluation)
    zero = " The entropic energy is zero in all of them and is left out." if "entropic_energy" in constant else ""
    engines = _beside(evaluation, "free_energy")
    if parity_panels(evaluation, engines):
        drawn.append(
            figure_box(
                parity_figure(evaluation, engines),
                "Energies",
                f"Predicted against true on the unseen strains; on the black line a prediction is exact.{ringed}{zero}",
            )
        )
    judged = {name for result in evaluation.engines.values() for name in result.errors} & evaluation.spread.keys()
    if any(name.endswith(".nrmse") for name in judged):
        engines = _beside(evaluation, "density.nrmse")
        drawn.append(
            figure_box(
                error_vs_strain_figure(evaluation, tuple(dict.fromkeys(("mean", *engines)))),
                "Error of the fields",
                "Root-mean-square error of each unseen field over its own range (NRMSE), against volumetric strain. "
                f"The mean of the training set is what a prediction costs that knows nothing of the strain.{ringed}",
            )
        )
    if "position" in evaluation.spread and "position" not in constant:
        hatched = ringed.replace("Rings", "Hatched")
        drawn.append(
            figure_box(
                position_error_figure(evaluation, _beside(evaluation, "position")),
                "Relaxed atoms",
                "Distance of predicted from true positions, beside the distance that the atoms move when the strained "
                f"cell relaxes.{hatched}",
            )
        )
    return drawn


def _beside(evaluation: Evaluation, quantity: str) -> tuple[str, ...]:
    """Names of the engines that a figure shows: the best plain baseline in a quantity, if any, and the surrogate."""
    baseline = evaluation.best_baseline(quantity)
    return ("surrogate",) if baseline is None else (baseline, "surrogate")


def _slices(specimen: CellState, predicted: CellState) -> str:
    d = specimen.deformation
    stretches = ", ".join(f"{x:g}" for x in d.stretches)
    angles = ", ".join(f"{x:g}°" for x in d.angles)
    field = "entropy_density"
    left_out = ""
    if specimen.knows(field) and field not in varying_fields(specimen, predicted):
        left_out = " The entropy density is zero everywhere (every state is full or empty) and is left out."
    return figure_box(
        slice_figure(specimen, predicted),
        "Fields on a lattice plane",
        f"The unseen strain with the median density error: λ = ({stretches}), θ = ({angles}). Drawn is the "
        f"{plane_name(specimen)}, of the deformed cell. White dots are atoms on the plane; mind the smaller scale of "
        f"the difference.{left_out}",
    )
