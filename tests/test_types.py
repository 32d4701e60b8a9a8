"""Nouns keep their promises: stable fingerprints, recipe hashes, places."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from knowhow.errors import KnowhowError, NotFound, ReadProblem, UnreadableFile
from knowhow.types import Document, IndexSpec, Place, Recipe, Span, SplitSpec, fingerprint

json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)


@given(st.dictionaries(st.text(max_size=5), json_values, max_size=4))
def test_fingerprint_ignores_key_order(value: dict[str, object]) -> None:
    assert fingerprint(value) == fingerprint(dict(reversed(value.items())))


def test_fingerprint_is_the_same_on_every_machine() -> None:
    assert fingerprint({"a": [1, "ä"], "b": frozenset({"x", "w"})}) == "7459bd9cc08bab72"


def test_fingerprint_refuses_what_has_no_stable_form() -> None:
    with pytest.raises(TypeError, match="object"):
        fingerprint(object())


def test_recipe_hash_follows_every_choice_but_the_name() -> None:
    recipe = Recipe()
    assert recipe.hash == replace(recipe, name="other").hash
    assert recipe.hash != replace(recipe, k=recipe.k + 1).hash
    assert recipe.hash != replace(recipe, sampling=replace(recipe.sampling, temperature=0.5)).hash


def test_equal_specs_are_the_same_index() -> None:
    assert IndexSpec(SplitSpec(), "static", 256).id == IndexSpec(SplitSpec(), "static", 256).id
    assert IndexSpec(SplitSpec(), "static", 256).id != IndexSpec(SplitSpec(target=500), "static", 256).id


def test_place_at_finds_the_span_of_an_offset() -> None:
    spans = (Span(0, 5, Place(page=1)), Span(5, 9, Place(page=2, page_label="ii")))
    document = Document(uri="a", text="x" * 9, spans=spans)
    assert [document.place_at(i).page for i in (0, 4, 5, 8)] == [1, 1, 2, 2]
    assert document.place_at(8).label() == "page ii"
    assert Document(uri="b", text="x").place_at(0) == Place()


def test_a_place_reads_as_a_person_would_say_it() -> None:
    place = Place(page=4, page_label="iv", heading=("Returns", "Laptops"), part="terms.pdf")
    assert place.label() == "terms.pdf, page iv, Returns > Laptops"


def test_errors_have_names_and_exit_codes() -> None:
    assert KnowhowError("x").exit_code == 1
    assert (NotFound("x").name, NotFound("x").exit_code) == ("not-found", 4)
    error = UnreadableFile(ReadProblem.ENCRYPTED, "save it without a password")
    assert str(error) == "encrypted-needs-password: save it without a password"
