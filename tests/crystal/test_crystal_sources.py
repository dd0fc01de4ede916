"""Atoms of ASE's and structure files that are no crystal of this package are refused, in words."""

from __future__ import annotations

import pytest
from ase import Atoms

from cellfields.crystal import Crystal
from cellfields.errors import InputError


def test_atoms_with_magnetic_moments_are_refused() -> None:
    with pytest.raises(InputError, match="magnetic moments: spin polarisation is not supported"):
        Crystal.from_atoms(Atoms("Fe", cell=[2.8] * 3, pbc=True, magmoms=[2.2]))


def test_sites_that_are_occupied_in_part_are_refused(tmp_path) -> None:
    path = tmp_path / "alloy.cif"
    cell = "".join(f"_cell_{x}\n" for x in ("length_a 4", "length_b 4", "length_c 4"))
    cell += "".join(f"_cell_{x}\n" for x in ("angle_alpha 90", "angle_beta 90", "angle_gamma 90"))
    columns = "".join(
        f"_atom_site_{x}\n" for x in ["label", "occupancy", "fract_x", "fract_y", "fract_z", "type_symbol"]
    )
    rows = ["Al1 {0} 0 0 0 Al", "Si1 {1} 0 0 0 Si", "Al2 1 0.5 0.5 0.5 Al"]
    text = f"data_x\n{cell}_space_group_name_H-M_alt 'P 1'\nloop_\n{columns}" + "\n".join(rows)
    path.write_text(text.format(0.6, 0.4))
    with pytest.raises(InputError, match=r"occupied in part \(Al 0\.6, Si 0\.4\)"):
        Crystal.from_file(path)
    path.write_text(text.replace("Si1 {1} 0 0 0 Si\n", "").format(1))
    assert Crystal.from_file(path).species == ("Al", "Al")


def test_atoms_that_are_not_periodic_are_refused() -> None:
    with pytest.raises(InputError, match="periodic in all three directions"):
        Crystal.from_atoms(Atoms("Mg", cell=[3] * 3, pbc=[True, True, False]))


def test_files_that_are_not_structures_are_refused(tmp_path) -> None:
    with pytest.raises(InputError, match=r"nothing\.cif does not exist"):
        Crystal.from_file(tmp_path / "nothing.cif")
    path = tmp_path / "empty.vasp"
    path.write_text("this is no structure\n")
    with pytest.raises(InputError, match="cannot be read by ASE"):
        Crystal.from_file(path)
