"""Settings: what is allowed, and that they survive JSON."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from cellfields.dft.settings import PlaneWaveSettings
from cellfields.errors import InputError

GOOD = {"cutoff": 10, "kmesh": (4, 2, 2)}


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"cutoff": 0}, "cutoff"),
        ({"cutoff": -3}, "cutoff"),
        ({"cutoff": "a lot"}, "cutoff"),
        ({"kmesh": (0, 2, 2)}, "kmesh"),
        ({"kmesh": (2, 2)}, "kmesh"),
        ({"kmesh": (2, 2, 2.5)}, "kmesh"),
        ({"smearing": "cold-smearing"}, "smearing"),
        ({"smearing_width": 0}, "smearing_width"),
        ({"bands": 0}, "bands"),
        ({"plane_waves": "sphere"}, "plane_waves"),
        ({"basis": "small"}, "basis"),
        ({"field_cutoff": 0}, "field_cutoff"),
        ({"fft_grid": (0, 8, 8)}, "fft_grid"),
        ({"scf_tolerance": 0}, "scf_tolerance"),
        ({"scf_tolerance": 0.1}, "scf_tolerance"),
        ({"max_scf_steps": 0}, "max_scf_steps"),
        ({"mixing": 1.5}, "mixing"),
        ({"force_tolerance": 0}, "force_tolerance"),
        ({"max_relaxation_steps": 0}, "max_relaxation_steps"),
        ({"ecut": 20}, "ecut"),  # an unknown key is refused by name
    ],
    ids=str,
)
def test_bad_settings_are_refused_by_name(change: dict, field: str) -> None:
    """One sentence, as a study's TOML file gets it, not pydantic's list."""
    with pytest.raises(InputError, match=rf"^(unknown key )?{field}\b") as caught:
        PlaneWaveSettings(**{"smearing": "cold", **GOOD, **change})
    assert "\n" not in str(caught.value)
    assert "pydantic" not in str(caught.value)


def test_a_value_out_of_range_is_told_the_range() -> None:
    with pytest.raises(InputError, match=r"^smearing_width = 1e-06 must be in 1e-05 … 1$"):
        PlaneWaveSettings(**{"smearing": "cold", **GOOD}, smearing_width=1e-6)


def test_cutoff_and_mesh_have_no_default() -> None:
    with pytest.raises(InputError, match=r"^cutoff is missing$"):
        PlaneWaveSettings(smearing="cold", kmesh=(4, 2, 2))  # type: ignore[call-arg]
    with pytest.raises(InputError, match=r"^kmesh is missing$"):
        PlaneWaveSettings(smearing="cold", cutoff=10)  # type: ignore[call-arg]


def test_settings_are_immutable_and_survive_json() -> None:
    settings = PlaneWaveSettings(**GOOD, smearing="fermi-dirac", pseudopotentials={"Mg": "mg.gth"})
    with pytest.raises(ValidationError):
        settings.cutoff = 20  # type: ignore[misc]
    assert PlaneWaveSettings.model_validate_json(settings.model_dump_json()) == settings


def test_all_of_the_density_is_stored_by_default() -> None:
    """ρ reaches to twice the wave vectors of the orbitals: four times the cutoff."""
    assert PlaneWaveSettings(**{"smearing": "cold", **GOOD}).stored_cutoff == 40
    assert PlaneWaveSettings(**{"smearing": "cold", **GOOD}, field_cutoff=7.5).stored_cutoff == 7.5
