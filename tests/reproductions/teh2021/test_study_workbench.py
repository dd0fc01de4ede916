"""Labels, models and judgements are made once, made again where they depend on something new, and survive damage."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from cellfields.errors import InputError, SettingsMismatchError
from cellfields.pipeline.samples import Samples
from cellfields.reproductions.teh2021.workbench import Workbench
from cellfields.surrogate import Surrogate
from tests.reproductions.teh2021.toy_plan import BEST, ToyLabels, toy_plan
from tests.toy import magnesium


@pytest.fixture
def bench(tmp_path: Path) -> Workbench:
    return Workbench(toy_plan(), tmp_path)


@pytest.fixture
def trainings(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How many states each training had, as they happen."""
    found: list[int] = []
    train = Surrogate.train

    def counted(crystal, states, *args, **options):  # type: ignore[no-untyped-def]
        found.append(len(states))
        return train(crystal, states, *args, **options)

    monkeypatch.setattr(Surrogate, "train", counted)
    return found


def test_labels_are_solved_once(bench: Workbench) -> None:
    engine, told = bench.plan.engine, []
    bench = replace(bench, report_progress=lambda *event: told.append(event))
    first = bench.labels("dataset", engine, bench.plan.train[:5])
    assert engine.solved == 5 and told[-1] == ("solving for dataset", 5, 5)
    again = bench.labels("dataset", engine, bench.plan.train[:7])
    assert engine.solved == 7
    assert first is not None and again is not None and again.has(bench.plan.train[0])
    next(iter(sorted((bench.directory / "dataset" / "states").iterdir()))).unlink()
    bench.labels("dataset", engine, bench.plan.train[:7])
    assert engine.solved == 8  # the one that was lost, and no other


def test_without_solving_there_is_what_there_is(bench: Workbench) -> None:
    quiet = replace(bench, solve=False)
    assert quiet.labels("dataset", bench.plan.engine, bench.plan.train) is None
    assert list(bench.directory.iterdir()) == []
    with pytest.raises(InputError, match=r"no labels in .*dataset yet: they are the first stage"):
        _ = quiet.training
    bench.labels("dataset", bench.plan.engine, bench.plan.train[:7])
    with pytest.raises(InputError, match=r"7 of 12 training strains are solved, at least 8 are needed"):
        _ = replace(quiet).training
    with pytest.raises(InputError, match=r"0 of 4 test strains are solved, at least 2"):
        _ = replace(quiet).test
    assert bench.plan.engine.solved == 7


def test_labels_of_other_settings_are_refused(bench: Workbench) -> None:
    bench.labels("dataset", bench.plan.engine, bench.plan.train[:2])
    hotter = ToyLabels(magnesium(), heat=2.0)
    for solve in (True, False):
        with pytest.raises(SettingsMismatchError, match="heat"):
            replace(bench, solve=solve).labels("dataset", hotter, bench.plan.train)
    assert hotter.solved == 0


def test_results_are_kept_for_what_they_depend_on(bench: Workbench) -> None:
    made: list[int] = []

    def make() -> dict[str, list[int]]:
        made.append(len(made))
        return {"rows": made.copy()}

    assert bench.keep("name", [1, "a"], make) == {"rows": [0]}
    assert replace(bench).keep("name", [1, "a"], make) == {"rows": [0]}  # from the file
    assert bench.keep("name", [2, "a"], make) == {"rows": [0, 1]}
    assert bench.keep("other", [1, "a"], make) == {"rows": [0, 1, 2]}
    for path in (bench.directory / "results").iterdir():
        path.write_bytes(path.read_bytes()[:-3])
    assert bench.keep("name", [1, "a"], make) == {"rows": [0, 1, 2, 3]}  # damaged: made again
    assert bench.keep("name", [1, "a"], make) == {"rows": [0, 1, 2, 3]}


