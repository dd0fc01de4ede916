"""The recipe "best": polynomials with a prior, in closed form, from all images of every strain.

    {state} → {images under the operations that exchange the cell's axes} → ridge regression, left-out strains decide

Images of one strain are one group: they are left out together, and the standardisation is made of all of them, so that
the fitted map is exactly as symmetric as the crystal. F is fitted to its values and to its derivatives, V σ = d𝓕/dη.

Where the error of the polynomial on strains left out is more than half of the standard deviation, networks are trained
too, and the map with the smaller error is taken (ensemble.py).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np

from cellfields._typing import FloatArray, IntArray
from cellfields.state import CellState
from cellfields.surrogate.ensemble import FEWEST, fit_ensemble
from cellfields.surrogate.network import Regressor
from cellfields.surrogate.polynomial import Design, blended, fit_polynomial
from cellfields.surrogate.recipe import Polynomials
from cellfields.surrogate.slope_check import SlopeCheck, energy_slopes
from cellfields.surrogate.state_encoding import StateEncoding
from cellfields.surrogate.training import Progress, spread
from cellfields.surrogate.uncertainty import Uncertainty, left_out_errors

_ROUGH = 0.5  # networks are tried where the left-out error of a polynomial, in standard deviations, is larger


@dataclass(frozen=True, eq=False)
class ClosedForm:
    """Fitted regressors, and their errors on strains left out.

    Attributes:
        regressors: quantity → D to outputs.
        residuals: quantity → true minus predicted outputs (n, k) of the strains that know it (of an ensemble: of some
            of them), each predicted by a fit to other strains.
        uncertainty: standard deviations of predictions, fitted to the residuals.
        slopes: "learned" where F was learned from the stress too, else "left out: " and why.
    """

    regressors: dict[str, Regressor]
    residuals: dict[str, FloatArray]
    uncertainty: Uncertainty
    slopes: str

    def errors(self, encoded: Mapping[str, tuple[IntArray, FloatArray]]) -> dict[str, float]:
        """Quantity → root mean square of the residuals, in units of the standard deviation of the outputs."""
        return {name: _error(encoded[name][1], residual) for name, residual in self.residuals.items()}


def fit_closed_form(
    encoding: StateEncoding,
    states: Sequence[CellState],
    images: int,
    encoded: Mapping[str, tuple[IntArray, FloatArray]],
    recipe: Polynomials,
    on_progress: Progress | None = None,
    *,
    check: SlopeCheck | None = None,
) -> ClosedForm:
    """Fit the regressors of all quantities.

    Args:
        encoding: the encoding of the outputs.
        states: from :func:`~cellfields.surrogate.images.images_of`.
        images: number of images that each strain has.
        encoded: quantity → which states know it, and their outputs (n, k).
        recipe: degree, blend, lengths, slopes, members and seed.
        on_progress: called with (quantity, 1, 1) when a quantity is done, and with (quantity, members done, members in
            all) where networks are trained.
        check: comparison of the states' stress with their energies; slopes are not learned where it contradicts.
    """
    slopes_used = "left out: the free energy is not known"
    deformations = np.array([state.deformation.as_array() for state in states])
    input_mean = deformations.mean(axis=0)
    input_std, input_scale = spread(deformations - input_mean, deformations)
    regressors: dict[str, Regressor] = {}
    residuals: dict[str, FloatArray] = {}
    without_images: dict[str, tuple[IntArray, FloatArray]] = {}  # states and outputs that the residuals are of
    designs: dict[tuple[bytes, int], dict[float, Design]] = {}
    degrees = range(max(1, recipe.degree + 1 - recipe.blend), recipe.degree + 1)
    for name, (rows, outputs) in encoded.items():
        z = ((deformations[rows] - input_mean) * input_scale).reshape(-1, images, 6)
        grouped = outputs.reshape(-1, images, outputs.shape[1])

        shared_designs = [designs.setdefault((rows.tobytes(), degree), {}) for degree in degrees]
        polynomials = (
            fit_polynomial(z, grouped, degree=degree, lengths=recipe.lengths, designs=shared)
            for degree, shared in zip(degrees, shared_designs, strict=True)
        )
        fit = blended(list(polynomials))
        if name == "free_energy":
            slopes_used = _why_not(recipe, [states[row] for row in rows], check)
        if name == "free_energy" and not slopes_used:
            slopes = energy_slopes(encoding.crystal, [states[row] for row in rows]) * input_std
            slopes = slopes.reshape(-1, images, 6, 1)
            polynomials = (
                fit_polynomial(z, grouped, degree=degree, lengths=recipe.lengths, slopes=slopes) for degree in degrees
            )
            with_slopes = blended(list(polynomials))
            # A stress that is not the derivative for another reason (another code's convention) makes the fit worse.
            better = float((with_slopes.left_out**2).sum()) < float((fit.left_out**2).sum())
            fit = with_slopes if better else fit
            slopes_used = "learned" if better else "left out: with them F of strains left out is predicted worse"
        regressors[name] = Regressor(
            input_mean, input_scale, fit.constant, np.zeros(outputs.shape[1]), fit.coefficients, None
        )
        residuals[name] = fit.left_out
        without_images[name] = rows[::images] // images, outputs[::images]
        if recipe.members and len(outputs) >= FEWEST and _error(outputs, fit.left_out) > _ROUGH:
            report = None if on_progress is None else partial(on_progress, name)
            ensemble = fit_ensemble(name, z, grouped, input_mean, input_scale, recipe, report)
            judged = ensemble.judged
            if _error(outputs, ensemble.left_out) < _error(outputs, fit.left_out[judged]):
                regressors[name], residuals[name] = ensemble.regressor, ensemble.left_out
                without_images[name] = without_images[name][0][judged], without_images[name][1][judged]
        if on_progress is not None:
            on_progress(name, 1, 1)
    left_out = left_out_errors(encoding, states[::images], without_images, residuals)
    z = ((deformations - input_mean) * input_scale).reshape(-1, images, 6)
    uncertainty = Uncertainty.fit(z, input_mean, input_scale, left_out, recipe.degree)
    return ClosedForm(regressors, residuals, uncertainty, slopes_used)


def _why_not(recipe: Polynomials, states: Sequence[CellState], check: SlopeCheck | None) -> str:
    """The reason not to learn slopes, as text for the metadata; empty where they may be learned."""
    if not recipe.slopes:
        return "left out: slopes = false"
    if any(state.stress is None for state in states):
        return "left out: not all training states know their stress"
    return f"left out: {check.sentence()}" if check is not None and check.contradicts else ""


def _error(outputs: FloatArray, left_out: FloatArray) -> float:
    """Root mean square of left-out errors (N, k) in units of the standard deviation of outputs (n, k)."""
    variance = float(((outputs - outputs.mean(axis=0)) ** 2).mean(axis=0).sum())
    return float(np.sqrt((left_out**2).mean(axis=0).sum() / variance)) if variance else 0.0
