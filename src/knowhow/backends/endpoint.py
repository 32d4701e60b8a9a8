"""A server that speaks the OpenAI protocol: where it is, its key, who may be asked, and what its errors mean."""

from __future__ import annotations

import ipaddress
import re
import urllib.request
from collections.abc import Generator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import httpx2

from knowhow.backends.options import ConnectOptions
from knowhow.errors import ConfigProblem, ProviderKind, ProviderProblem

if TYPE_CHECKING:
    from openai import APIStatusError

OPENAI_URL = "https://api.openai.com/v1"
_CONNECT_S = 10.0
_TOO_LONG = re.compile(
    r"context.{0,10}(?:length|size|window)|maximum.{0,20}(?:length|tokens)|too (?:long|many tokens)|exceed_context",
    re.I,
)
_NO_MODEL = re.compile(
    r"model.{0,80}(?:not (?:found|exist|supported)|does not exist|unknown|invalid)|invalid model", re.I | re.S
)


class Endpoint:
    """One server and the model asked of it. Thread-safe. Neither `repr` nor an error shows the key.

    `name` is the model's full name with a missing `#NAME` filled in, `client` the official `openai` client.
    """

    def __init__(self, name: str, options: ConnectOptions) -> None:
        """Raises `ConfigProblem` for a malformed name or a key that is not set, `ProviderProblem` when the server has
        to be asked for its models and does not say."""
        self.url, model = parse_name(name)
        self.host = urlsplit(self.url).hostname or ""
        self._timeout_s = options.timeout_s
        self._key_name, self._key = _key(self.url, options)
        self.client = self._connect(options)
        self.model = model or self._only_model()
        self.name = name if model else f"{self.url}#{self.model}"

    def __repr__(self) -> str:
        return f"Endpoint({self.name!r})"

    @contextmanager
    def asking(self) -> Generator[None, None, None]:
        """Turns whatever goes wrong inside into a `ProviderProblem` that says what to do."""
        import openai

        try:
            yield
        except openai.APITimeoutError:
            raise self.timed_out() from None
        except openai.APIConnectionError as problem:
            raise self.unreachable(str(problem.__cause__ or problem)) from None
        except openai.APIStatusError as problem:
            raise self._refused(problem) from None
        except (openai.OpenAIError, ValueError, TypeError, LookupError, AttributeError) as problem:
            raise self.bad_reply(f"{type(problem).__name__}: {problem}") from None

    def close(self) -> None:
        self.client.close()

    def unreachable(self, reason: str) -> ProviderProblem:
        return ProviderProblem(
            f"cannot reach {self.url} ({self._safe(reason)}); check that the server runs and the URL is right",
            ProviderKind.UNREACHABLE,
        )

    def timed_out(self) -> ProviderProblem:
        return ProviderProblem(
            f"{self.url} did not reply within {self._timeout_s:g} s; raise the setting `timeout` or use a faster model",
            ProviderKind.TIMEOUT,
        )

    def bad_reply(self, what: str) -> ProviderProblem:
        return ProviderProblem(
            f"{self.url} sent something else than an OpenAI-style reply ({self._safe(what)}); "
            "check that the URL is the API's base, which usually ends in /v1",
            ProviderKind.BAD_REPLY,
        )

    def _connect(self, options: ConnectOptions) -> Any:
        import openai

        http = httpx2.Client(transport=_Transport(self, options.offline), follow_redirects=False)
        client = openai.OpenAI(
            base_url=self.url,
            api_key=self._key or "none",
            # Set here so that no Authorization from OPENAI_CUSTOM_HEADERS goes to this host.
            default_headers={"Authorization": f"Bearer {self._key or 'none'}"},
            max_retries=options.retries,
            timeout=httpx2.Timeout(options.timeout_s, connect=min(_CONNECT_S, options.timeout_s)),
            http_client=http,
        )
        if self.url != OPENAI_URL:
            client.organization = client.project = client.admin_api_key = None  # read from the environment
        return client

    def _only_model(self) -> str:
        with self.asking():
            models = [str(model.id) for model in self.client.models.list().data]
        if len(models) == 1:
            return models[0]
        listed = ", ".join(f"{self.url}#{model}" for model in models[:12]) or "none"
        raise ProviderProblem(
            f"{self.url} serves {len(models)} models; name one of them: {listed}", ProviderKind.UNKNOWN_MODEL
        )

    def _refused(self, problem: APIStatusError) -> ProviderProblem:
        """A status of 400 and above: what the server said, what it means, what to do."""
        status = problem.status_code
        said = self._safe(str(getattr(problem.body, "get", lambda _: None)("message") or problem.message))
        about = f"{said} {problem.code or ''} {problem.type or ''}"
        if status in (401, 402, 403):
            mend = (
                f"check the key in {self._key_name}"
                if self._key
                else f"name its key's variable under keys.{self.host!r}"
            )
            return ProviderProblem(f"{self.url} refused access ({status}: {said}); {mend}", ProviderKind.AUTH)
        if status == 429:
            wait = problem.response.headers.get("retry-after")
            when = f" after {wait} s" if wait else " later"
            text = f"{self.url} limits requests ({said}); try again{when}, or work with fewer at once"
            return ProviderProblem(text, ProviderKind.RATE_LIMIT)
        if status in (400, 413, 422) and (status == 413 or _TOO_LONG.search(about)):
            text = f"the prompt is too long for {self.model} ({said}); lower the budget or the number of passages"
            return ProviderProblem(text, ProviderKind.CONTEXT_TOO_LONG)
        if status in (400, 404) and (problem.code == "model_not_found" or _NO_MODEL.search(about)):
            text = f"{self.url} does not know the model {self.model!r} ({said}); check its name"
            return ProviderProblem(text, ProviderKind.UNKNOWN_MODEL)
        if status in (404, 405, 501):
            text = f"{self.url} has no such service ({status}: {said}); name the API's base, usually ending in /v1"
            return ProviderProblem(text, ProviderKind.UNREACHABLE)
        if status >= 500:
            return ProviderProblem(f"{self.url} failed ({status}: {said}); try again later", ProviderKind.UNREACHABLE)
        text = f"{self.model} refused the request ({status}: {said}); change what the recipe asks of it"
        return ProviderProblem(text, ProviderKind.BAD_REPLY)

    def _safe(self, text: str) -> str:
        """One line of at most 200 characters, without the key."""
        line = " ".join(text.split())
        if self._key:
            line = line.replace(self._key, "…")
        return line if len(line) <= 200 else line[:199] + "…"


