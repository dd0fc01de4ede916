"""Output of one state: a table on stdout or JSON, and a file with its fields on a grid."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cellfields.cli._arguments import default_grid
from cellfields.cli._console import print_table
from cellfields.cli._output import write_fields, write_json
from cellfields.errors import InputError

if TYPE_CHECKING:
    from cellfields.crystal import Crystal
    from cellfields.state import CellState


def output_state(
    state: CellState,
    crystal: Crystal,
    *,
    json: Path | None,
    fields: Path | None,
    grid: tuple[int, int, int] | None,
    extra: Mapping[str, Any] | None = None,
) -> None:
    """Write the files that the user asked for, or print the state as a table where JSON is not among them.

    Args:
        state: the state.
        crystal: the reference crystal.
        json: file of the state's numbers, ``-`` for stdout, or None to print a table.
        fields: file of the fields, or None.
        grid: points along each axis for the fields; None takes the smallest grid that holds every coefficient.
        extra: further entries of the JSON data.

    Raises:
        InputError: fields were asked for and the state has none.
        StoreError: the operating system refused a write.
    """
    if fields is not None:
        if state.fields is None:
            raise InputError("--fields: this engine gave no fields")
        write_fields(fields, state, crystal, grid or default_grid(state.fields.basis))
    if json is not None:
        table = {"species": list(crystal.species), "volume": state.volume} | state.to_dict() | dict(extra or {})
        write_json(json, table)
        return
    _print(state, crystal)


def _print(state: CellState, crystal: Crystal) -> None:
    from cellfields.state.quantities import ENERGIES, quantity
    from cellfields.units import EV, GPA

    energies = [
        (quantity(name).title, f"{getattr(state, name):.9f}", "Ha", f"{getattr(state, name) * EV:.6f} eV")
        for name in ENERGIES
        if state.knows(name)
    ]
    strain = 100 * state.deformation.volumetric_strain(crystal)
    energies.append(("volume", f"{state.volume:.6f}", "Bohr³", f"{strain:+.3f} % of V⁰"))
    d = ", ".join(f"{x:g}" for x in state.deformation.as_array())
    print_table(f"D = ({d}), per cell of {crystal.n_atoms} atoms", ("", "value", "unit", ""), energies)
    if state.knows("positions"):
        rows = [(s, *(_fixed(x, 6) for x in row)) for s, row in zip(crystal.species, state.positions, strict=True)]
        print_table("relaxed atoms, fractional", ("atom", "a", "b", "c"), rows)
    lattice = [(name, *(_fixed(x, 6) for x in row)) for name, row in zip("abc", state.lattice, strict=True)]
    print_table("lattice, Bohr", ("vector", "x", "y", "z"), lattice)
    if state.stress is not None:
        gpa = state.stress * GPA
        stress = [(name, *(_fixed(x, 4) for x in row)) for name, row in zip("xyz", gpa, strict=True)]
        print_table("stress, GPa, tension positive", ("", "x", "y", "z"), stress)


def _fixed(value: float, digits: int) -> str:
    return f"{round(value, digits) + 0.0:.{digits}f}"  # adding 0.0 turns -0.0 into 0.0
