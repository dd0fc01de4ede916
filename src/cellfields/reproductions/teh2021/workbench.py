"""The workbench of the studies: it makes labels, trained models and errors once and keeps them in one directory.

    dataset/, converged/, smearing/     labels (:class:`~cellfields.dataset.DatasetStore`)
    models/<hash>.safetensors           a trained model; hash = SHA-256 of its training states' keys and its recipe
    results/<name>-<hash>.json          a result of a study; hash = SHA-256 of everything that it depends on

A file with the right hash is used as it is. A study that was interrupted therefore continues where it stopped, and a
study whose labels have become more is computed again.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from cellfields import __version__
from cellfields._typing import FloatArray, IntArray
from cellfields.crystal import Crystal
from cellfields.crystal.deformation import Deformation
from cellfields.dataset import DatasetStore, Starter, label
from cellfields.engines.contract import Engine
from cellfields.errors import InputError
from cellfields.evaluation.accuracy import EngineErrors, Evaluation
from cellfields.evaluation.baselines import BaselineEngine, ReductionLimit
from cellfields.evaluation.evaluate import HeldOutStates
from cellfields.pipeline.model_file import saved_model, train_and_save
from cellfields.pipeline.samples import MINIMUM_TEST_STATES, Samples
from cellfields.reproductions.teh2021.protocol import Plan
from cellfields.state import CellState
from cellfields.storage.atomic import make_directory, write_durably
from cellfields.storage.json_tables import digest
from cellfields.surrogate import Recipe, Surrogate
from cellfields.surrogate.images import images_of
from cellfields.surrogate.state_encoding import StateEncoding
from cellfields.surrogate.training_size import MINIMUM_TRAINING_STATES

ProgressCallback = Callable[[str, int, int], None]
"""Called with the name of a task, the number of its steps that are done, and the number of all its steps."""
_QUANTITIES = 8  # steps in which a training reports progress: four fields, atoms, two energies, and the end
_FORMAT = 1  # of results: raise it when a study changes what it computes


@dataclass(frozen=True, eq=False)
class Encoded:
    """Training states and their symmetry images as inputs and outputs of a regression.

    Attributes:
        encoding: reduction of the states, which turns outputs back into states.
        outputs: quantity → indices (n,) of the states that know it, and its encoded values (n, width) in them.
        deformations: (N, 6) D of all states, the images of one strain next to each other.
        images: number of images of each strain.
    """

    encoding: StateEncoding
    outputs: dict[str, tuple[IntArray, FloatArray]]
    deformations: FloatArray
    images: int


@dataclass(frozen=True, eq=False)
class Workbench:
    """Gives the studies of a plan their labels, models and errors, and keeps all of these in one directory.

    Attributes:
        plan: the study that is reproduced.
        directory: folder in which labels, models, results and the report are kept.
        workers: number of solves that run at the same time.
        solve: whether missing labels may be solved; if not, the studies use the labels that exist.
        report_progress: called with the name of a task, its steps that are done, and the number of all its steps.
    """

    plan: Plan
    directory: Path
    workers: int = 1
    solve: bool = True
    report_progress: ProgressCallback = lambda what, done, total: None

    @property
    def crystal(self) -> Crystal:
        """The reference crystal."""
        return self.plan.crystal

    # -- labels ---------------------------------------------------------------------------------------------------

    def labels(
        self, name: str, engine: Any, strains: Sequence[Deformation], starter: Starter | None = None
    ) -> DatasetStore | None:
        """Open a dataset below the directory and, where :attr:`solve` allows it, solve the strains that it lacks.

        Args:
            name: folder of the dataset below :attr:`directory`.
            engine: solves the strains, and must be the one that the dataset was made with.
            strains: the deformations to solve.
            starter: gives for a strain the density that its solve begins from.

        Returns:
            The dataset; None where it does not exist and may not be made.

        Raises:
            SettingsMismatchError: the dataset was made with other settings.
        """
        directory = self.directory / name
        if not self.solve:
            if not (directory / "dataset.json").is_file():
                return None
            store = DatasetStore.open(directory)
            store.require_engine(engine)
            return store
        store = DatasetStore.create_or_open(directory, self.crystal, engine.identity)
        label(
            store,
            engine,
            strains,
            workers=self.workers,
            starter=starter,
            retry_failed=False,
            on_event=lambda event: self.report_progress(f"solving for {name}", event.done, event.total),
        )
        return store

    def existing(self, name: str, engine: Any) -> DatasetStore:
        """Open a dataset below the directory without solving anything.

        Raises:
            InputError: there is no dataset of this name.
            SettingsMismatchError: the dataset was made with another engine.
        """
        store = replace(self, solve=False).labels(name, engine, ())
        if store is None:
            raise InputError(f"there are no labels in {self.directory / name} yet: they are the first stage")
        return store

    @cached_property
    def training(self) -> Samples:
        """Solved training strains of the plan.

        Raises:
            InputError: fewer than eight of them are solved.
        """
        return self.solved(
            self.existing("dataset", self.plan.engine), self.plan.train, MINIMUM_TRAINING_STATES, "training"
        )

    @cached_property
    def test(self) -> Samples:
        """Solved test strains of the plan.

        Raises:
            InputError: fewer than two of them are solved.
        """
        return self.solved(self.existing("dataset", self.plan.engine), self.plan.test, MINIMUM_TEST_STATES, "test")

    def solved(self, store: DatasetStore, strains: Iterable[Deformation], fewest: int, kind: str) -> Samples:
        """Samples of those strains that have a state in a dataset; ``kind`` names them in the message of the error.

        Raises:
            InputError: fewer than ``fewest`` strains are solved.
        """
        return Samples.solved(store, strains, fewest=fewest, kind=kind, advice="let the command solve more")

    # -- models and errors -----------------------------------------------------------------------------------------

    def keep(self, name: str, depends_on: Any, make: Callable[[], Any]) -> Any:
        """Read a result from its file, or compute it and write the file.

        Args:
            name: first part of the file's name.
            depends_on: JSON data of everything that the result depends on; its hash is the rest of the name.
            make: computes the result, as JSON data.
        """
        key = digest([_FORMAT, __version__, name, depends_on])
        path = self.directory / "results" / f"{name}-{key[:16]}.json"
        if path.is_file():
            try:
                return json.loads(path.read_text(encoding="utf-8"))
            except ValueError:  # the file is damaged: the result is computed again
                pass
        result = make()
        make_directory(path.parent)
        write_durably(path, json.dumps(result, allow_nan=False).encode())
        return json.loads(json.dumps(result))

    def surrogate(self, recipe: Recipe, training: Samples, about: str) -> Surrogate:
        """Read the model of a recipe and training states from its file, or train it and write the file.

        Outside its training domain the model flags its predictions instead of raising, so that an evaluation can count
        them. ``about`` names the model in reports of progress.
        """
        identity = training.store.identity
        key = digest([__version__, training.key, recipe.identity()])
        path = self.directory / "models" / f"{key[:16]}.safetensors"
        if (surrogate := saved_model(path, key, outside="flag")) is not None:
            return surrogate
        task = f"training {about} on {len(training)} states"
        on_progress = self._progress_of_training(task)
        surrogate = train_and_save(path, key, self.crystal, training.states, recipe, identity, on_progress)
        self.report_progress(task, _QUANTITIES, _QUANTITIES)
        return replace(surrogate, outside="flag")

    def _progress_of_training(self, task: str) -> ProgressCallback:
        """A callback for a training, which reports the quantities that are finished as the steps of one task."""
        begun: list[str] = []

        def report_quantity(quantity: str, done: int, total: int) -> None:
            if quantity not in begun:
                begun.append(quantity)
            if done == total:
                self.report_progress(task, min(len(begun), _QUANTITIES - 1), _QUANTITIES)

        return report_quantity

    def judged(self, name: str, recipe: Recipe, training: Samples, test: Samples) -> tuple[EngineErrors, float]:
        """A recipe's errors on test states, and its training time in seconds."""

        def make() -> dict[str, Any]:
            surrogate = self.surrogate(recipe, training, name)
            errors = self.held_out_states(test).judge(surrogate)
            seconds = float(surrogate.metadata["training_seconds"])
            return errors.to_dict() | {"training_seconds": seconds}

        table = self.keep("recipe", [recipe.identity(), training.key, test.key, self._grid], make)
        return EngineErrors.from_dict(table), float(table["training_seconds"])

    def judged_baseline(self, name: str, training: Samples, test: Samples, modes: int) -> EngineErrors:
        """Errors on test states of a baseline, or of the reduction alone.

        Args:
            name: key of ``BASELINES``, or "PCA floor" for :class:`~cellfields.evaluation.baselines.ReductionLimit`.
            training: states that the modes, and the baseline, are fitted to.
            test: states that are predicted.
            modes: number of modes of each field.

        Raises:
            InputError: the name is unknown.
        """

        def make() -> dict[str, Any]:
            learned = self.encoded(training, modes)
            engine: Engine
            if name == "PCA floor":
                engine = ReductionLimit(learned.encoding, test.states)
            else:
                engine = BaselineEngine.fit(name, learned.encoding, learned.deformations, learned.outputs)
            errors = self.held_out_states(test).judge(engine).to_dict()
            self.report_progress(f"baseline {name} on {len(training)} states", 1, 1)
            return errors

        depends_on = [name, modes, self.plan.paper.learns_from_images, training.key, test.key, self._grid]
        return EngineErrors.from_dict(self.keep("baseline", depends_on, make))

    def truth(self, test: Samples) -> Evaluation:
        """The true values on test states and their spread, as an evaluation without engines."""
        table = self.keep("truth", [test.key, self._grid], lambda: self.held_out_states(test).truth.to_dict())
        return Evaluation.from_dict(table)

    def held_out_states(self, test: Samples) -> HeldOutStates:
        """Test states with everything that engines are measured by on them; those of the last call are remembered."""
        if test.key not in self._held_out_states:
            self._held_out_states.clear()
            self._held_out_states[test.key] = HeldOutStates.of(self.crystal, test.states, self.plan.grid)
        return self._held_out_states[test.key]

    @cached_property
    def _held_out_states(self) -> dict[str, HeldOutStates]:
        return {}

    @property
    def _grid(self) -> list[int] | None:
        return None if self.plan.grid is None else list(self.plan.grid)

    def training_states_with_images(self, training: Samples) -> tuple[list[CellState], int]:
        """Training states with the symmetry images that the paper's recipe uses, and the number of images a state."""
        return images_of(self.crystal, training.states, self.plan.paper, training.store.identity)

    def encoded(self, training: Samples, modes: int) -> Encoded:
        """Fit ``modes`` modes a field to training states with their images, and encode these states with them.

        The result of the last call is remembered.
        """
        key = f"{training.key}-{modes}"
        if key not in self._encodings:
            self._encodings.clear()
            states, images = self.training_states_with_images(training)
            encoding = StateEncoding.fit(self.crystal, states, modes, images)
            deformations = np.array([state.deformation.as_array() for state in states])
            self._encodings[key] = Encoded(encoding, encoding.encode(states), deformations, images)
        return self._encodings[key]

    @cached_property
    def _encodings(self) -> dict[str, Encoded]:
        return {}