def test_models_are_trained_once(toy_bench: Workbench, tmp_path: Path, trainings: list[int]) -> None:
    training = toy_bench.training
    bench = Workbench(toy_bench.plan, tmp_path)
    model = bench.surrogate(BEST, training, "it")
    assert model.outside == "flag" and model.labelled_by == training.store.identity
    again = replace(bench).surrogate(BEST, training, "it")
    assert trainings == [12] and again.outside == "flag"
    strain = bench.plan.test[0]
    assert again.solve(strain).free_energy == model.solve(strain).free_energy
    bench.surrogate(BEST, training[:9], "it")
    bench.surrogate(BEST.model_copy(update={"degree": 2}), training, "it")
    assert trainings == [12, 9, 12]  # other states, another recipe: other models
    for path in (tmp_path / "models").iterdir():
        path.write_bytes(path.read_bytes()[:100])
    bench.surrogate(BEST, training, "it")
    assert trainings == [12, 9, 12, 12]  # a damaged file is none
    assert len(list((tmp_path / "models").iterdir())) == 3


def test_a_model_under_another_ones_name_is_not_believed(
    toy_bench: Workbench, tmp_path: Path, trainings: list[int]
) -> None:
    bench = Workbench(toy_bench.plan, tmp_path)
    bench.surrogate(BEST, toy_bench.training, "it")
    (path,) = (tmp_path / "models").iterdir()
    other = Surrogate.load(path)
    replace(other, metadata={**other.metadata, "training_hash": "0" * 64}).save(path)
    bench.surrogate(BEST, toy_bench.training, "it")
    assert trainings == [12, 12]


def test_judgements_are_kept_and_done_again_when_labels_become_more(
    toy_bench: Workbench, tmp_path: Path, trainings: list[int]
) -> None:
    training, test = toy_bench.training, toy_bench.test
    bench = Workbench(toy_bench.plan, tmp_path)
    errors, seconds = bench.judged("it", BEST, training[:9], test)
    assert seconds > 0 and set(errors.errors) == set(toy_bench.held_out_states(test).truth.spread)
    kept, same = replace(bench).judged("it", BEST, training[:9], test)
    assert trainings == [9] and same == seconds
    for quantity, values in errors.errors.items():
        np.testing.assert_array_equal(kept.errors[quantity], values)
    more, _ = bench.judged("it", BEST, training, test)
    assert trainings == [9, 12]
    assert (more.errors["free_energy"] != errors.errors["free_energy"]).all()
    fewer, _ = bench.judged("it", BEST, training, test[:2])
    assert trainings == [9, 12] and len(fewer.errors["free_energy"]) == 2  # the same model on fewer test strains


def test_samples(toy_bench: Workbench) -> None:
    training = toy_bench.training
    assert len(training) == 12 and training.deformations == toy_bench.plan.train
    assert training[2:4].deformations == toy_bench.plan.train[2:4]
    assert training.without([0, 11]).deformations == toy_bench.plan.train[1:11]
    assert training.key == Samples(training.store, training.deformations).key
    assert training.key != Samples(training.store, training.deformations[::-1]).key
    assert [s.deformation for s in training[:3].states] == list(training.deformations[:3])


def test_training_states_come_with_their_images(toy_bench: Workbench) -> None:
    states, images = toy_bench.training_states_with_images(toy_bench.training[:3])
    assert images == 4 and len(states) == 12  # mmm
    alone = replace(
        toy_bench,
        plan=replace(toy_bench.plan, paper=toy_bench.plan.paper.model_copy(update={"symmetry": False})),
    )
    assert alone.training_states_with_images(toy_bench.training[:3])[1] == 1


def test_progress_of_a_training_is_one_task(toy_bench: Workbench, tmp_path: Path) -> None:
    told: list[tuple[str, int, int]] = []
    report_progress: Callable[[str, int, int], None] = lambda *event: told.append(event)  # noqa: E731
    Workbench(toy_bench.plan, tmp_path, report_progress=report_progress).surrogate(BEST, toy_bench.training, "it")
    assert {what for what, _, _ in told} == {"training it on 12 states"}
    done = [step for _, step, _ in told]
    assert done == sorted(done) and told[-1][1] == told[-1][2]
