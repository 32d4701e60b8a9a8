"""Settings: the order of strength, the origin of every value, plain messages, and recipes as tables."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from knowhow.errors import ConfigProblem, NotFound
from knowhow.settings import FITTED, Loaded, about, find_workspace, load, read_recipes, stray_variables
from knowhow.types import Context, FewShot, Recipe, SearchMode


def loaded(tmp_path: Path, toml: str = "", **environ: str) -> Loaded:
    (tmp_path / "knowhow.toml").write_text(toml, "utf-8")
    return load(tmp_path, environ=environ)


def origin(result: Loaded, key: str) -> str:
    return next(o.where for o in result.origins if o.key == key)


def test_flags_beat_variables_beat_dotenv_beat_file_beat_defaults(tmp_path: Path) -> None:
    (tmp_path / "knowhow.toml").write_text("workers = 1\nthreads = 1\nretries = 1\ntimeout = 1\n")
    (tmp_path / ".env").write_text("KNOWHOW_WORKERS=2\nKNOWHOW_THREADS=2\nKNOWHOW_RETRIES=2\n")
    result = load(tmp_path, {"workers": 4}, {"KNOWHOW_WORKERS": "3", "KNOWHOW_THREADS": "3"})
    values = result.settings
    assert (values.workers, values.threads, values.retries, values.timeout) == (4, 3, 2, 1.0)
    assert values.embedder == "static"
    origins = [origin(result, key) for key in ("workers", "threads", "retries", "timeout", "embedder")]
    assert origins == ["flag", "KNOWHOW_THREADS", "KNOWHOW_RETRIES in .env", "knowhow.toml", "default"]


def test_a_password_in_the_store_is_refused_without_showing_it(tmp_path: Path) -> None:
    for url in ("postgresql://kim:hunter2@h/db", "postgresql://kim:${DB}hunter2@h/db"):
        with pytest.raises(ConfigProblem, match="environment variable") as caught:
            loaded(tmp_path, f'store = "{url}"')
        assert "hunter2" not in str(caught.value)
    for url in ("", "postgresql://kim:${DB}@h:5432/db", "postgresql://kim@h/db", "postgresql:///db"):
        assert loaded(tmp_path, KNOWHOW_STORE=url).settings.store == url


def test_every_setting_has_an_origin_and_a_meaning(tmp_path: Path) -> None:
    assert [o.key for o in loaded(tmp_path).origins] == list(about())
    assert all(about().values())


@pytest.mark.parametrize(
    ("text", "value"), [("1", True), ("true", True), ("Yes", True), ("0", False), ("off", False), ("no", False)]
)
def test_booleans_are_read_from_the_usual_words(tmp_path: Path, text: str, value: bool) -> None:
    assert loaded(tmp_path, KNOWHOW_OFFLINE=text).settings.offline is value


@pytest.mark.parametrize(
    ("toml", "environ", "words"),
    [
        ("workers = -1", {}, ["workers = -1", "knowhow.toml", "at least 0"]),
        ('workers = "many"', {}, ["workers = 'many'", "a whole number"]),
        ("workers = 1.5", {}, ["workers = 1.5", "a whole number"]),
        ("workers = true", {}, ["workers = True", "a whole number"]),
        ("timeout = nan", {}, ["timeout = nan", "at least 0.1"]),
        ("timeout = inf", {}, ["timeout = inf"]),
        ("embedder = 3", {}, ["embedder = 3", "a text"]),
        ("access = 'hr'", {"KNOWHOW_OFFLINE": "maybe"}, ["offline = 'maybe'", "KNOWHOW_OFFLINE", "true or false"]),
        ("access = [1]", {}, ["access = [1]", "a list of texts"]),
        ("emmbedder = 'x'", {}, ['"emmbedder"', 'did you mean "embedder"']),
        ("keys = 3", {}, ["keys = 3", "a table"]),
        ("[prices.m]\nprompt = 1", {}, ["prices.m", "completion"]),
        ("workers = \nretries = 1", {}, ["not valid TOML", "line 1"]),
        ("split_target = 900\nsplit_limit = 400", {}, ["split_target = 900", "split_limit = 400"]),
        ("recipe = 'rga'", {}, ['"rga"', 'did you mean "rag"', "knowhow.toml"]),
        ("[recipes.a]\nkk = 3", {}, ["recipes.a.kk", "is not a recipe field"]),
        ("[recipes.a]\nk = -3", {}, ["recipes.a.k = -3", "at least 0"]),
        ("[recipes.a]\nk = 'x'", {}, ["recipes.a.k = 'x'", "whole number"]),
        ("[recipes.a]\ncite = 1", {}, ["recipes.a.cite", "true or false"]),
        ("[recipes.a]\nmode = 'hybird'", {}, ["recipes.a.mode", 'did you mean "hybrid"']),
        ("[recipes.a]\nextends = 'ragg'", {}, ["extends", "ragg", 'did you mean "rag"']),
        ("[recipes.a]\nextends = 'b'\n[recipes.b]\nextends = 'a'", {}, ["circle", "a > b > a"]),
        ("[recipes.a.sampling]\ntemprature = 1", {}, ["temprature", 'did you mean "temperature"']),
        ("[recipes.a]\nexamples = [{input = 'x'}]", {}, ["recipes.a.examples", "number 1"]),
        ("recipes = 3", {}, ["recipes in knowhow.toml"]),
        ("[recipes]\na = 3", {}, ["recipes.a = 3", "table"]),
    ],
)
def test_a_wrong_value_names_key_value_origin_and_fix(
    tmp_path: Path, toml: str, environ: dict[str, str], words: list[str]
) -> None:
    with pytest.raises(ConfigProblem) as problem:
        loaded(tmp_path, toml, **environ)
    for word in words:
        assert word in str(problem.value)


def test_a_recipe_table_changes_only_what_it_names(tmp_path: Path) -> None:
    toml = """
        recipe = "careful"
        [recipes.careful]
        extends = "rag"
        model = "extractive"
        k = 9
        vector_weight = 1
        mode = "keyword"
        sampling = { temperature = 1, stop = ["\\n"] }
        examples = [{ input = "in", output = "out" }]
        [recipes.bold]
        extends = "careful"
        sampling = { max_tokens = 5 }
    """
    result = loaded(tmp_path, toml)
    careful, bold = result.recipe("careful"), result.recipe("bold")
    assert (careful.model, careful.k, careful.mode) == ("extractive", 9, SearchMode.KEYWORD)
    assert (careful.vector_weight, careful.examples) == (1.0, (FewShot("in", "out"),))
    assert isinstance(careful.vector_weight, float)
    assert careful.budget == Recipe().budget
    assert (bold.sampling.temperature, bold.sampling.max_tokens, bold.sampling.stop) == (1.0, 5, ("\n",))
    assert result.recipe("gold").context is Context.GOLD


def test_a_recipe_suits_its_model_where_nobody_chose_otherwise(tmp_path: Path) -> None:
    suits = FITTED["local:starter"].fields(Recipe())
    toml = """
        [recipes.wide]
        k = 6
        [recipes.wider]
        extends = "wide"
        budget = 1200
        [recipes.other]
        model = "extractive"
    """
    result = loaded(tmp_path, toml)
    plain = Recipe()
    rag, wide, wider = (result.recipe(name) for name in ("rag", "wide", "wider"))
    assert {name: getattr(rag, name) for name in suits} == suits
    assert rag == result.recipes["rag"]
    assert (wide.k, wide.budget) == (6, suits["budget"]), "what equals the default is chosen too"
    assert (wider.k, wider.budget, wider.wording) == (6, 1200, suits["wording"])
    assert result.recipe("other") == replace(plain, name="other", model="extractive")
    assert result.recipe("rag", {"model": "extractive"}) == replace(plain, model="extractive")
    assert result.recipe("other", {"model": "local:starter"}).k == suits["k"]
    assert result.recipe("rag", {"k": 6}).k == 6
    assert result.recipe("gold").budget == plain.budget, "only what is searched for has to be cut down"
    assert result.recipe("gold").wording == suits["wording"]
    assert result.recipe("closed-book").wording == plain.wording, "it has no documents to be worded about"
    assert rag.hash != plain.hash, "a recipe's hash says what it is asked with"


def test_a_table_named_like_a_built_in_recipe_changes_it(tmp_path: Path) -> None:
    assert loaded(tmp_path, "[recipes.rag]\nmodel = 'extractive'").recipe("rag").model == "extractive"


def test_an_unknown_recipe_is_answered_with_the_nearest(tmp_path: Path) -> None:
    with pytest.raises(NotFound, match='no recipe "long-contxt"; did you mean "long-context"'):
        loaded(tmp_path).recipe("long-contxt")


def test_a_name_and_the_table_agree() -> None:
    assert all(one.recipe.name == name for name, one in read_recipes({"x": {}, "y": {"extends": "x"}}, "t").items())


@given(
    st.dictionaries(
        st.text(max_size=8).filter(lambda key: key not in {"k", "mode", "depth"}),
        st.integers() | st.text(max_size=4) | st.booleans(),
        max_size=4,
    )
)
def test_a_recipe_table_of_unknown_keys_is_refused_in_words(table: dict[str, object]) -> None:
    if table:  # no such key is a recipe field
        with pytest.raises(ConfigProblem, match=r"recipes\.mine"):
            read_recipes({"mine": table}, "knowhow.toml")
    else:
        assert read_recipes({"mine": table}, "knowhow.toml")["mine"].recipe == Recipe(name="mine")


def test_keys_are_references_to_variables(tmp_path: Path) -> None:
    (tmp_path / ".env").write_text("MY_KEY=s3cret\n")
    result = loaded(tmp_path, '[keys]\n"llm.example.com" = "MY_KEY"', OPENAI_API_KEY="other")
    assert result.settings.keys == {"api.openai.com": "OPENAI_API_KEY", "llm.example.com": "MY_KEY"}
    assert (result.variables["MY_KEY"], result.variables["OPENAI_API_KEY"]) == ("s3cret", "other")
    assert "s3cret" not in repr(result.settings)
    assert "s3cret" not in repr(result.origins)


def test_lists_from_variables_are_split_at_commas(tmp_path: Path) -> None:
    assert loaded(tmp_path, KNOWHOW_ACCESS="hr, legal").settings.access == ("hr", "legal")


def test_a_variable_that_sets_nothing_is_named() -> None:
    stray = stray_variables({"KNOWHOW_OFFLNE": "1", "KNOWHOW_WORKERS": "2", "PATH": "x", "KNOWHOW_DEBUG": "1"})
    assert stray == ['KNOWHOW_OFFLNE; did you mean "OFFLINE"?']


def test_the_workspace_is_the_nearest_one_upwards(tmp_path: Path) -> None:
    (tmp_path / "knowhow.toml").touch()
    deep = tmp_path / "a" / "b"
    deep.mkdir(parents=True)
    assert find_workspace(deep) == tmp_path
    (tmp_path / "a" / "knowhow.toml").touch()
    assert find_workspace(deep) == tmp_path / "a"


def test_no_workspace_says_what_to_run(tmp_path: Path) -> None:
    with pytest.raises(ConfigProblem, match="knowhow init"):
        find_workspace(tmp_path)
