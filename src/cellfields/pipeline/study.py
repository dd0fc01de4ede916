"""A study, ready to work with: what one TOML file describes, as objects.

    study = Study.load("magnesium.toml");   label(study.create_store(), study.engine, study.strains)

The commands use it, and so can scripts.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from cellfields.crystal import Crystal
from cellfields.crystal.deformation import Deformation
from cellfields.dataset import DatasetStore, Failure
from cellfields.engines.contract import FirstPrinciplesEngine
from cellfields.engines.identity import EngineIdentity
from cellfields.errors import InputError
from cellfields.pipeline.configuration import Configuration, ImportedConfiguration, load_study
from cellfields.pipeline.samples import MINIMUM_TEST_STATES, Samples
from cellfields.state import CellState
from cellfields.surrogate.training_size import MINIMUM_TRAINING_STATES


def make_engine(configuration: Configuration, crystal: Crystal) -> FirstPrinciplesEngine:
    """The first-principles engine that a configuration asks for. The one place where studies make one.

    Raises:
        InputError: an element without a pseudopotential, or settings that this crystal does not allow.
    """
    if configuration.abinit is not None:
        from cellfields.engines.abinit import AbinitEngine

        return AbinitEngine(crystal, configuration.engine, configuration.abinit)
    from cellfields.engines.planewave import PlaneWaveEngine

    return PlaneWaveEngine(crystal, configuration.engine)


@dataclass(frozen=True)
class Study:
    """A configuration, ready to work with. Making one writes nothing.

    Attributes:
        configuration: the checked tables of the file.
        crystal: the reference crystal.
        identity: of the engine with the study's settings, or of the code that the imported states come from.
        train, test: the strains to learn from and those to be judged by; where the states are imported, theirs.
        first_principles: the engine with the study's settings, None where the states are imported.
    """

    configuration: Configuration | ImportedConfiguration
    crystal: Crystal
    identity: EngineIdentity
    train: list[Deformation]
    test: list[Deformation]
    first_principles: FirstPrinciplesEngine | None = None

    @classmethod
    def load(cls, path: str | Path) -> Study:
        """From a TOML file; every mistake in it is found here.

        Raises:
            InputError: one sentence that says what is wrong.
        """
        configuration = load_study(path)
        crystal = configuration.crystal.build()
        if isinstance(configuration, ImportedConfiguration):
            return cls._of_imported_states(configuration, crystal)
        engine = make_engine(configuration, crystal)
        sampling = configuration.sampling
        train, test = sampling.train_deformations(crystal), sampling.test_deformations(crystal)
        return cls(configuration, crystal, engine.identity, train, test, engine)

    @classmethod
    def _of_imported_states(cls, configuration: ImportedConfiguration, crystal: Crystal) -> Study:
        """Test states are those whose keys, hashed with the seed, come first: adding states moves few of the others."""
        from cellfields.dataset.importing import imported_identity

        table = configuration.imported
        identity = imported_identity(table.description, table.field_cutoff, table.kmesh)
        study = cls(configuration, crystal, identity, [], [])
        store = study.find_store()
        if store is None:
            return study
        strains = store.deformations()
        order = sorted(strains, key=lambda key: hashlib.sha256(f"{table.seed}:{key}".encode()).digest())
        chosen = [strains[key] for key in order]
        return cls(configuration, crystal, identity, chosen[table.test :], chosen[: table.test])

    @property
    def source(self) -> str:
        """The command that the states come from."""
        return "cellfields import" if isinstance(self.configuration, ImportedConfiguration) else "cellfields label"

    @property
    def strains(self) -> list[Deformation]:
        """All strains that are to be solved."""
        return [*self.train, *self.test]

    @property
    def engine(self) -> FirstPrinciplesEngine:
        """The first-principles engine with the study's settings.

        Raises:
            InputError: the states of this study are imported.
        """
        if self.first_principles is None:
            raise InputError(
                f"the states of this study are imported ({self.identity.description}): it has no engine to solve with"
            )
        return self.first_principles

    def create_store(self) -> DatasetStore:
        """The dataset directory, made if need be.

        Raises:
            SettingsMismatchError: it was made with another crystal or other settings.
        """
        return DatasetStore.create_or_open(self.configuration.dataset_directory, self.crystal, self.identity)

    def find_store(self) -> DatasetStore | None:
        """The dataset directory if there is one; nothing is written.

        Raises:
            SettingsMismatchError: it was made with another crystal or other settings.
        """
        if not (self.configuration.dataset_directory / "dataset.json").is_file():
            return None
        store = DatasetStore.open(self.configuration.dataset_directory)
        store.require(self.crystal, self.identity)
        return store

    def open_store(self) -> DatasetStore:
        """The dataset directory that ``label`` has made.

        Raises:
            InputError: there is none yet.
            SettingsMismatchError: it was made with another crystal or other settings.
        """
        directory = self.configuration.dataset_directory
        if not (directory / "dataset.json").is_file():
            raise InputError(f"there is no dataset in {directory} yet: run `{self.source}` first")
        return self.create_store()

    def training_samples(self, store: DatasetStore) -> Samples:
        """The training strains that are solved; those that failed or are not solved yet are left out.

        Raises:
            InputError: fewer than a surrogate needs are there.
        """
        return self._samples(store, self.train, MINIMUM_TRAINING_STATES, "training")

    def test_samples(self, store: DatasetStore) -> Samples:
        """The unseen strains that are solved; those that failed or are not solved yet are left out.

        Raises:
            InputError: fewer than two are there.
        """
        return self._samples(store, self.test, MINIMUM_TEST_STATES, "test")

    def training_states(self, store: DatasetStore) -> list[CellState]:
        """States of :meth:`training_samples`, with its errors."""
        return self.training_samples(store).states

    def test_states(self, store: DatasetStore) -> list[CellState]:
        """States of :meth:`test_samples`, with its errors."""
        return self.test_samples(store).states

    def _samples(self, store: DatasetStore, strains: list[Deformation], fewest: int, kind: str) -> Samples:
        advice = f"run `{self.source}`, or ask for more strains"
        return Samples.solved(store, strains, fewest=fewest, kind=kind, advice=advice)

    def failures(self, store: DatasetStore) -> list[Failure]:
        """The failures among this study's strains (the store may hold those of others)."""
        recorded = ((d, store.failure(d)) for d in self.strains)
        return [failure for d, failure in recorded if failure is not None and not store.has(d)]

    def keys_of(self, samples: Samples) -> list[str]:
        """What identifies the states of some strains, in order.

        The key of a solve decides its state; that of an imported state does not, so its content is hashed too.
        """
        keys = [samples.store.key(deformation) for deformation in samples.deformations]
        if isinstance(self.configuration, ImportedConfiguration):
            keys += [_content_hash(state) for state in samples.states]
        return keys

    def training_hash(self, training: Samples) -> str:
        """SHA-256 of what a training depends on: the crystal, the engine, the solved strains, and the recipe."""
        return training_hash(self, self.keys_of(training))


def training_hash(study: Study, keys: Sequence[str]) -> str:
    """SHA-256 of what a training depends on: crystal, engine, recipe, and the keys of the training states in order."""
    table = {
        "crystal": study.crystal.fingerprint,
        "engine": dict(study.identity.table),
        "states": list(keys),
        "recipe": study.configuration.surrogate.identity(),
    }
    return hashlib.sha256(json.dumps(table, sort_keys=True).encode()).hexdigest()


def _content_hash(state: CellState) -> str:
    found = hashlib.sha256(json.dumps(state.to_dict(), sort_keys=True).encode())
    if state.fields is not None:
        for name in sorted(state.fields.coefficients):
            found.update(name.encode() + state.fields.vector(name).tobytes())
    return found.hexdigest()
