"""Names, numbers and settings as people write them."""

from __future__ import annotations

from pathlib import Path

import pytest

from cellfields.dft.pseudopotential import builtin_pseudopotential
from cellfields.evaluation.report_settings import pseudopotential_names, settings_tables, value_text
from cellfields.evaluation.texts import cell_contents, formula, listed, percent


@pytest.mark.parametrize(
    ("species", "name", "units"),
    [
        (["Mg"] * 4, "Mg", 4),
        (["O", "Mg"] * 4, "MgO", 4),
        (["Sr", "Ti", "O", "O", "O"], "SrTiO3", 1),
        (["O", "O", "Si"] * 3, "SiO2", 3),
        (["Si", "C"], "SiC", 1),
        (["N", "B"], "BN", 1),
        (["H", "H", "O"], "H2O", 1),
    ],
)
def test_formula(species: list[str], name: str, units: int) -> None:
    assert formula(species) == (name, units)


def test_phrases() -> None:
    assert cell_contents(["Mg"] * 4 + ["O"] * 4) == "4 formula units (8 atoms)"
    assert cell_contents(["Al"]) == "1 atom"
    assert (listed([]), listed(["a"]), listed(["a", "b", "c"])) == ("", "a", "a, b and c")
    assert (percent(0.0643), percent(0.123)) == ("6.4 %", "12 %")


def test_settings_name_the_pseudopotential_and_no_folder(tmp_path: Path) -> None:
    file = tmp_path / "o.psp8"
    file.write_text("numbers")
    ions = {"Mg": builtin_pseudopotential("Mg", valence=10), "O": builtin_pseudopotential("O")}
    named = pseudopotential_names(ions, {"O": file}, "lda")
    assert named["Mg"] == "GTH-LDA (built in), 10 electrons"
    assert named["O"] == f"o.psp8 (SHA-256 {ions['O'].fingerprint[:8]}…), 6 electrons"
    table = {"engine": {"kmesh": (6, 4, 4), "pseudopotentials": {"O": file}, "valences": {"Mg": 10}}}
    (html,) = settings_tables(table, named)
    assert "6 × 4 × 4" in html and "Mg: GTH-LDA (built in), 10 electrons; O: o.psp8" in html
    assert str(tmp_path) not in html and "valences" not in html
    assert value_text({}) == "—" and value_text(file).startswith("o.psp8 (SHA-256 ")
    assert value_text(tmp_path / "missing.cif") == "missing.cif"
