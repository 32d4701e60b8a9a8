"""What a user holds: a workspace with its verbs, its health checks, and the JSON shapes other programs rely on."""

from knowhow.answer.replay import replay_json
from knowhow.answer.shape import answer_json
from knowhow.workspace.backup import backed_up_json, restore, restored_json
from knowhow.workspace.doctor import examine
from knowhow.workspace.history import audit_json, diff_json, purged_json, version_json
from knowhow.workspace.home import load_settings
from knowhow.workspace.shapes import config_json, document_json, ingest_json, search_json
from knowhow.workspace.stores import copied_json, copy_stores
from knowhow.workspace.workspace import Workspace

__all__ = [
    "Workspace",
    "answer_json",
    "audit_json",
    "backed_up_json",
    "config_json",
    "copied_json",
    "copy_stores",
    "diff_json",
    "document_json",
    "examine",
    "ingest_json",
    "load_settings",
    "purged_json",
    "replay_json",
    "restore",
    "restored_json",
    "search_json",
    "version_json",
]
