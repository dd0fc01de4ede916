"""The learned map Φ_ml : D → (R̄ᵉ, {ρ_α}, {φ_α}, {u_α}, {s_α}, F), with the interface of an engine (paper, eq. 11).

    solve(D) = decode( N_quantity(D) for each quantity ) ,   σ = V⁻¹ d𝓕/dη from the network of the free energy

Each quantity has one network. Fields stay PCA coefficients until they are first used; all other outputs are numbers.
"""

from __future__ import annotations

import time
import warnings
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

import cellfields
from cellfields import models
from cellfields._typing import FloatArray
from cellfields.crystal import Crystal
from cellfields.crystal.deformation import COMPONENTS, Deformation, lengths_and_angles
from cellfields.crystal.kinematics import lattice_of_deformation, stress_of_energy_gradient
from cellfields.engines.identity import EngineIdentity
from cellfields.errors import CorruptFileError, InputError, PhysicsWarning
from cellfields.state import CellState
from cellfields.surrogate import _file
from cellfields.surrogate._joint import JointMaps
from cellfields.surrogate.batch import BLOCK, Batch, energies_and_stresses
from cellfields.surrogate.cauchy_stress import cauchy_stress
from cellfields.surrogate.closed_form import fit_closed_form
from cellfields.surrogate.images import images_of
from cellfields.surrogate.jax_arrays import double_precision
from cellfields.surrogate.network import Regressor
from cellfields.surrogate.recipe import Networks, Polynomials, Recipe
from cellfields.surrogate.slope_check import slope_check
from cellfields.surrogate.state_encoding import StateEncoding
from cellfields.surrogate.training import Progress, fit_regressor
from cellfields.surrogate.training_domain import Outside, TrainingDomain, check_choice, report_outside
from cellfields.surrogate.uncertainty import Uncertainty

_CACHES = ("_in_double", "_joint", "_mechanical", "_energy")  # made again where a surrogate is unpickled


