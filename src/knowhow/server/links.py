"""Where things are found on this server: the addresses that answers and redirects name."""

from __future__ import annotations

from urllib.parse import quote, urlencode

LOGIN = "/login"


def source_link(uri: str, version: int, start: int, end: int) -> str:
    """The page that shows a document's version with characters `start:end` marked."""
    return f"/documents/{quote(uri, safe='/')}?" + urlencode({"version": version, "start": start, "end": end})


def login_link(path: str, query: str = "") -> str:
    """The page where a person gives a key, and comes back from."""
    return f"{LOGIN}?" + urlencode({"next": f"{path}?{query}" if query else path})


def local_path(target: str) -> str:
    """`target` where it is a path on this server, else the start page: nobody is led elsewhere."""
    safe = target.startswith("/") and not target.startswith(("//", "/\\")) and target.isprintable()
    return target if safe else "/"
