"""Nouns as the JSON that other programs rely on; keys are only ever added."""

from __future__ import annotations

from dataclasses import asdict
from datetime import UTC, datetime

from knowhow.settings import Loaded
from knowhow.types import DocumentInfo, Hit, IngestReport, Json, SearchResult


def ingest_json(report: IngestReport) -> Json:
    """What `knowhow ingest --json` prints."""
    return {
        "added": list(report.added),
        "updated": list(report.updated),
        "moved": [{"from": old, "to": new} for old, new in report.moved],
        "removed": list(report.removed),
        "unchanged": report.unchanged,
        "failed": [{"uri": f.uri, "reason": f.reason, "detail": f.detail} for f in report.failed],
        "warnings": [{"uri": uri, "detail": detail} for uri, detail in report.warnings],
        "passages": report.passages,
        "embedded": report.embedded,
        "seconds": round(report.seconds, 3),
    }


def search_json(result: SearchResult) -> Json:
    """What `knowhow search --json` prints."""
    return {
        "hits": [_hit(hit) for hit in result.hits],
        "ms": {stage: round(ms, 2) for stage, ms in result.ms.items()},
    }


def _hit(hit: Hit) -> Json:
    return {
        "rank": hit.rank,
        "uri": hit.uri,
        "version": hit.version,
        "title": hit.title,
        "start": hit.start,
        "end": hit.end,
        "page": hit.place.page,
        "heading": list(hit.place.heading),
        "place": hit.place.label(),
        "text": hit.text,
        "score": hit.score,
        "scores": {"keyword": hit.keyword, "vector": hit.vector, "rerank": hit.rerank},
    }


def document_json(info: DocumentInfo) -> Json:
    """One row of `knowhow documents --json`."""
    return {
        "uri": info.uri,
        "title": info.title,
        "version": info.version,
        "state": info.state.value,
        "reason": info.reason or None,
        "detail": info.detail or None,
        "source": info.source,
        "media_type": info.media_type,
        "passages": info.passages,
        "access": sorted(info.access),
        "updated": timestamp(info.updated),
        "effective_at": None if info.effective_at is None else timestamp(info.effective_at),
        "metadata": dict(info.metadata),
    }


def config_json(loaded: Loaded, origin: bool) -> Json:
    """What `knowhow config show --json` prints; with `origin`, each setting is a value and where it comes from."""
    values = {o.key: list(o.value) if isinstance(o.value, tuple) else o.value for o in loaded.origins}
    values["prices"] = {model: asdict(price) for model, price in loaded.settings.prices.items()}
    settings = {o.key: {"value": values[o.key], "origin": o.where} if origin else values[o.key] for o in loaded.origins}
    recipes = {
        name: {**asdict(recipe), "hash": recipe.hash, "fitted": sorted(loaded.written[name].suited())}
        for name, recipe in loaded.recipes.items()
    }
    return {"settings": settings, "recipes": recipes}


def timestamp(at: float) -> str:
    """UTC seconds as ISO 8601."""
    return datetime.fromtimestamp(at, UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