@dataclass(frozen=True, eq=False)
class Surrogate:
    """A trained engine. It is self-contained and immutable, and may be pickled, saved, and called from several threads.

    Attributes:
        encoding: crystal, Fourier basis and PCA modes, which turn the outputs of networks into states.
        regressors: quantity → network with its standardisations.
        domain: box and ellipsoid around the training strains.
        recipe: the recipe that it was trained with.
        metadata: ``cellfields_version``, ``n_train``, ``training_seconds``, ``training_errors`` (quantity → RMS in
            standard deviations of what its network learned; for "best" on strains left out), ``states_used``
            (quantity → training states that knew it), ``unknown`` (names of what cannot be predicted, because too few
            of them did), ``engine_table`` (identity of the engine that computed the training states, or None),
            ``slopes`` ("learned" where F was learned from the stress too, else "left out: " and why),
            ``slope_offset_gpa`` (how far the stress of the training states is from the derivative of their energies:
            ``offset``, ``standard_error``, ``spread`` of the stress; None where that cannot be told). Plain JSON data.
        uncertainties: standard deviations of its predictions, where the recipe gives them ("best"), else None.
        outside: what :meth:`solve` does where a strain lies outside the training domain, besides the flag in the
            state: "flag" does nothing, "warn" gives a Python :class:`OutsideDomainWarning`, "raise" raises an
            :class:`OutsideDomainError`. ``dataclasses.replace(surrogate, outside="raise")`` changes it.
    """

    encoding: StateEncoding
    regressors: Mapping[str, Regressor]
    domain: TrainingDomain
    recipe: Recipe
    metadata: Mapping[str, Any] = field(default_factory=dict)
    uncertainties: Uncertainty | None = None
    outside: Outside = "warn"

    def __post_init__(self) -> None:
        check_choice(self.outside)
        shapes = {name: (np.shape(r.input_mean)[0], np.shape(r.output_mean)[0]) for name, r in self.regressors.items()}
        needed = {name: (6, self.encoding.width(name)) for name in self.encoding.quantities}
        if shapes != needed:
            raise InputError(f"networks {shapes} do not fit the quantities {needed} of the crystal")

    @classmethod
    def train(
        cls,
        crystal: Crystal,
        states: Iterable[CellState],
        recipe: Recipe | None = None,
        *,
        on_progress: Progress | None = None,
        identity: EngineIdentity | None = None,
    ) -> Surrogate:
        """Train on states that another engine computed; equal states, recipe and machine give equal surrogates.

        Args:
            crystal: the reference crystal of the states.
            states: at least two; each quantity is learned from those that know it, if they are eight at least, or all.
            recipe: the recipe; None is that of the paper.
            on_progress: called with (quantity, epochs done, epochs in all), about 100 times for each quantity.
            identity: identity of the engine that computed the states (an engine's, a store's or a pack's
                ``identity``), kept as :attr:`labelled_by`. It holds the k mesh: without it a recipe that learns from
                images leaves out those with permuted axes.

        Raises:
            InputError: too few states, states of another crystal, different Fourier bases, numbers not finite, or
                nothing that enough states know.
        """
        started = time.perf_counter()
        recipe = Recipe() if recipe is None else recipe
        states, images = images_of(crystal, list(states), recipe, identity)
        encoding = StateEncoding.fit(crystal, states, recipe.modes, images)
        encoded = encoding.encode(states)
        deformations = np.array([state.deformation.as_array() for state in states])
        used = {name: len(rows) // images for name, (rows, _) in encoded.items()}
        regressors: dict[str, Regressor] = {}
        errors: dict[str, float] = {}
        uncertainties = None
        check, slopes = slope_check(crystal, states[::images]), "left out: this recipe learns from values alone"
        if check is not None and check.contradicts:
            warnings.warn(check.sentence(), PhysicsWarning, stacklevel=2)
        if isinstance(recipe, Polynomials):
            fit = fit_closed_form(encoding, states, images, encoded, recipe, on_progress, check=check)
            slopes = fit.slopes
            regressors, errors, uncertainties = fit.regressors, fit.errors(encoded), fit.uncertainty
        elif isinstance(recipe, Networks):
            for name, (rows, outputs) in encoded.items():
                widths = recipe.field_widths if name in encoding.reductions else recipe.small_widths
                fitted = fit_regressor(name, deformations[rows], outputs, widths, recipe, on_progress)
                regressors[name], errors[name] = fitted
        metadata = {
            "cellfields_version": cellfields.__version__,
            "n_train": len(states) // images,
            "training_seconds": time.perf_counter() - started,
            "training_errors": errors,
            "states_used": used,
            "unknown": list(encoding.unknown),
            "engine_table": None if identity is None else dict(identity.table),
            "slopes": slopes,
            "slope_offset_gpa": None if check is None else check.to_dict(),
        }
        return cls(encoding, regressors, TrainingDomain.fit(deformations), recipe, metadata, uncertainties)

    @property
    def labelled_by(self) -> EngineIdentity | None:
        """Identity of the engine that computed the training states, or None where training did not get it."""
        table = self.metadata.get("engine_table")
        return EngineIdentity(table) if isinstance(table, Mapping) else None

    # -- the engine ---------------------------------------------------------------------------------------------

    @property
    def crystal(self) -> Crystal:
        """The reference crystal."""
        return self.encoding.crystal

    @property
    def unknown(self) -> tuple[str, ...]:
        """Names of quantities that it cannot predict, because too few training states knew them."""
        return self.encoding.unknown

    @property
    def held(self) -> tuple[str, ...]:
        """Names of components of D that are constant in training: the stress on them is unknown, and predicted as 0."""
        same = self.domain.lower == self.domain.upper
        return tuple(name for name, alike in zip(COMPONENTS, same, strict=True) if alike)

    def solve(self, deformation: Deformation, *, start: Any | None = None) -> CellState:
        """Predicted relaxed state at D; ``start`` is ignored.

        A strain outside the training domain is predicted too, with ``provenance["in_domain"]`` False, and with a
        warning or an error where ``outside`` is "warn" or "raise".

        Raises:
            OutsideDomainError: D lies outside, and ``outside`` is "raise".
        """
        values = deformation.as_array()
        inside = bool(self.domain.contains(values))
        if not inside:
            report_outside(self.outside, values[None])
        outputs, slopes = self._joint.with_slopes(values)
        stress = None
        if slopes is not None:
            stress = stress_of_energy_gradient(slopes, deformation.lattice(self.crystal), self._reference_lengths)
        elif "stress" not in self.unknown:
            with double_precision():
                lattice = deformation.lattice(self.crystal)
                stress = np.asarray(_stress(self._energy, lattice, self._reference_lengths))
        provenance = {
            "engine": "surrogate",
            "recipe": self.recipe.name,
            "n_train": self.metadata.get("n_train"),
            "in_domain": inside,
            "domain_distance": round(float(self.domain.distance(values)) / self.domain.reach, 6),
        }
        return self.encoding.decode(deformation, outputs, stress=stress, provenance=provenance)

    def reduced(self, deformations: FloatArray) -> dict[str, FloatArray]:
        """Outputs of the regressors at many strains at once: quantity → (n, width), to be decoded by ``encoding``.

        Args:
            deformations: (n, 6) rows (λa, λb, λc, θa, θb, θc), angles in degrees. Those outside the training domain
                are neither flagged nor refused; ``domain`` tells them.
        """
        n = len(deformations)
        return {name: np.broadcast_to(y, (n, y.shape[-1])) for name, y in self._joint(deformations).items()}

    def solve_batch(self, deformations: FloatArray | Sequence[Sequence[float]]) -> Batch:
        """Free energy, atoms and stress of many strains at once, without fields, in microseconds for each strain.

        Args:
            deformations: (n, 6) rows (λa, λb, λc, θa, θb, θc), angles in degrees.

        Those outside the training domain are flagged in the result, and warned of or refused as by :meth:`solve`.

        Raises:
            InputError: not an (n, 6) array of finite numbers, or a surrogate that does not know F or the atoms.
            OutsideDomainError: some lie outside, and ``outside`` is "raise".
        """
        if "internal" in self.unknown:
            raise InputError("this surrogate does not know the atoms: too few of its training states did")
        values = self._checked(deformations)
        inside = self.domain.contains(values)
        report_outside(self.outside, values[~inside])
        n, crystal = len(values), self.crystal
        energy, stress = self._energies_and_stresses(values)
        internal = np.zeros((n, 0))
        if "internal" in self.regressors:
            regressor = self._in_double["internal"]
            internal = np.concatenate(
                [np.asarray(regressor(values[i : i + BLOCK])) for i in range(0, max(n, 1), BLOCK)]
            )
        positions = crystal.positions_ref + np.tensordot(internal, crystal.internal_basis, axes=1)
        return Batch(energy, internal, positions, stress, inside)

    def _energies_and_stresses(self, values: FloatArray) -> tuple[FloatArray, FloatArray]:
        """F (n,), Hartree, and σ (n, 3, 3), Hartree/Bohr³, at D (n, 6)."""
        n = len(values)
        if self._mechanical.slopes is not None:
            outputs, slopes = self._mechanical.with_slopes(values)
            assert slopes is not None
            lattices = lattice_of_deformation(values, self._reference_lengths)
            stress = stress_of_energy_gradient(slopes, lattices, self._reference_lengths)
            return outputs["free_energy"][:, 0], stress
        # Each batch size takes seconds to compile: sizes are powers of two, so that there are only a few.
        padded = np.tile(self.domain.mean, (1 << max(n - 1, 0).bit_length(), 1))
        padded[:n] = values
        with double_precision():
            energy, stress = energies_and_stresses(self._energy, padded, self._reference_lengths)
        return np.asarray(energy)[:n], np.asarray(stress)[:n]

    def _checked(self, deformations: FloatArray | Sequence[Sequence[float]]) -> FloatArray:
        """The strains as an array (n, 6).

        Raises:
            InputError: the free energy is unknown, or the strains are not an (n, 6) array of finite numbers.
        """
        if "free_energy" in self.unknown:
            raise InputError("this surrogate does not know the free energy: too few of its training states did")
        values = np.asarray(deformations, dtype=float)
        if values.ndim != 2 or values.shape[1] != 6 or not np.isfinite(values).all():
            raise InputError(f"deformations must be an (n, 6) array of finite numbers, got shape {values.shape}")
        return values

    def energy_and_gradient(
        self, deformations: FloatArray | Sequence[Sequence[float]]
    ) -> tuple[FloatArray, FloatArray]:
        """Free energy and its derivative for many strains at once, in double precision.

        Args:
            deformations: (n, 6) rows (λa, λb, λc, θa, θb, θc), angles in degrees.

        Returns:
            F (n,) in Hartree per cell; ∂F/∂D (n, 6) in Hartree, and Hartree per degree.

        Those outside the training domain are warned of or refused as by :meth:`solve`.

        Raises:
            InputError: not an (n, 6) array of finite numbers, or a surrogate that does not know the free energy.
            OutsideDomainError: some lie outside, and ``outside`` is "raise".
        """
        values = self._checked(deformations)
        report_outside(self.outside, values[~self.domain.contains(values)])
        n = len(values)
        # Each batch size is compiled separately: sizes are powers of two, so that there are only a few.
        padded = np.concatenate([values, np.ones(((1 << max(n - 1, 0).bit_length()) - n, 6))])
        with double_precision():
            energy, gradient = _energy_and_gradient(self._energy, padded)
        return np.asarray(energy)[:n], np.asarray(gradient)[:n]

    def in_domain(self, deformation: Deformation) -> bool:
        """Whether D lies among the training strains: in their bounding box, and no farther out than the outermost."""
        return bool(self.domain.contains(deformation.as_array()))

    def uncertainty(self, deformation: Deformation) -> dict[str, float]:
        """Standard deviation of each prediction: two of three errors are smaller, one in twenty is twice as large.

        Outside the training strains there are no left-out errors. The error of a polynomial of degree n that fits
        within a reach grows by some r^(n + 1) at r times that reach: the numbers there are multiplied by this factor,
        with r from :meth:`TrainingDomain.excess`.

        Returns:
            ``free_energy``, ``band_energy``, ``entropic_energy``, ``fermi_energy`` in Hartree, ``position`` in Bohr (of
            an atom), ``<field>.relative_l2``: error of a field relative to the field.

        Raises:
            InputError: the recipe gives none (only "best" does).
        """
        if self.uncertainties is None or not isinstance(self.recipe, Polynomials):
            raise InputError(f'recipe "{self.recipe.name}" knows no uncertainties; "best" does')
        factor = self.domain.excess(deformation.as_array()) ** (self.recipe.degree + 1)
        return {name: factor * value for name, value in self.uncertainties(deformation).items()}

    @cached_property
    def _in_double(self) -> dict[str, Regressor]:
        """The regressors with NumPy leaves in double precision."""
        return {
            name: jax.tree.map(lambda leaf: np.asarray(leaf, np.float64), regressor)
            for name, regressor in self.regressors.items()
        }

    @cached_property
    def _joint(self) -> JointMaps:
        return JointMaps.of(self._in_double)

    @cached_property
    def _mechanical(self) -> JointMaps:
        """The joined maps of F alone."""
        return JointMaps.of({"free_energy": self._in_double["free_energy"]})

    @cached_property
    def _energy(self) -> Regressor:
        """The free energy's regressor as JAX arrays in double precision."""
        with double_precision():
            energy: Regressor = jax.tree.map(jnp.asarray, self._in_double["free_energy"])
        return energy

    @cached_property
    def _reference_lengths(self) -> FloatArray:
        return lengths_and_angles(self.crystal.lattice_ref)[0]

    def __getstate__(self) -> dict[str, Any]:
        return {name: value for name, value in self.__dict__.items() if name not in _CACHES}

    # -- files --------------------------------------------------------------------------------------------------

    def save(self, path: str | Path) -> None:
        """Write one safetensors file, durably: a crash leaves the old file or the new one, never half of one.

        Raises:
            InputError: the folder does not exist.
            StoreError: the operating system refused the write; an older file is intact.
        """
        tensors, table = _file.pack(self.encoding, self.regressors, self.domain, self.uncertainties)
        table["recipe"] = self.recipe.model_dump(mode="json")
        table["metadata"] = dict(self.metadata)
        _file.write_model(Path(path), tensors, table)

    @classmethod
    def load(cls, path: str | Path, *, outside: Outside = "warn") -> Surrogate:
        """Read a file that :meth:`save` wrote. Loading executes nothing from the file.

        Args:
            path: the file, or the name of a model that ships with the package ("mg").
            outside: what a prediction outside the training domain does: "flag", "warn" or "raise"; see the class.

        Raises:
            InputError: there is no such file or model, or it needs a newer cellfields.
            CorruptFileError: the file is truncated, altered, or not a surrogate.
        """
        path = models.find(path)
        tensors, table = _file.read_model(path)
        try:
            encoding, regressors, domain, uncertainties = _file.unpack(tensors, table)
            recipe = Recipe.from_stored(table["recipe"])
            surrogate = cls(encoding, regressors, domain, recipe, dict(table["metadata"]), uncertainties)
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            reason = " ".join(str(error).split())[:200]
            raise CorruptFileError(f"model file {path} does not hold a complete surrogate: {reason}") from error
        return replace(surrogate, outside=outside)


@jax.jit
def _stress(energy: Regressor, lattice: jax.Array, reference_lengths: jax.Array) -> jax.Array:
    return cauchy_stress(lambda deformation: energy(deformation)[0], lattice, reference_lengths)


@jax.jit
def _energy_and_gradient(regressor: Regressor, deformations: jax.Array) -> tuple[jax.Array, jax.Array]:
    result: tuple[jax.Array, jax.Array] = jax.vmap(jax.value_and_grad(lambda d: regressor(d)[0]))(deformations)
    return result
