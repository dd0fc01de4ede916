"""Writes predictor files, whose content ``predictor.py`` describes; a file is written whole or not at all.

    D = D(FᵀF) → PCA coefficients, atoms, energies          a block of elements at a time, in double precision

A field on a grid is linear in its coefficients, so mean and modes are expanded once and each block of elements takes
one matrix product.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

import cellfields
from cellfields._typing import Array, FloatArray
from cellfields.crystal.deformation import strains_of_gradients
from cellfields.errors import InputError
from cellfields.export.predictor import COEFFICIENTS, FORMAT, GRID_AXES, netcdf4
from cellfields.state.quantities import ENERGIES, quantity
from cellfields.storage.atomic import replaced
from cellfields.surrogate import Surrogate

_BLOCK = 1024  # elements that are predicted at a time; they need 8 MB of monomials
_CHUNK = 2**20  # bytes of a chunk of the file
_GRID_BYTES = 2**27  # bytes of the values of a block of elements on a grid
_MOST_MODES = 2**32  # largest number of bytes of mean and modes on a grid
_UNITS = {"lattice": "Bohr", "positions": "fractional", "deformation": "1 and degrees"} | {
    name: quantity(name).unit for name in ENERGIES
}


def write_predictor(
    path: Path,
    surrogate: Surrogate,
    gradients: FloatArray,
    *,
    fields: Sequence[str] | None = None,
    grid: tuple[int, int, int] | None = None,
    on_progress: Callable[[int, int], None] | None = None,
) -> int:
    """Predict the state for every deformation gradient and write them to one file.

    An older file of the same name stays until the new one is complete.

    Args:
        path: file to write.
        surrogate: the model.
        gradients: (n, 3, 3) deformation gradients that act on the reference crystal in its frame. A rotation in them
            turns the cell and changes no values.
        fields: names of the fields to write; None writes all that the model knows.
        grid: points along each axis of a grid on which fields are written; None writes coefficients.
        on_progress: called with the number of elements done and the number of all elements.

    Returns:
        The number of elements in the training domain.

    Raises:
        InputError: the determinant of a gradient is not positive or its strain out of range, a field is not known to
            the model or not declared, the grid needs too much memory, or the netCDF4 library is not installed.
        StoreError: the operating system refused the write.
    """
    library = netcdf4()
    deformations = strains_of_gradients(gradients, surrogate.crystal)
    known_fields = tuple(surrogate.encoding.reductions)
    names = known_fields if fields is None else tuple(dict.fromkeys(fields))
    for name in names:
        if name not in known_fields:
            raise InputError(f"--field {name}: this model knows {', '.join(known_fields) or 'no field'}")
    if grid is not None and not names:
        raise InputError("--grid: this model knows no field to put on it")
    expansions = {} if grid is None else _expansions(surrogate, names, grid)
    inside = 0
    with replaced(path) as temporary, library.Dataset(temporary, "w", format="NETCDF4", clobber=False) as file:
        file.set_fill_off()
        variables = _define(file, surrogate, len(gradients), names, grid)
        block = _BLOCK if grid is None else max(1, min(_BLOCK, _GRID_BYTES // (8 * int(np.prod(grid)))))
        for start in range(0, len(gradients), block):
            rows = slice(start, min(start + block, len(gradients)))
            values = _block(surrogate, gradients[rows], deformations[rows], names, expansions, grid)
            for name, value in values.items():
                variables[name][rows] = value
            inside += int(values["in_domain"].sum())
            if on_progress is not None:
                on_progress(rows.stop, len(gradients))
    return inside


def _block(
    surrogate: Surrogate,
    gradients: FloatArray,
    deformations: FloatArray,
    names: Sequence[str],
    expansions: Mapping[str, tuple[FloatArray, FloatArray]],
    grid: tuple[int, int, int] | None,
) -> dict[str, Array]:
    """Variable of the file → its values for a block of elements."""
    encoding, crystal = surrogate.encoding, surrogate.crystal
    outputs = surrogate.reduced(deformations)
    n = len(gradients)
    lattice = crystal.lattice_ref @ gradients.transpose(0, 2, 1)
    values: dict[str, Array] = {
        "deformation_gradient": gradients,
        "deformation": deformations,
        "lattice": lattice,
        "in_domain": surrogate.domain.contains(deformations).astype(np.int8),
        "domain_distance": surrogate.domain.distance(deformations) / surrogate.domain.reach,
    }
    if "internal" not in encoding.unknown:
        internal = outputs.get("internal", np.zeros((n, crystal.n_internal)))
        values["positions"] = crystal.positions_ref + np.einsum("ea,ani->eni", internal, crystal.internal_basis)
    reduced = {name: outputs.get(name, np.zeros((n, 0))) for name in encoding.reductions}
    values |= {name: outputs[name][:, 0] for name in ENERGIES if name in outputs}
    for energy, (field, factor) in encoding.integrals.items():
        if energy not in outputs:
            values[energy] = factor * encoding.reductions[field].cell_mean(reduced[field])
    volumes = np.linalg.det(lattice)
    for name in names:
        if grid is None:
            values[name + COEFFICIENTS] = reduced[name] if reduced[name].shape[1] else np.zeros((n, 1))
            continue
        mean, modes = expansions[name]
        expanded = mean + reduced[name] @ modes
        if quantity(name).times_volume:
            expanded /= volumes[:, None]
        values[name] = expanded.reshape(n, *grid).astype(np.float32)
    return values


def _expansions(
    surrogate: Surrogate, names: Sequence[str], grid: tuple[int, int, int]
) -> dict[str, tuple[FloatArray, FloatArray]]:
    """Mean (G,) and modes (K, G) of each field on the G points of a grid.

    Fields that are stored per reference cell are still multiplied by the volume of the deformed cell.

    Raises:
        InputError: they need too much memory.
    """
    reductions, basis = surrogate.encoding.reductions, surrogate.encoding.basis
    needed = 8 * int(np.prod(grid)) * sum(reductions[name].size + 1 for name in names)
    if needed > _MOST_MODES:
        raise InputError(f"--grid {','.join(map(str, grid))} needs {needed / 2**30:.1f} GiB of memory, at most 4")
    assert basis is not None

    def on_grid(vector: FloatArray) -> FloatArray:
        return basis.to_grid(basis.from_vector(vector), grid).reshape(-1)

    return {
        name: (
            on_grid(reductions[name].mean),
            np.array([on_grid(mode) for mode in reductions[name].modes]).reshape(-1, int(np.prod(grid))),
        )
        for name in names
    }


def _define(
    file: Any, surrogate: Surrogate, n: int, names: Sequence[str], grid: tuple[int, int, int] | None
) -> dict[str, Any]:
    """Dimensions, variables and what they have in common for all elements."""
    encoding, crystal = surrogate.encoding, surrogate.crystal
    file.format_name = FORMAT
    file.cellfields_version = cellfields.__version__
    file.crystal = json.dumps(crystal.to_dict())
    file.model = json.dumps({**surrogate.metadata, "recipe": surrogate.recipe.name})
    sizes = {"element": n, "vector": 3, "axis": 3, "component": 6, "atom": crystal.n_atoms}
    for name, size in sizes.items():
        file.createDimension(name, size)
    variables: dict[str, Any] = {}

    def add(name: str, *dimensions: str, kind: str = "f8", unit: str | None = None) -> None:
        width = int(np.prod([file.dimensions[d].size for d in dimensions])) * np.dtype(kind).itemsize
        chunk = [max(1, min(n, _CHUNK // max(width, 1))), *(file.dimensions[d].size for d in dimensions)]
        variables[name] = file.createVariable(name, kind, ("element", *dimensions), chunksizes=chunk)
        variables[name].units = unit or _UNITS.get(name, "1")

    add("deformation_gradient", "vector", "axis")
    add("deformation", "component")
    add("lattice", "vector", "axis")
    add("in_domain", kind="i1")
    add("domain_distance")
    if "internal" not in encoding.unknown:
        add("positions", "atom", "axis")
    for name in ENERGIES:
        if name not in encoding.unknown:
            add(name)
    if grid is not None:
        for axis, size in zip(GRID_AXES, grid, strict=True):
            file.createDimension(axis, size)
        for name in names:
            add(name, *GRID_AXES, kind="f4", unit=quantity(name).unit)
    elif names:
        assert encoding.basis is not None
        _define_modes(file, surrogate, names)
        for name in names:
            add(name + COEFFICIENTS, f"{name}_mode")
    return variables


def _define_modes(file: Any, surrogate: Surrogate, names: Sequence[str]) -> None:
    basis = surrogate.encoding.basis
    assert basis is not None
    file.createDimension("wave", basis.size)
    file.createVariable("wave_indices", "i4", ("wave", "axis"))[:] = basis.indices
    file.createVariable("origin", "f8", ("axis",))[:] = basis.origin
    file.createDimension("folded", len(surrogate.encoding.reductions[names[0]].mean))
    for name in names:
        reduction = surrogate.encoding.reductions[name]
        # A netCDF dimension of size 0 is unlimited, so a field that does not vary gets one mode of zeros.
        file.createDimension(f"{name}_mode", max(1, reduction.size))
        file.createVariable(f"{name}_mean", "f8", ("folded",))[:] = reduction.mean
        modes = file.createVariable(f"{name}_modes", "f8", (f"{name}_mode", "folded"))
        modes[:] = reduction.modes if reduction.size else np.zeros((1, len(reduction.mean)))
