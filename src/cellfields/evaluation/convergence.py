"""Measures how far a study's settings are from converged, on ladders of cutoff, k mesh and smearing around them.

    δF = |F(s) − F(s*)| / N ,   δ(−TS) ,   δσ = max |σ_ij(s) − σ_ij(s*)|          s* the densest member of s's ladder

These are measured at the reference cell and at a strained cell, with atoms held at their reference coordinates, and the
larger of the two values is taken.

The ladders of k meshes and smearing also measure two stiffnesses, by differences of stress between strains ± e of the
reference cell in the conventional crystal axes: [σ_xx − σ_yy] / 8e under diag(1 + e, 1/(1 + e), 1), which is
(C11 − C12)/2 of a cubic crystal, and σ_yz / 4e (σ_xy of a sheet) under a shear e, which is C44. The reason is that F
and even the stress can be converged on meshes on which a stiffness still has the wrong sign.

Smearing widths are compared on the densest k mesh, because on a coarser one a smaller width exposes the error of the
mesh. F of Fermi–Dirac and Gaussian smearing has an error of order σ² in the width σ; F − ½(−TS) = ½(E + F) has not
(Gillan 1989). F of cold smearing has an error of third order (Marzari et al. 1999).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from cellfields._typing import FloatArray
from cellfields.crystal import Crystal
from cellfields.crystal.deformation import COMPONENTS, Deformation
from cellfields.dft.settings import PlaneWaveSettings
from cellfields.engines.contract import FirstPrinciplesEngine, PlaneWaveCode
from cellfields.errors import ConvergenceError, InputError
from cellfields.evaluation._points import KeptPoints, Point
from cellfields.mechanics.crystal_axes import crystal_axes

CUTOFF_FACTORS = (0.6, 0.8, 1.0, 1.25, 1.6)
MESH_FACTORS = (0.5, 0.75, 1.0, 1.5)
WIDTH_FACTORS = (2.0, 1.0, 0.5, 0.25)
KINDS = ("cold", "gaussian", "fermi-dirac")  # kinds of smearing, compared on the study's own mesh
_LADDERS_WITH_STIFFNESS = ("kmesh", "smearing_width", "smearing")
_NOISE = 1e-6  # Hartree/Bohr³ (0.03 GPa); the sign of a smaller stiffness is not significant
_SMALL = 0.005  # the strain e by which stiffnesses are measured

MakeEngine = Callable[[PlaneWaveSettings], FirstPrinciplesEngine]


@dataclass(frozen=True)
class Change:
    """Absolute difference of a ladder's member from the densest one, the larger of the values at two cells.

    Attributes:
        free_energy, entropic_energy: of F and −TS, Hartree an atom.
        extrapolated: of ½(E + F), or of F for cold and for no smearing, Hartree an atom.
        strain_energy: of F(strained) − F(reference), Hartree an atom; it usually converges first.
        stress: of the component that changes most, Hartree/Bohr³.
        stiffness: of the stiffness that changes most, Hartree/Bohr³; None on a ladder without stiffnesses.
    """

    free_energy: float
    entropic_energy: float
    extrapolated: float
    strain_energy: float
    stress: float
    stiffness: float | None = None


@dataclass(frozen=True)
class Rung:
    """One member of a ladder.

    Attributes:
        value: value of the key that the ladder varies.
        points: results at the reference cell, the strained cell and, where the ladder has stiffnesses, the four cells
            that these need; empty where the member could not be solved.
        change: difference from the densest member that could be solved; None where this one could not be solved.
        reason: why it could not be solved, or empty.
        stiffness: the two stiffnesses, Hartree/Bohr³; empty on a ladder without any, or where it could not be solved.
        wrong_sign: whether a stiffness is negative, or has another sign than on the densest member, so that the crystal
            would be unstable. For a crystal that really is unstable this is true on every member.
    """

    value: float | str | tuple[int, int, int]
    points: tuple[Point, ...]
    change: Change | None
    reason: str = ""
    stiffness: tuple[float, ...] = ()
    wrong_sign: bool = False

    @property
    def seconds(self) -> float:
        """CPU time of its solves."""
        return sum(point.seconds for point in self.points)


@dataclass(frozen=True)
class Convergence:
    """Ladders around the settings of a study.

    Attributes:
        settings: the study's settings.
        deformations: the reference cell and the strained cell.
        ladders: key of ``[engine]`` → members from coarse to dense; without smearing there are no ladders of it.
    """

    settings: PlaneWaveSettings
    deformations: tuple[Deformation, ...]
    ladders: dict[str, tuple[Rung, ...]]

    def recommend(
        self, tolerance: float, stress_tolerance: float | None = None, stiffness_tolerance: float | None = None
    ) -> dict[str, Rung | None]:
        """Recommend for each ladder the cheapest member that, like all denser ones, is within the tolerances, or None.

        The densest member cannot be compared with a denser one and is never recommended; neither is a member on which a
        stiffness has the wrong sign. Of the kinds of smearing, the one is recommended whose stiffnesses are nearest to
        those of Fermi–Dirac smearing on the densest mesh, if the latter could be solved.

        Args:
            tolerance: largest change of F, Hartree an atom.
            stress_tolerance: largest change of the stress, Hartree/Bohr³, or None to ignore the stress.
            stiffness_tolerance: largest change of a stiffness, Hartree/Bohr³, or None to check signs only.
        """
        limit = math.inf if stress_tolerance is None else stress_tolerance
        stiff = math.inf if stiffness_tolerance is None else stiffness_tolerance
        recommended: dict[str, Rung | None] = {}
        for name, rungs in self.ladders.items():
            best = None
            members = [r for r in rungs if r.change is not None][:-1]
            if name == "smearing":
                if not rungs[-1].stiffness or rungs[-1].wrong_sign:
                    recommended[name] = None
                    continue
                right = [r for r in members if not r.wrong_sign and _stiffness_change(r) <= stiff]
                recommended[name] = min(right, key=_stiffness_change, default=None)
                continue
            for rung in reversed(members):
                assert rung.change is not None
                if rung.change.free_energy > tolerance or rung.change.stress > limit:
                    break
                if rung.wrong_sign or _stiffness_change(rung) > stiff:
                    break
                best = rung
            recommended[name] = best
        return recommended

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON data, in atomic units."""
        return {
            "deformations": [d.as_array().tolist() for d in self.deformations],
            "ladders": {name: [asdict(rung) for rung in rungs] for name, rungs in self.ladders.items()},
        }