class _Transport(httpx2.BaseTransport):
    """Looks at every request before it connects; tells a dead server and a slow one from a dropped connection.

    The `openai` client retries httpx2's errors and lets a `ProviderProblem` through, so that what a retry cannot mend
    fails at once.
    """

    def __init__(self, endpoint: Endpoint, offline: bool) -> None:
        self._endpoint = endpoint
        self._offline = offline
        self._inner = httpx2.HTTPTransport(proxy=_proxy(endpoint.url))

    def handle_request(self, request: httpx2.Request) -> httpx2.Response:
        if self._offline and not is_loopback(request.url.host):
            raise ProviderProblem(
                f"offline: {request.url.host} is not this machine; unset KNOWHOW_OFFLINE or name a local model",
                ProviderKind.REFUSED_OFFLINE,
            )
        try:
            response = self._inner.handle_request(request)
        except (httpx2.ConnectError, httpx2.ConnectTimeout, httpx2.ProxyError) as problem:
            raise self._endpoint.unreachable(str(problem) or "no connection in time") from None
        except httpx2.TimeoutException:
            raise self._endpoint.timed_out() from None
        if response.is_redirect:
            response.close()
            target = response.headers["location"]
            raise self._endpoint.unreachable(f"it redirects to {target}; name that URL if you trust it")
        return response

    def close(self) -> None:
        self._inner.close()


def parse_name(name: str) -> tuple[str, str]:
    """("https://api.openai.com/v1", NAME) for `openai:NAME`, (URL, NAME or "") for `URL#NAME`.

    Raises `ConfigProblem` for a URL without a host or with a password in it.
    """
    if name.startswith("openai:"):
        return OPENAI_URL, name.removeprefix("openai:").strip()
    url, _, model = name.partition("#")
    try:
        parts = urlsplit(url)
        host, _ = parts.hostname, parts.port
    except ValueError as problem:
        raise ConfigProblem(f"{url!r} is not a URL ({problem}); name it like http://127.0.0.1:8080/v1#NAME") from None
    if parts.username or parts.password:
        raise ConfigProblem(
            f"the URL for {host} holds a user or password, which would be stored; put the key into an environment "
            f'variable and name that under `keys`: "{host}" = "VARIABLE"'
        )
    if not host:
        raise ConfigProblem(f"{url!r} names no host; name it like http://127.0.0.1:8080/v1#NAME")
    return url.rstrip("/"), model.strip()


def is_loopback(host: str) -> bool:
    """Whether `host` is this machine by its name or address alone; nothing is looked up."""
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return host.lower().rstrip(".") == "localhost"


def _key(url: str, options: ConnectOptions) -> tuple[str, str]:
    """Name and value of the key for `url`; both empty where none is configured."""
    parts = urlsplit(url)
    name = options.keys.get(parts.netloc) or options.keys.get(parts.hostname or "") or ""
    if not name:
        return "", ""
    key = options.variables.get(name, "").strip()
    if not key:
        raise ConfigProblem(f"{parts.netloc} needs a key and {name} is not set; run: export {name}=…")
    if not (key.isascii() and key.isprintable()):
        raise ConfigProblem(f"{name} holds characters no key has; set it again")
    return name, key


def _proxy(url: str) -> str | None:
    """The environment's proxy for `url`, never for this machine."""
    parts = urlsplit(url)
    host = parts.hostname or ""
    if is_loopback(host) or urllib.request.proxy_bypass(host):
        return None
    proxies = urllib.request.getproxies()
    return proxies.get(parts.scheme) or proxies.get("all")
