"""Recipes as tables of their own keys: what is refused, which names they go by, and hashes that stay as they were."""

from __future__ import annotations

import copy
import pickle
from typing import Any

import pytest

from cellfields import models
from cellfields.errors import InputError
from cellfields.storage.json_tables import digest
from cellfields.surrogate import PaperNetworks, Polynomials, Recipe, Surrogate, TrendNetworks, _file
from cellfields.surrogate.recipe import RECIPES

NETWORK_KEYS = ("field_widths", "small_widths", "learning_rate", "l2", "batch_size", "epochs")
POLYNOMIAL_KEYS = ("degree", "blend", "lengths", "slopes", "members")
VALUES: dict[str, Any] = Polynomials().model_dump() | PaperNetworks().model_dump()

# SHA-256 of the identities and tables, from the version in which all recipes shared one table of keys.
FORMER_HASHES = [
    ({}, "1e4109bbbeb94412", "1e4109bbbeb94412"),
    ({"name": "taylor"}, "126ac05887a421b8", "126ac05887a421b8"),
    ({"name": "best"}, "9d4ed8eb15cb17bb", "89c1d8c82fc666a6"),
    ({"name": "best", "degree": 4, "blend": 1}, "e28e84c7172467525", "1724a50ff05f1d31"),
    (
        {"name": "taylor", "modes": 6, "field_widths": [8], "small_widths": [8], "epochs": 30},
        "18b12e48407c124b",
        "18b12e48407c124b",
    ),
    ({"symmetry": True}, "b0ce0f2ef390e059", "b0ce0f2ef390e059"),
]


@pytest.mark.parametrize(
    ("name", "kind", "stored"),
    [
        ("paper", PaperNetworks, "paper"),
        ("paper_networks", PaperNetworks, "paper"),
        ("taylor", TrendNetworks, "taylor"),
        ("trend_networks", TrendNetworks, "taylor"),
        ("best", Polynomials, "best"),
        ("polynomials", Polynomials, "best"),
    ],
)
def test_a_recipe_goes_by_two_names_and_is_stored_under_the_first(name: str, kind: type[Recipe], stored: str) -> None:
    recipe = Recipe(name=name, modes=7)
    assert type(recipe) is kind and recipe.name == stored and recipe.modes == 7
    assert recipe == kind(modes=7) == kind(name=name, modes=7)
    assert recipe.identity() == kind(modes=7).identity() and recipe.identity()["name"] == stored
    assert pickle.loads(pickle.dumps(recipe)) == recipe == copy.deepcopy(recipe) == recipe.model_copy()


@pytest.mark.parametrize("name", ["paper", "taylor", "paper_networks", "trend_networks"])
@pytest.mark.parametrize("key", POLYNOMIAL_KEYS)
def test_networks_refuse_the_keys_of_polynomials(name: str, key: str) -> None:
    stored = Recipe(name=name).name
    with pytest.raises(InputError, match=rf'^{key} is no key of the recipe "{stored}", it belongs to "best"; allowed'):
        Recipe(name=name, **{key: VALUES[key]})


@pytest.mark.parametrize("key", NETWORK_KEYS)
def test_polynomials_refuse_the_keys_of_networks(key: str) -> None:
    sentence = rf'^{key} is no key of the recipe "best", it belongs to "paper" and "taylor"; allowed here: name, modes'
    for make in (lambda: Recipe(name="best", **{key: VALUES[key]}), lambda: Polynomials(**{key: VALUES[key]})):
        with pytest.raises(InputError, match=sentence):
            make()


@pytest.mark.parametrize("name", RECIPES)
def test_a_key_of_no_recipe_is_unknown(name: str) -> None:
    with pytest.raises(InputError, match=r"^unknown key mode \(did you mean modes\?\); allowed here: name, modes"):
        Recipe(name=name, mode=3)


@pytest.mark.parametrize("name", ["small", 3, None, ["best"]])
def test_another_name_is_refused_with_those_that_there_are(name: object) -> None:
    with pytest.raises(InputError, match=r"^name = .* must be one of 'paper', 'taylor', 'best' \(paper or paper_net"):
        Recipe(name=name)
    with pytest.raises(InputError, match=r"^name = .* must be 'best'|^name = .* must be one of 'best'"):
        Polynomials(name=name)


@pytest.mark.parametrize(("settings", "identity", "table"), FORMER_HASHES)
def test_hashes_are_those_of_the_shared_table(settings: dict[str, Any], identity: str, table: str) -> None:
    recipe = Recipe(**settings)
    assert digest(recipe.identity()).startswith(identity)
    assert digest(recipe.hashed_table()).startswith(table)


def test_a_model_file_with_the_keys_of_all_recipes_is_read() -> None:
    _, content = _file.read_model(models.find("mg"))
    assert {*NETWORK_KEYS, *POLYNOMIAL_KEYS} <= content["recipe"].keys()
    assert Surrogate.load("mg").recipe == Polynomials()
    for recipe in (PaperNetworks(epochs=5), TrendNetworks(modes=3), Polynomials(degree=2, lengths=(1.0,))):
        assert Recipe.from_stored(recipe.hashed_table()) == recipe  # as earlier versions wrote it
        assert Recipe.from_stored(recipe.model_dump(mode="json")) == recipe  # as this one does
    with pytest.raises(ValueError, match="momentum"):
        Recipe.from_stored({"name": "best", "momentum": 0.9})