def ladder_values(
    settings: PlaneWaveSettings,
    *,
    cutoffs: Sequence[float] | None = None,
    meshes: Sequence[tuple[int, int, int]] | None = None,
) -> dict[str, Any]:
    """Key of ``[engine]`` → values from coarse to dense, with the study's own value among them.

    Args:
        settings: the study's settings.
        cutoffs: Hartree; by default multiples of the study's cutoff by :data:`CUTOFF_FACTORS`.
        meshes: k points along each axis; by default multiples of the study's mesh by :data:`MESH_FACTORS`.
    """
    if cutoffs is None:
        cutoffs = [min(500.0, max(1.0, _round(f * settings.cutoff))) for f in CUTOFF_FACTORS]
    values: dict[str, Any] = {"cutoff": sorted({*cutoffs, settings.cutoff})}
    if meshes is None:
        meshes = [_mesh(settings.kmesh, factor) for factor in MESH_FACTORS]
    ladder = {*meshes, settings.kmesh}
    if len(ladder) > 1:
        values["kmesh"] = sorted(ladder, key=lambda mesh: math.prod(mesh))
    if settings.smearing != "none":
        values["smearing"] = KINDS
        widths = {min(1.0, max(1e-5, f * settings.smearing_width)) for f in WIDTH_FACTORS}
        values["smearing_width"] = sorted(widths, reverse=True)
    return values


def strained_cell(crystal: Crystal, stretch: float = 0.02, angle: float = 1.2, hold: Iterable[str] = ()) -> Deformation:
    """Deformation with stretches λ = 1 + s·(1, −1, ½) and angles θ = θ⁰ + t·(1, −1, ½).

    Args:
        crystal: gives the reference angles θ⁰.
        stretch: s.
        angle: t, degrees.
        hold: names of components of D that keep their reference values.
    """
    move = np.array([stretch, -stretch, stretch / 2, angle, -angle, angle / 2])
    move[[COMPONENTS.index(name) for name in hold]] = 0.0
    return Deformation.from_array(Deformation.identity(crystal).as_array() + move)


