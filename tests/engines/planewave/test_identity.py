"""The tables that datasets are identified by stay as they were when the first labels were made.

A label costs minutes to hours. What a dataset was made with is compared by these tables, so one that changes without
need orphans every label there is: new settings appear in it only where they differ from their default.
"""

from __future__ import annotations

import hashlib
import json
import re
from pathlib import Path
from typing import Any

import pytest

from cellfields.crystal import Crystal
from cellfields.dft.settings import PlaneWaveSettings
from cellfields.engines.planewave import PlaneWaveEngine
from tests.dft.test_psp5 import file_lines
from tests.engines.planewave.problems import aluminium, magnesium_silicide, silicon
from tests.toy import magnesium

SILICON_TABLE = {
    "engine": "plane waves",
    "settings": {
        "cutoff": 10.0,
        "kmesh": [3, 3, 3],
        "smearing": "none",
        "smearing_width": 0.01,
        "pseudopotentials": {"Si": "539a7f73799c4aff0bf9c3ee9742893b024ab33e87460e215a4551cbf7ee3397"},
        "local_channels": {},
        "bands": 4,
        "basis": "auto",
        "basis_tolerance": 1e-06,
        "plane_waves": "k_sphere",
        "field_cutoff": None,
        "fft_grid": [24, 24, 24],
        "time_reversal": True,
        "scf_tolerance": 1e-10,
        "force_tolerance": 5e-07,
    },
}
SILICON_SETTINGS = {"cutoff": 10, "kmesh": (3, 3, 3), "smearing": "none", "bands": 4, "fft_grid": (24, 24, 24)}


def table(crystal: Crystal, **settings: Any) -> dict[str, Any]:
    return PlaneWaveEngine(crystal, PlaneWaveSettings(**{"smearing": "cold", **settings})).identity.table


def test_a_table_written_out() -> None:
    assert table(silicon(), **SILICON_SETTINGS) == SILICON_TABLE


@pytest.mark.parametrize(
    ("crystal", "settings", "digest"),
    [
        (
            magnesium(),  # the paper's settings
            {"cutoff": 24, "kmesh": (12, 12, 12), "smearing": "cold", "smearing_width": 0.01},
            "dd9f8620d4e99381b19dabe7651b42fc4ab84c77a0e0fabe5c78244412d50bf6",
        ),
        (
            aluminium(),
            {"cutoff": 12, "kmesh": (6, 6, 6)},
            "fb1b780255d0cc0dd213623aee043eb75b5c4a7dc97042b15cf3ae4aa57a45b5",
        ),
        (
            magnesium_silicide(),
            {"cutoff": 8, "kmesh": (2, 2, 2)},
            "4a46b2122759c4b82898b9195e38fe7dea7d7d26f267c094f82aa60f35013aed",
        ),
    ],
    ids=["magnesium", "aluminium", "silicide"],
)
def test_tables_by_their_digest(crystal: Crystal, settings: dict[str, Any], digest: str) -> None:
    assert _digest(table(crystal, **settings)) == digest


def test_table_with_a_file(tmp_path: Path) -> None:
    """A format-5 file and a chosen local channel; what identifies the file is its content, not its name."""
    path = tmp_path / "mg.psp5"
    # The last digits of exp and erf are the processor's: the digest is of numbers that every machine writes alike.
    lines = [re.sub(r"-?\d\.\d{15}[ED][+-]\d+", _to_nine_digits, line) for line in file_lines()]
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    found = table(
        magnesium(),
        cutoff=6,
        kmesh=(2, 1, 1),
        smearing_width=0.02,
        pseudopotentials={"Mg": path},
        local_channels={"Mg": 0},
        basis="full",
    )
    assert _digest(found) == "cb7072778681af26369bdf4a3c9390c4efb8868cf7a1f5609b9973a160aa94b0"


def test_what_is_new_appears_only_where_it_is_not_the_default() -> None:
    assert table(silicon(), **SILICON_SETTINGS, functional="lda", valences={"Si": 4}) == SILICON_TABLE
    pbe = table(silicon(), **SILICON_SETTINGS, functional="pbe")
    assert pbe["settings"].pop("functional") == "pbe"
    assert pbe["settings"].pop("pseudopotentials") != SILICON_TABLE["settings"]["pseudopotentials"]
    assert pbe["settings"].items() <= SILICON_TABLE["settings"].items()


def test_another_valence_is_another_ion() -> None:
    calcium = Crystal.from_lengths_and_angles([7.0] * 3, [60] * 3, ["Ca"], [[0, 0, 0]])
    two, ten = (table(calcium, cutoff=10, kmesh=(2, 2, 2), valences={"Ca": z}) for z in (2, 10))
    assert two != ten == table(calcium, cutoff=10, kmesh=(2, 2, 2))


def _to_nine_digits(number: re.Match[str]) -> str:
    return f"{float(number[0].replace('D', 'E')):.9E}"


def _digest(found: dict[str, Any]) -> str:
    return hashlib.sha256(json.dumps(found, sort_keys=True).encode()).hexdigest()
