"""The learned map Φ_ml : D → (R̄ᵉ, {ρ_α}, {φ_α}, {u_α}, {s_α}, F), with the interface of an engine (paper, eq. 11).

    solve(D) = decode( N_quantity(D) for each quantity ) ,   σ = V⁻¹ d𝓕/dη from the free energy's own network

One network a quantity. Fields stay PCA coefficients until somebody asks for them; everything else is numbers.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

import cellfields
from cellfields._typing import FloatArray
from cellfields.crystal import Crystal
from cellfields.deformation import Deformation, lengths_and_angles
from cellfields.errors import CorruptFileError, InputError
from cellfields.state import CellState
from cellfields.surrogate import _file
from cellfields.surrogate._domain import TrainingDomain
from cellfields.surrogate._encoding import StateEncoding
from cellfields.surrogate._jax import double_precision
from cellfields.surrogate._stress import cauchy_stress
from cellfields.surrogate.network import Regressor
from cellfields.surrogate.recipe import Recipe
from cellfields.surrogate.training import Progress, fit_regressor


@dataclass(frozen=True, eq=False)
class Surrogate:
    """A trained engine. Self-contained and immutable; may be pickled, saved, and called from several threads.

    Attributes:
        encoding: crystal, Fourier basis and PCA modes: what the networks' outputs mean.
        regressors: quantity → network with its standardisations.
        domain: where the training strains lie.
        recipe: how it was trained.
        metadata: ``cellfields_version``, ``n_train``, ``training_seconds``, ``training_errors`` (quantity → RMS in
            standard deviations of what its network learned), ``engine_table`` (settings of the engine that computed
            the training states, or None). Plain JSON data.
    """

    encoding: StateEncoding
    regressors: Mapping[str, Regressor]
    domain: TrainingDomain
    recipe: Recipe
    metadata: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        found = {name: (np.shape(r.input_mean)[0], np.shape(r.output_mean)[0]) for name, r in self.regressors.items()}
        needed = {name: (6, self.encoding.width(name)) for name in self.encoding.quantities}
        if found != needed:
            raise InputError(f"networks {found} do not fit the quantities {needed} of the crystal")

    @classmethod
    def train(
        cls,
        crystal: Crystal,
        states: Iterable[CellState],
        recipe: Recipe | None = None,
        *,
        on_progress: Progress | None = None,
        engine_table: Mapping[str, Any] | None = None,
    ) -> Surrogate:
        """Train on states that another engine computed. The same states, recipe and machine give the same surrogate.

        Args:
            crystal: the crystal they are deformations of.
            states: at least two; a field is learned when every state has it.
            recipe: the paper's, unless given.
            on_progress: called with (quantity, epochs done, epochs in all), about 100 times a quantity.
            engine_table: JSON-able description of the engine, kept in ``metadata``.

        Raises:
            InputError: too few states, states of another crystal, different Fourier bases, numbers not finite.
        """
        started = time.perf_counter()
        recipe = Recipe() if recipe is None else recipe
        states = list(states)
        encoding = StateEncoding.fit(crystal, states, recipe.modes)
        deformations = np.array([state.deformation.as_array() for state in states])
        regressors: dict[str, Regressor] = {}
        errors: dict[str, float] = {}
        for name, outputs in encoding.encode(states).items():
            widths = recipe.field_widths if name in encoding.reductions else recipe.small_widths
            regressors[name], errors[name] = fit_regressor(name, deformations, outputs, widths, recipe, on_progress)
        metadata = {
            "cellfields_version": cellfields.__version__,
            "n_train": len(states),
            "training_seconds": time.perf_counter() - started,
            "training_errors": errors,
            "engine_table": None if engine_table is None else dict(engine_table),
        }
        return cls(encoding, regressors, TrainingDomain.fit(deformations), recipe, metadata)

    # -- the engine ---------------------------------------------------------------------------------------------

    @property
    def crystal(self) -> Crystal:
        """The reference crystal."""
        return self.encoding.crystal

    def solve(self, deformation: Deformation, *, start: Any | None = None) -> CellState:
        """Predicted relaxed state; ``start`` is of no use here and ignored.

        Outside the training domain it predicts all the same and says so in ``provenance["in_domain"]``.
        """
        values = deformation.as_array()
        outputs = {name: regressor(values) for name, regressor in self._in_double.items()}
        with double_precision():
            stress = _stress(self._energy, deformation.lattice(self.crystal), self._reference_lengths)
        provenance = {
            "engine": "surrogate",
            "recipe": self.recipe.name,
            "n_train": self.metadata.get("n_train"),
            "in_domain": self.domain.contains(values),
            "domain_distance": round(self.domain.distance(values) / self.domain.reach, 6),
        }
        return self.encoding.decode(deformation, outputs, stress=np.asarray(stress), provenance=provenance)

    def solve_many(self, deformations: Iterable[Deformation]) -> Iterator[CellState]:
        """Predicted relaxed states, in order."""
        return (self.solve(deformation) for deformation in deformations)

    def energy_and_gradient(
        self, deformations: FloatArray | Sequence[Sequence[float]]
    ) -> tuple[FloatArray, FloatArray]:
        """Free energy and its derivative for many strains at once, in double precision.

        Args:
            deformations: (n, 6) rows (λa, λb, λc, θa, θb, θc), angles in degrees.

        Returns:
            F (n,) in Hartree per cell; ∂F/∂D (n, 6) in Hartree, and Hartree per degree.

        Raises:
            InputError: not an (n, 6) array of finite numbers.
        """
        values = np.asarray(deformations, dtype=float)
        if values.ndim != 2 or values.shape[1] != 6 or not np.isfinite(values).all():
            raise InputError(f"deformations must be an (n, 6) array of finite numbers, got shape {values.shape}")
        n = len(values)
        # Each batch size is compiled for itself: round up to a power of two, and there are only a few.
        padded = np.concatenate([values, np.ones(((1 << max(n - 1, 0).bit_length()) - n, 6))])
        with double_precision():
            energy, gradient = _energy_and_gradient(self._energy, padded)
        return np.asarray(energy)[:n], np.asarray(gradient)[:n]

    def in_domain(self, deformation: Deformation) -> bool:
        """Whether D lies among the training strains: in their bounding box, and no farther out than the outermost."""
        return self.domain.contains(deformation.as_array())

    @cached_property
    def _in_double(self) -> dict[str, Regressor]:
        """The regressors with NumPy leaves in double precision."""
        return {
            name: jax.tree.map(lambda leaf: np.asarray(leaf, np.float64), regressor)
            for name, regressor in self.regressors.items()
        }

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
        return {name: value for name, value in self.__dict__.items() if name not in ("_in_double", "_energy")}

    # -- files --------------------------------------------------------------------------------------------------

    def save(self, path: str | Path) -> None:
        """Write one safetensors file, durably: a crash leaves the old file or the new one, never half of one.

        Raises:
            InputError: the folder does not exist.
            StoreError: the operating system refused the write; an older file is intact.
        """
        tensors, table = _file.pack(self.encoding, self.regressors, self.domain)
        table["recipe"] = self.recipe.model_dump(mode="json")
        table["metadata"] = dict(self.metadata)
        _file.write_model(Path(path), tensors, table)

    @classmethod
    def load(cls, path: str | Path) -> Surrogate:
        """Read a file that :meth:`save` wrote. Loading executes nothing from the file.

        Raises:
            InputError: there is no such file, or it needs a newer cellfields.
            CorruptFileError: the file is truncated, altered, or no surrogate.
        """
        tensors, table = _file.read_model(Path(path))
        try:
            parts = _file.unpack(tensors, table)
            recipe = Recipe.model_validate(table["recipe"])
            return cls(*parts, recipe=recipe, metadata=table["metadata"])
        except (KeyError, TypeError, ValueError) as error:
            raise CorruptFileError(f"model file {path} does not hold a complete surrogate: {error}") from error


@jax.jit
def _stress(energy: Regressor, lattice: jax.Array, reference_lengths: jax.Array) -> jax.Array:
    return cauchy_stress(lambda deformation: energy(deformation)[0], lattice, reference_lengths)


@jax.jit
def _energy_and_gradient(regressor: Regressor, deformations: jax.Array) -> tuple[jax.Array, jax.Array]:
    result: tuple[jax.Array, jax.Array] = jax.vmap(jax.value_and_grad(lambda d: regressor(d)[0]))(deformations)
    return result