def converge(
    crystal: Crystal,
    settings: PlaneWaveSettings,
    make_engine: MakeEngine,
    strained: Deformation,
    *,
    folder: Path | None = None,
    on_point: Callable[[int, int], object] | None = None,
    cutoffs: Sequence[float] | None = None,
    meshes: Sequence[tuple[int, int, int]] | None = None,
) -> Convergence:
    """Solve all members of all ladders.

    Args:
        crystal: reference crystal.
        settings: the study's settings.
        make_engine: settings → first-principles engine of the crystal.
        strained: the strained cell.
        folder: finished solves are written to it and read from it; None keeps nothing.
        on_point: called with the number of solves that are done and the number of all.
        cutoffs, meshes: values of these ladders in place of the default ones (:func:`ladder_values`).

    Raises:
        InputError: the engine cannot hold atoms, or the crystal does not allow the settings.
        SCFNotConverged: the study's own settings do not converge.
    """
    cells = (Deformation.identity(crystal), strained)
    kept = KeptPoints(folder)
    study_engine = make_engine(settings)
    if not isinstance(study_engine, FirstPrinciplesEngine):
        raise InputError(f"converge needs an engine that holds atoms in place; a {type(study_engine).__name__} cannot")
    # All members use the same kind of basis: "auto" would choose another one for many k points than for few.
    base = settings
    if isinstance(study_engine, PlaneWaveCode):
        base = settings.model_copy(update={"basis": "reduced" if study_engine.reduced else "full"})
    values = ladder_values(settings, cutoffs=cutoffs, meshes=meshes)
    probes = _Probes.of(crystal, sheet=1 in settings.kmesh)
    densest_mesh = values["kmesh"][-1] if "kmesh" in values else settings.kmesh
    members = {
        name: [
            base.model_copy(update={name: value} | ({"kmesh": densest_mesh} if name == "smearing_width" else {}))
            for value in ladder
        ]
        for name, ladder in values.items()
    }
    if "smearing" in members:  # the last member, which the others are compared with, is least affected by the mesh
        members["smearing"].append(base.model_copy(update={"kmesh": densest_mesh, "smearing": "fermi-dirac"}))
        values["smearing"] = [*values["smearing"], f"fermi-dirac, {'×'.join(map(str, densest_mesh))}"]
    places = {name: (*cells, *(probes.cells if name in _LADDERS_WITH_STIFFNESS else ())) for name in members}
    total = len(cells) + sum(len(places[name]) * len(ladder) for name, ladder in members.items())
    done = 0

    def solve(chosen: PlaneWaveSettings, where: Sequence[Deformation] = cells) -> tuple[Point, ...]:
        nonlocal done
        points = []
        for cell in where:
            points.append(kept.solve(make_engine(chosen), cell))
            done += 1
            if on_point is not None:
                on_point(done, total)
        return tuple(points)

    solve(base)  # errors of the study's own settings are raised; those of other members stand in the tables
    ladders = {}
    for name, ladder in members.items():
        solved: list[tuple[Any, tuple[Point, ...], str]] = []
        for value, chosen in zip(values[name], ladder, strict=True):
            before = done
            try:
                solved.append((value, solve(chosen, places[name]), ""))
            except (ConvergenceError, InputError) as error:  # such as a cutoff that is too low for the bands
                done = before + len(places[name])
                solved.append((value, (), " ".join(str(error).split())))
        extrapolate = settings.smearing in ("fermi-dirac", "gaussian")
        ladders[name] = _rungs(solved, crystal.n_atoms, probes, extrapolate=extrapolate)
    return Convergence(settings, cells, ladders)


def toml_lines(recommended: Mapping[str, Rung | None]) -> list[str]:
    """Lines of the table ``[engine]`` of a study file with the recommended values."""
    lines = []
    for name, rung in recommended.items():
        if rung is not None:
            value: object = list(rung.value) if isinstance(rung.value, tuple) else rung.value
            text = f'"{value}"' if isinstance(value, str) else f"{value:g}" if isinstance(value, float) else f"{value}"
            lines.append(f"{name} = {text}")
    return lines


