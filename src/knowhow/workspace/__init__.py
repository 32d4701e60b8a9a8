"""What a user holds: a workspace with its verbs, its health checks, and the JSON shapes other programs rely on."""

from knowhow.answer.shape import answer_json
from knowhow.workspace.doctor import examine
from knowhow.workspace.home import load_settings
from knowhow.workspace.shapes import config_json, document_json, ingest_json, search_json
from knowhow.workspace.workspace import Workspace

__all__ = [
    "Workspace",
    "answer_json",
    "config_json",
    "document_json",
    "examine",
    "ingest_json",
    "load_settings",
    "search_json",
]
