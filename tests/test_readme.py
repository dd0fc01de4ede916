"""What the README shows runs, and the example studies are valid."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from cellfields.pipeline.configuration import load_configuration

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")


@pytest.mark.slow
def test_the_python_example_runs(capsys: pytest.CaptureFixture[str]) -> None:
    (code,) = re.findall(r"```python\n(.*?)```", README, flags=re.DOTALL)
    assert len(code.splitlines()) < 40
    exec(compile(code, "README.md", "exec"), {})
    energy, electrons = capsys.readouterr().out.splitlines()
    # Positions given to five digits are made symmetric; two valence electrons for each of four atoms.
    assert electrons == "electrons: 8.000000"
    assert re.fullmatch(r"F = -3\.\d{6} Ha per cell, largest force \de-\d\d Ha/Bohr", energy)


def test_every_file_the_readme_links_to_exists() -> None:
    links = [link for link in re.findall(r"\]\(([^)]+)\)", README) if not link.startswith("http")]
    assert links
    for link in links:
        assert (ROOT / link).is_file(), link


@pytest.mark.parametrize("path", sorted((ROOT / "examples").glob("*/*.toml")), ids=lambda p: p.stem)
def test_example_studies_are_valid(path: Path) -> None:
    configuration = load_configuration(path)
    crystal = configuration.crystal.build()
    assert len(configuration.sampling.train_deformations(crystal)) == configuration.sampling.train