@dataclass(frozen=True)
class _Probes:
    """Four small strains of the reference cell, from whose stresses two stiffnesses are computed.

    Attributes:
        cells: stretched by +e, sheared by +e, stretched by −e, sheared by −e.
        turns: for each cell the rotation (3, 3) of its stress into the conventional crystal axes.
        shear: the two axes of the shear.
    """

    cells: tuple[Deformation, ...]
    turns: tuple[FloatArray, ...]
    shear: tuple[int, int]

    @classmethod
    def of(cls, crystal: Crystal, *, sheet: bool) -> _Probes:
        axes, _ = crystal_axes(crystal)
        i, j = shear = (0, 1) if sheet else (1, 2)
        cells, turns = [], []
        for e in (_SMALL, -_SMALL):
            stretched, sheared = np.diag([1 + e, 1 / (1 + e), 1]), np.eye(3)
            sheared[i, j] = sheared[j, i] = e
            for strain in (stretched, sheared):
                wanted = axes.T @ strain @ axes
                cell = Deformation.from_deformation_gradient(wanted, crystal)
                turns.append(axes @ wanted @ np.linalg.inv(cell.deformation_gradient(crystal)))
                cells.append(cell)
        return cls(tuple(cells), tuple(turns), shear)

    def stiffness(self, points: Sequence[Point]) -> tuple[float, ...]:
        """The two stiffnesses, Hartree/Bohr³, from the points of the four cells."""
        more, shear_more, less, shear_less = (
            turn @ np.array(point.stress) @ turn.T for point, turn in zip(points, self.turns, strict=True)
        )
        change, i, j = more - less, *self.shear
        sheared = (shear_more - shear_less)[i, j]
        return float((change[0, 0] - change[1, 1]) / (8 * _SMALL)), float(sheared / (4 * _SMALL))


def _stiffness_change(rung: Rung) -> float:
    return 0.0 if rung.change is None or rung.change.stiffness is None else rung.change.stiffness


def _rungs(
    solved: Sequence[tuple[Any, tuple[Point, ...], str]], atoms: int, probes: _Probes, *, extrapolate: bool
) -> tuple[Rung, ...]:
    best = next((points for _, points, _ in reversed(solved) if points), None)
    rungs = []
    for value, points, reason in solved:
        if not points or best is None:
            rungs.append(Rung(value, points, None, reason))
            continue
        change = _change(points[:2], best[:2], atoms, extrapolate)
        if len(points) == 2:
            rungs.append(Rung(value, points, change, reason))
            continue
        stiffness, densest = (np.array(probes.stiffness(member[2:])) for member in (points, best))
        change = replace(change, stiffness=float(np.abs(stiffness - densest).max()))
        wrong = bool(((np.abs(stiffness) > _NOISE) & ((stiffness * densest < 0) | (stiffness < 0))).any())
        rungs.append(Rung(value, points, change, reason, tuple(stiffness.tolist()), wrong))
    return tuple(rungs)


def _change(points: Sequence[Point], best: Sequence[Point], atoms: int, extrapolate: bool) -> Change:
    def energies(cells: Sequence[Point]) -> FloatArray:
        """(2, 3) F, −TS and the extrapolated energy of both cells, Hartree an atom."""
        rows = [(p.free_energy, p.entropic_energy, p.free_energy - extrapolate * p.entropic_energy / 2) for p in cells]
        return np.array(rows) / atoms

    here, there = energies(points), energies(best)
    free, entropic, extrapolated = np.abs(here - there).max(axis=0)
    strain = abs(np.diff(here[:, 0] - there[:, 0])).max()
    stress = np.abs(np.array([p.stress for p in points]) - [p.stress for p in best]).max()
    return Change(float(free), float(entropic), float(extrapolated), float(strain), float(stress))


def _mesh(mesh: tuple[int, int, int], factor: float) -> tuple[int, int, int]:
    """A mesh with ``factor`` times the points; an axis with one point (the vacuum of a sheet) keeps it."""
    scaled = [n if n == 1 else min(200, max(1, round(factor * n))) for n in mesh]
    return scaled[0], scaled[1], scaled[2]


def _round(cutoff: float) -> float:
    """A cutoff rounded to 0.5 Hartree from 5 Hartree on, and to 0.1 Hartree below."""
    return round(2 * cutoff) / 2 if cutoff >= 5 else round(cutoff, 1)
