"""Settings: what is allowed, and that they survive JSON."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from cellfields.planewave import PlaneWaveSettings

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
    with pytest.raises(ValidationError) as caught:
        PlaneWaveSettings(**{**GOOD, **change})
    assert {error["loc"][0] for error in caught.value.errors()} == {field}


def test_cutoff_and_mesh_have_no_default() -> None:
    with pytest.raises(ValidationError) as caught:
        PlaneWaveSettings()  # type: ignore[call-arg]
    assert {error["loc"][0] for error in caught.value.errors()} == {"cutoff", "kmesh"}


def test_settings_are_immutable_and_survive_json() -> None:
    settings = PlaneWaveSettings(**GOOD, smearing="fermi-dirac", pseudopotentials={"Mg": "mg.gth"})
    with pytest.raises(ValidationError):
        settings.cutoff = 20  # type: ignore[misc]
    assert PlaneWaveSettings.model_validate_json(settings.model_dump_json()) == settings


def test_all_of_the_density_is_stored_by_default() -> None:
    """ρ reaches to twice the wave vectors of the orbitals: four times the cutoff."""
    assert PlaneWaveSettings(**GOOD).stored_cutoff == 40
    assert PlaneWaveSettings(**GOOD, field_cutoff=7.5).stored_cutoff == 7.5
