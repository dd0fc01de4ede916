"""What the commands share: the engine of a configuration, its strains, and its states in the store."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cellfields.config import MINIMUM_TRAINING_STATES, Configuration, load_configuration
from cellfields.crystal import Crystal
from cellfields.dataset import DatasetStore
from cellfields.deformation import Deformation
from cellfields.errors import InputError
from cellfields.state import CellState, Engine

if TYPE_CHECKING:
    from cellfields.dataset import Failure


def make_engine(configuration: Configuration, crystal: Crystal) -> Engine:
    """The first-principles engine that a configuration asks for. The one place where the commands make one.

    Raises:
        InputError: an element without a pseudopotential, or settings that this crystal does not allow.
    """
    from cellfields.planewave import PlaneWaveEngine

    return PlaneWaveEngine(crystal, configuration.engine)


@dataclass(frozen=True)
class Study:
    """A configuration, ready to work with. Making one writes nothing."""

    configuration: Configuration
    crystal: Crystal
    engine: Engine
    train: list[Deformation]
    test: list[Deformation]

    @classmethod
    def load(cls, path: Path) -> Study:
        """From a TOML file; every mistake in it is found here.

        Raises:
            InputError: one sentence that says what is wrong.
        """
        configuration = load_configuration(path)
        crystal = configuration.crystal.build()
        engine = make_engine(configuration, crystal)
        sampling = configuration.sampling
        return cls(
            configuration, crystal, engine, sampling.train_deformations(crystal), sampling.test_deformations(crystal)
        )

    @property
    def engine_table(self) -> dict[str, Any]:
        """What identifies the engine's settings."""
        table: dict[str, Any] = self.engine.fingerprint_table()  # type: ignore[attr-defined]
        return table

    def create_store(self) -> DatasetStore:
        """The dataset directory, made if need be.

        Raises:
            SettingsMismatchError: it was made with another crystal or other settings.
        """
        return DatasetStore.create_or_open(self.configuration.dataset_directory, self.crystal, self.engine_table)

    def open_store(self) -> DatasetStore:
        """The dataset directory that ``label`` has made.

        Raises:
            InputError: there is none yet.
            SettingsMismatchError: it was made with another crystal or other settings.
        """
        directory = self.configuration.dataset_directory
        if not (directory / "dataset.json").is_file():
            raise InputError(f"there is no dataset in {directory} yet: run `cellfields label` first")
        return self.create_store()

    def training_states(self, store: DatasetStore) -> list[CellState]:
        """States of the training strains; those that failed or are not solved yet are left out.

        Raises:
            InputError: fewer than eight are there.
        """
        states = [store.read(d) for d in self.train if store.has(d)]
        if len(states) < MINIMUM_TRAINING_STATES:
            raise InputError(
                f"{len(states)} of {len(self.train)} training strains are solved, at least {MINIMUM_TRAINING_STATES} "
                "are needed: run `cellfields label`, or draw more with sampling.train"
            )
        return states

    def test_states(self, store: DatasetStore) -> list[CellState]:
        """States of the unseen strains; those that failed or are not solved yet are left out.

        Raises:
            InputError: fewer than two are there.
        """
        states = [store.read(d) for d in self.test if store.has(d)]
        if len(states) < 2:
            raise InputError(
                f"{len(states)} of {len(self.test)} test strains are solved, at least 2 are needed: "
                "run `cellfields label`, or draw more with sampling.test"
            )
        return states

    def failures(self, store: DatasetStore) -> list[Failure]:
        """The failures among this study's strains (the store may hold those of others)."""
        ours = {tuple(d.as_array()) for d in [*self.train, *self.test]}
        return [f for f in store.failures() if tuple(f.deformation.as_array()) in ours and not store.has(f.deformation)]

    def training_hash(self, store: DatasetStore) -> str:
        """SHA-256 of what a training depends on: the crystal, the engine, the solved strains, and the recipe."""
        return training_hash(self, [store.key(d) for d in self.train if store.has(d)])


def training_hash(study: Study, keys: Sequence[str]) -> str:
    """As :meth:`Study.training_hash`, from the store's keys of the training states in order."""
    table = {
        "crystal": study.crystal.fingerprint,
        "engine": study.engine_table,
        "states": list(keys),
        "recipe": study.configuration.surrogate.model_dump(mode="json"),
    }
    return hashlib.sha256(json.dumps(table, sort_keys=True).encode()).hexdigest()
