"""One OpenAI-compatible endpoint: what it says of itself, and one streamed request with the time of every piece."""

from __future__ import annotations

import asyncio
import json
import ssl
import time
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Literal, Self

import httpx

from spillway.bench.figures import Sample
from spillway.errors import SpillwayError

Api = Literal["completions", "chat"]
PATHS: Final[dict[Api, str]] = {"completions": "/v1/completions", "chat": "/v1/chat/completions"}
FIXED_LENGTH: Final[tuple[str, ...]] = ("ignore_eos", "min_tokens")
"""What keeps a model from ending before the length that is measured; engines know both, one, or none of them."""


@dataclass(frozen=True, slots=True)
class Target:
    """Where the endpoint is. resolve: the address to connect to instead of what DNS says; TLS still asks for the
    certificate of the URL's host. ca: PEM file of who signed it, instead of the system's."""

    url: httpx.URL
    key: str | None = None
    resolve: str | None = None
    ca: Path | None = None
    timeout: float = 600.0
    """Seconds that one request may take."""


class Endpoint:
    """An open client. `look` settles `model`; `try_lengths` `api` and `lengths`, the parameters that fix lengths."""

    def __init__(self, target: Target, model: str | None = None, api: Api | None = None) -> None:
        self.target = target
        self.model = model or ""
        self.api: Api = api or "completions"
        self._api_told = api is not None
        self.lengths: tuple[str, ...] = FIXED_LENGTH
        self.max_model_len: int | None = None
        url, headers = target.url, {"Accept-Encoding": "identity"}
        if target.resolve:
            headers["Host"] = url.netloc.decode()
            self._extensions: dict[str, Any] = {"sni_hostname": url.host} if url.scheme == "https" else {}
            url = url.copy_with(host=target.resolve)
        else:
            self._extensions = {}
        if target.key:
            headers["Authorization"] = f"Bearer {target.key}"
        self._client = httpx.AsyncClient(
            base_url=url,
            headers=headers,
            verify=_trust(target.ca),
            # Keep-alive for every worker: what is measured is the engine, not handshakes.
            limits=httpx.Limits(max_connections=None, max_keepalive_connections=None, keepalive_expiry=600),
            timeout=httpx.Timeout(target.timeout, connect=10.0),
            trust_env=False,  # neither a proxy nor .netrc between the measurement and the node
            follow_redirects=False,
        )

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: type[BaseException] | BaseException | TracebackType | None) -> None:
        await self._client.aclose()

    # --- what it says of itself ---

    async def get(self, path: str) -> httpx.Response:
        """Raises SpillwayError where nobody answers."""
        try:
            return await self._client.get(path, extensions=self._extensions, timeout=10.0)
        except httpx.HTTPError as error:
            raise SpillwayError(f"{self.target.url}: {fault_of(error)}") from None

    async def look(self) -> None:
        """Settles the model by /v1/models. Raises SpillwayError when the endpoint is not there, refuses the key, or
        serves another model than the one asked for."""
        answer = await self.get("/v1/models")
        if answer.status_code in (401, 403):
            what = "the API key is refused" if self.target.key else "an API key is needed (--key-env or --key-file)"
            raise SpillwayError(f"{self.target.url}: HTTP {answer.status_code}: {what}")
        if answer.status_code != 200:
            if self.model and answer.status_code in (404, 405, 501):
                return
            raise SpillwayError(f"{self.target.url}: /v1/models answers HTTP {answer.status_code}{_said(answer)}")
        try:
            served = {str(one["id"]): one for one in answer.json()["data"]}
        except (ValueError, KeyError, TypeError):
            raise SpillwayError(
                f"{self.target.url}: /v1/models is not what an OpenAI-compatible endpoint says"
            ) from None
        if not served:
            raise SpillwayError(f"{self.target.url}: serves no model")
        if self.model and self.model not in served:
            raise SpillwayError(f"--model {self.model}: the endpoint serves {', '.join(sorted(served))}")
        if not self.model and len(served) > 1:
            raise SpillwayError(f"--model: the endpoint serves several, name one of {', '.join(sorted(served))}")
        self.model = self.model or next(iter(served))
        length = served[self.model].get("max_model_len")
        self.max_model_len = length if isinstance(length, int) else None

    async def version(self) -> str | None:
        """vLLM's /version; None where it is not shown, as through a node's nginx."""
        try:
            answer = await self.get("/version")
            found = answer.json()["version"] if answer.status_code == 200 else None
        except (SpillwayError, ValueError, KeyError, TypeError):
            return None
        return f"vLLM {found}" if isinstance(found, str) else None

    async def round_trip(self, times: int = 7) -> float:
        """Median seconds of a small question on an open connection."""
        took = []
        for _ in range(times):
            begun = time.perf_counter()
            await self.get("/v1/models")
            took.append(time.perf_counter() - begun)
        return sorted(took)[times // 2]

    # --- requests ---

    def body(self, prompt: str, tokens: int) -> dict[str, Any]:
        """A greedy request for exactly `tokens` tokens, as far as the engine can be told that."""
        content: dict[str, Any] = (
            {"prompt": prompt} if self.api == "completions" else {"messages": [{"role": "user", "content": prompt}]}
        )
        fixed: dict[str, Any] = {"ignore_eos": True, "min_tokens": tokens}
        return {
            "model": self.model,
            **content,
            "max_tokens": tokens,
            "temperature": 0,
            "stream": True,
            "stream_options": {"include_usage": True},
            **{name: fixed[name] for name in self.lengths},
        }

    async def try_lengths(self, prompt: str) -> Sample:
        """Finds the API and the parameters that the engine takes, by one request of two tokens.

        Raises SpillwayError when none is answered, or when the answer does not count its tokens.
        """
        apis: list[Api] = [self.api] if self._api_told else ["completions", "chat"]
        tried: list[str] = []
        for self.api in apis:
            for self.lengths in (FIXED_LENGTH, FIXED_LENGTH[:1], ()):
                sample = await self.generate(prompt, 2)
                if sample.ok and (sample.prompt_tokens is None or sample.output_tokens is None):
                    raise SpillwayError(
                        f"{self.target.url}: {PATHS[self.api]} counts no tokens (stream_options.include_usage), "
                        "so that lengths cannot be checked"
                    )
                if sample.ok:
                    return sample
                tried.append(sample.fault or "no token came")
                if not tried[-1].startswith(("HTTP 400", "HTTP 422")):
                    break
            if not tried[-1].startswith(("HTTP 404", "HTTP 405")):
                break
        raise SpillwayError(f"{self.target.url}: {PATHS[self.api]}: {tried[-1]}")

    async def generate(self, prompt: str, tokens: int, into: Sample | None = None) -> Sample:
        """One streamed request. What goes wrong is in the sample's `fault`, which holds no text of prompt or key; a
        cancelled request leaves in `into` what had come."""
        sample = into or Sample()
        content = json.dumps(self.body(prompt, tokens)).encode()
        sample.started = time.perf_counter()
        try:
            async with (
                asyncio.timeout(self.target.timeout),
                self._client.stream(
                    "POST", PATHS[self.api], content=content, extensions=self._extensions,
                    headers={"Content-Type": "application/json"},
                ) as answer,
            ):  # fmt: skip
                if answer.status_code != 200:
                    await answer.aread()
                    sample.retry_after = _seconds(answer.headers.get("retry-after"))
                    sample.fault = f"HTTP {answer.status_code}{_said(answer)}"
                else:
                    await self._read(answer, sample)
        except TimeoutError:
            sample.fault = f"took longer than {self.target.timeout:g} s"
        except httpx.HTTPError as error:
            sample.fault = fault_of(error)
        sample.ended = time.perf_counter()
        return sample

    async def _read(self, answer: httpx.Response, sample: Sample) -> None:
        rest, done, reason = b"", False, None
        async for data in answer.aiter_raw():
            now = time.perf_counter()
            # Lines end in \n or \r\n (https://html.spec.whatwg.org/multipage/server-sent-events.html#parsing-an-event-stream).
            *lines, rest = (rest + data).split(b"\n")
            for line in lines:
                if not line.startswith(b"data:"):
                    continue
                line = line[5:].strip()
                if line == b"[DONE]":
                    done = True
                    continue
                try:
                    event = json.loads(line)
                    reason = self._take(event, sample, now) or reason
                except (ValueError, TypeError, AttributeError, KeyError):
                    sample.fault = "a piece of the stream is not what the API says"
                    return
        if sample.fault is None and done and not sample.arrivals:
            sample.fault = "HTTP 200 without a token"
        elif sample.fault is None and not (done and reason):
            sample.fault = "the stream broke off"
        elif reason not in (None, "length", "stop"):
            sample.fault = sample.fault or f"ended with {reason}"

    def _take(self, event: dict[str, Any], sample: Sample, now: float) -> str | None:
        """Puts one event of the stream into the sample; the finish reason when it has one."""
        if event.get("error"):
            error = event["error"]
            code = error.get("code", "") if isinstance(error, dict) else ""
            sample.fault = f"error inside the stream {code}".strip()
        usage = event.get("usage")
        if usage:
            sample.prompt_tokens, sample.output_tokens = int(usage["prompt_tokens"]), int(usage["completion_tokens"])
        choices = event.get("choices") or ()
        if not choices:
            return None
        choice = choices[0]
        reason = choice.get("finish_reason")
        if self.api == "chat":
            delta = choice.get("delta") or {}
            token = any(delta.get(name) for name in ("content", "reasoning", "reasoning_content", "tool_calls"))
            # A byte of a character gives a piece without text; the first piece only says who speaks.
            token = token or ("content" in delta and "role" not in delta and reason is None)
        else:
            token = bool(choice.get("text")) or reason is None
        if token:
            sample.arrivals.append(now)
        return str(reason) if reason else None


def fault_of(error: httpx.HTTPError) -> str:
    """What went wrong with a connection, in few words that count together."""
    chain: list[BaseException] = [error]
    while (cause := chain[-1].__cause__ or chain[-1].__context__) is not None and cause not in chain:
        chain.append(cause)
    for cause in chain:
        if isinstance(cause, ssl.SSLCertVerificationError):
            return f"TLS: the certificate is refused ({cause.verify_message})"
        if isinstance(cause, ssl.SSLError):
            return f"TLS: {cause.reason or cause}"
    if isinstance(error, httpx.ConnectTimeout):
        return "no connection within 10 s"
    if isinstance(error, httpx.TimeoutException):
        return "no answer in time"
    if isinstance(error, httpx.ConnectError):
        said = next((one.strerror for one in reversed(chain) if isinstance(one, OSError) and one.strerror), str(error))
        return f"no connection: {said}"
    return "the connection broke" if isinstance(error, httpx.TransportError) else type(error).__name__


def _said(answer: httpx.Response) -> str:
    """What the endpoint says of an error, shortened. Engines name the parameter here, never the prompt."""
    try:
        body = answer.json()
        error = body.get("error", body)
        message = error.get("message") if isinstance(error, dict) else error
    except (ValueError, AttributeError):
        return ""
    return f" ({' '.join(str(message).split())[:160]})" if message else ""


def _seconds(text: str | None) -> float | None:
    try:
        return max(0.0, float(text)) if text else None
    except ValueError:
        return None


def _trust(ca: Path | None) -> ssl.SSLContext:
    try:
        return ssl.create_default_context(cafile=str(ca) if ca else None)
    except (OSError, ssl.SSLError) as error:
        raise SpillwayError(f"--ca {ca}: holds no certificates in PEM ({error})") from None
