"""The `knowhow` command: the list of commands, and every error as one line with its exit code."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence

import typer
from typer.exceptions import Abort, TyperException

from knowhow.cli import (
    adapters,
    answering,
    bench,
    corpus,
    diagnose,
    evaluating,
    history,
    judge,
    lessons,
    recipes,
    runs,
    serve,
    setup,
    store,
    suites,
    tune,
)
from knowhow.cli.output import note, styled, write_json
from knowhow.errors import KnowhowError

INTERRUPTED = 130


def _group(name: str | None, text: str | None) -> typer.Typer:
    return typer.Typer(
        name=name,
        help=text,
        add_completion=False,
        pretty_exceptions_enable=False,
        rich_markup_mode=None,
    )


app = _group("knowhow", "Answers from your documents that show where it says so.")
app.command("init")(setup.init)
app.command("ingest")(corpus.ingest)
app.command("search")(answering.search)
app.command("ask")(answering.ask)
documents = _group("documents", corpus.documents.__doc__)
documents.callback(invoke_without_command=True)(corpus.documents)
documents.command("log")(history.documents_log)
documents.command("diff")(history.documents_diff)
documents.command("audit")(history.documents_audit)
documents.command("prune")(history.documents_prune)
documents.command("purge")(history.documents_purge)
app.add_typer(documents)
traces = _group("traces", "How earlier answers came about.")
traces.command("list")(answering.traces_list)
traces.command("show")(answering.traces_show)
traces.command("replay")(history.traces_replay)
traces.command("failures")(suites.traces_failures)
app.add_typer(traces)
app.command("feedback")(answering.feedback)
app.command("evaluate")(evaluating.evaluate)
app.command("compare")(evaluating.compare)
app.command("diagnose")(diagnose.diagnose)
benches = _group("bench", "Measurements of Knowhow itself, on your own data.")
benches.command("planted")(bench.bench_planted)
app.add_typer(benches)
suite = _group("suite", "Suites: files of examples, and what a right answer must hold.")
suite.command("check")(suites.suite_check)
suite.command("import")(suites.suite_import)
suite.command("split")(suites.suite_split)
suite.command("draft")(suites.suite_draft)
suite.command("keep")(suites.suite_keep)
suite.command("from-traces")(suites.suite_from_traces)
app.add_typer(suite)
known = _group("recipes", "Recipes of this workspace.")
known.command("adopt")(recipes.recipes_adopt)
app.add_typer(known)
past = _group("runs", runs.runs.__doc__)
past.callback(invoke_without_command=True)(runs.runs)
past.command("list")(runs.runs_list)
past.command("show")(runs.runs_show)
past.command("export")(runs.runs_export)
app.add_typer(past)
judges = _group("judge", "Models that judge what rules cannot decide.")
judges.command("calibrate")(judge.judge_calibrate)
app.add_typer(judges)
app.command("serve")(serve.serve)
app.command("mcp")(serve.mcp)
keys = _group("keys", "API keys of the server.")
keys.command("add")(serve.keys_add)
keys.command("list")(serve.keys_list)
keys.command("revoke")(serve.keys_revoke)
app.add_typer(keys)
learnt = _group("lessons", "Lessons: what a model may learn from.")
learnt.command("lint")(lessons.lessons_lint)
app.add_typer(learnt)
app.command("tune")(tune.tune)
trained = _group("adapters", adapters.adapters.__doc__)
trained.callback(invoke_without_command=True)(adapters.adapters)
trained.command("list")(adapters.adapters_list)
trained.command("show")(adapters.adapters_show)
trained.command("promote")(adapters.adapters_promote)
trained.command("rollback")(adapters.adapters_rollback)
trained.command("export")(adapters.adapters_export)
trained.command("remove")(adapters.adapters_remove)
app.add_typer(trained)
app.command("reindex")(corpus.reindex)
app.command("backup")(history.backup)
app.command("restore")(history.restore)
stores = _group("store", "Where documents are kept: files, or a PostgreSQL server.")
stores.command("copy")(store.store_copy)
app.add_typer(stores)
app.command("doctor")(setup.doctor)
config = _group("config", "Settings and recipes, and where each value comes from.")
config.command("show")(setup.config_show)
app.add_typer(config)
app.command("demo")(setup.demo)
app.command("version")(setup.version)


def run() -> None:
    """Entry point of the `knowhow` script."""
    sys.exit(execute(sys.argv[1:]))


def execute(arguments: Sequence[str]) -> int:
    """Runs one command and returns its exit status; errors become one line on stderr (and JSON with `--json`)."""
    try:
        status = typer.main.get_command(app).main(list(arguments) or ["--help"], "knowhow", standalone_mode=False)
    except KnowhowError as error:
        return _fail(arguments, error.name, str(error), error.exit_code, error)
    except TyperException as error:
        return _fail(arguments, "usage-problem", _usage(error), error.exit_code, error)
    except (KeyboardInterrupt, Abort):
        status = INTERRUPTED
    except Exception as error:  # the last resort: a person gets a line, a developer the traceback
        text = f"unexpected {type(error).__name__}: {error}; KNOWHOW_DEBUG=1 shows where, `knowhow doctor` may help"
        return _fail(arguments, "unexpected", text, 1, error)
    if status == INTERRUPTED:
        note("interrupted; what was finished is kept: run the same command again to continue")
    return status if isinstance(status, int) else 0


def _usage(error: TyperException) -> str:
    context = getattr(error, "ctx", None)
    text = error.format_message().rstrip(".")
    if context is None:
        return text
    return f"{text}{'' if text.endswith('?') else ';'} see `{context.command_path} --help`"


def _fail(arguments: Sequence[str], name: str, text: str, status: int, error: Exception) -> int:
    if os.environ.get("KNOWHOW_DEBUG"):
        import traceback

        traceback.print_exception(error)
    line = " ".join(text.split())
    note(line, styled("error: ", "red", sys.stderr))
    if "--json" in arguments:
        write_json({"error": {"name": name, "message": line, "exit_code": status}})
    return status
