"""Whether a density belongs to an engine's pseudopotentials, cell, cutoff and grid; where not, one sentence says what.

by the table of the engine that made it, where that is known;  else by ∫ρ = Σ Z  and  φ − V_H[ρ] = V_loc
"""

from __future__ import annotations

import numpy as np

from cellfields.engines.identity import PLANE_WAVES, EngineIdentity
from cellfields.engines.planewave.hamiltonian import KohnShamProblem, Potentials
from cellfields.engines.planewave.observables import to_crystal
from cellfields.engines.planewave.planewave_engine import PlaneWaveEngine
from cellfields.errors import InputError, SettingsMismatchError
from cellfields.state import CellState

_COMPARED = ("functional", "cutoff", "cutoff_smoothing", "fft_grid", "smearing", "smearing_width")
_SAME_LENGTH = 1e-7  # Bohr; positions relative to it in fractional coordinates
_SAME_CHARGE = 1e-6  # electrons over electrons
_SAME_POTENTIAL = 0.1  # of ‖V_loc‖: a learned φ is within a per cent of it, another element is not


def require_complete(engine: PlaneWaveEngine, state: CellState) -> None:
    """The state holds a density and atoms, in the engine's cell and expansion.

    Raises:
        InputError: it does not.
    """
    if not isinstance(engine, PlaneWaveEngine):
        raise InputError(f"engine: a route to the energy needs a PlaneWaveEngine, not a {type(engine).__name__}")
    crystal, fields = engine.crystal, state.fields
    if fields is None or "density" not in fields:
        raise InputError("density: the state has none")
    if not state.knows("internal"):
        raise InputError("positions: the state's atoms are not known")
    if state.internal.shape != (crystal.n_internal,) or state.positions.shape != (crystal.n_atoms, 3):
        raise InputError(
            f"positions: the state has {len(state.positions)} atoms with {len(state.internal)} internal coordinates, "
            f"the engine's crystal {crystal.n_atoms} with {crystal.n_internal}"
        )
    lattice = state.deformation.lattice(crystal)
    if np.abs(state.lattice - lattice).max() > _SAME_LENGTH:
        raise InputError(
            "cell: the state's lattice is not that of its deformation of the engine's crystal (vectors differ by "
            f"{np.abs(state.lattice - lattice).max():.2g} Bohr)"
        )
    if abs(fields.volume / abs(np.linalg.det(lattice)) - 1) > _SAME_LENGTH:
        raise InputError(
            f"cell: the density belongs to a cell of {fields.volume:.6g} Bohr³, the state's has {state.volume:.6g}"
        )
    shift = state.positions - crystal.positions(state.internal)
    if np.abs(shift - np.rint(shift)).max() > _SAME_LENGTH:
        raise InputError("positions: the state's atoms are not where its internal coordinates put them")
    if not fields.basis.same_as(engine.field_basis):
        raise InputError(_other_expansion(engine, state))
    if not np.isfinite(fields.coefficients["density"]).all():
        raise InputError("density: it holds numbers that are not finite")
    electrons = float(sum(engine.pseudopotentials[s].valence for s in crystal.species))
    if abs(fields.integral("density") / electrons - 1) > _SAME_CHARGE:
        raise InputError(
            f"pseudopotentials: the density holds {fields.integral('density'):.6g} electrons, the engine's ions bring "
            f"{electrons:g}"
        )


def require_made_alike(engine: PlaneWaveEngine, made_by: EngineIdentity) -> None:
    """The engine that made the density had the same ions, functional, cutoff, grid and smearing; its k mesh is free.

    Raises:
        SettingsMismatchError: naming the first that differs.
    """
    theirs, ours = made_by.settings, engine.identity.settings
    ions = made_by.pseudopotentials if names_its_ions(made_by) else {}
    for symbol, fingerprint in ours["pseudopotentials"].items():
        if symbol in ions and ions[symbol] != fingerprint:
            raise SettingsMismatchError(
                f"pseudopotentials.{symbol}: the density was made with another one ({str(ions[symbol])[:12]}…) than "
                f"the engine's ({str(fingerprint)[:12]}…)"
            )
    for name in _COMPARED:
        # The first datasets do not name what has its default.
        was, now = theirs.get(name, ours.get(name)), ours.get(name)
        if name == "functional":
            was, now = theirs.get(name, "lda"), engine.settings.functional
        if name == "cutoff_smoothing":
            was, now = theirs.get(name, 0.0), engine.settings.cutoff_smoothing
        if was != now:
            raise SettingsMismatchError(f"{name}: the density was made with {was}, the engine has {now}")


def names_its_ions(made_by: EngineIdentity) -> bool:
    """Whether an identity names pseudopotentials as this engine does; ABINIT's names them by the files it writes."""
    return made_by.kind == PLANE_WAVES


def require_same_ions(
    problem: KohnShamProblem, potentials: Potentials, engine: PlaneWaveEngine, state: CellState
) -> None:
    """Where the state has φ: it is V_H[ρ] + V_loc of these ions, as nearly as a prediction is.

    Raises:
        InputError: it is not.
    """
    fields = state.fields
    if fields is None or "coulomb_potential" not in fields:
        return
    ours, local = (
        fields.basis.to_vector(to_crystal(problem.basis, engine.crystal, fields.basis, values))
        for values in (potentials.coulomb, problem.local_potential)
    )
    difference = float(np.linalg.norm(fields.vector("coulomb_potential") - ours) / np.linalg.norm(local))
    if not difference < _SAME_POTENTIAL:
        raise InputError(
            "pseudopotentials: the state's Coulomb potential is not that of its density and atoms with the engine's "
            f"ions (they differ by {100 * difference:.3g} % of the local pseudopotential)"
        )


def _other_expansion(engine: PlaneWaveEngine, state: CellState) -> str:
    """What is different about the state's Fourier basis."""
    assert state.fields is not None  # the caller looked
    theirs, ours = state.fields.basis, engine.field_basis
    if theirs.real != ours.real or not np.allclose(theirs.origin, ours.origin, atol=1e-10):
        return "inversion: the density is expanded about another origin, or with another symmetry, than the engine's"
    return (
        f"cutoff: the density has {theirs.size} Fourier coefficients, the engine's cutoff (with its field_cutoff) "
        f"makes {ours.size}: it was made with another cutoff or on another grid"
    )
