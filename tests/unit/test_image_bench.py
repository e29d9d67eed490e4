"""`spillway image bench`, on engines that behave like vLLM's on loopback."""

from __future__ import annotations

import asyncio
import json
import os
import random
import signal
import ssl
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import typer
from aiohttp import web
from typer.testing import CliRunner, Result

from cost import records
from cost.records import ThroughputRecord
from spillway import image_bench
from spillway.bench import prompts
from spillway.errors import SpillwayError
from tests.support.node.vllm_stand_in import StandIn

app = typer.Typer()
app.command()(image_bench.bench)
HARDWARE = ("--hardware", "2x NVIDIA H100 (stand-in)")


@contextmanager
def engine(**behaviour: Any) -> Iterator[StandIn]:
    """A stand-in that runs in a thread of its own, as the process beside the bench that it is."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever)
    thread.start()

    async def begin() -> StandIn:
        return await StandIn(**behaviour).start()

    try:
        found = asyncio.run_coroutine_threadsafe(begin(), loop).result(10)
        yield found
        asyncio.run_coroutine_threadsafe(found.stop(), loop).result(10)
    finally:
        loop.call_soon_threadsafe(loop.stop)
        thread.join(10)
        loop.close()


def run(*arguments: str, code: int = 0) -> Result:
    result = CliRunner().invoke(app, [*arguments])
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    assert result.exit_code == code, result.output
    return result


def bench(server: StandIn, *arguments: str, code: int = 0) -> dict[str, Any]:
    told: dict[str, Any] = json.loads(run(server.url, *HARDWARE, "--json", *arguments, code=code).stdout)
    return told


def refusal(*arguments: str) -> str:
    with pytest.raises(SpillwayError) as caught:
        run(*arguments)
    return "\n".join(caught.value.lines)


# --- figures ---


def test_figures_are_those_that_the_engine_was_made_for() -> None:
    with engine(first_token_ms=60, token_ms=10, max_num_seqs=64) as server:
        told = bench(
            server, "--length", "128:20", "--concurrency", "1,4", "--rounds", "2", "--repeat", "2",
            "--ttft-limit", "1000", "--tpot-limit", "100",
        )  # fmt: skip
        deadline = time.monotonic() + 5
        while server.running and time.monotonic() < deadline:
            time.sleep(0.02)
        assert server.running == 0, "what kept the engine busy until the end is cancelled"
    one, four = told["series"][0]["rows"]
    assert (one["isl"], one["osl"], one["concurrency"], one["requests"]) == (128, 20, 1, 16)
    assert four["requests"] == 16
    for row in (one, four):
        assert row["isl_mean"] == 128
        # Not below what the engine takes; above it by what a busy machine adds.
        assert 60 <= row["ttft_p50_ms"] < 120
        assert 10 <= row["tpot_p50_ms"] < 16
        assert row["e2e_p50_ms"] == pytest.approx(60 + 19 * row["tpot_p50_ms"], rel=0.1)
        # Little's law: what is in flight, divided by how long it takes; and two GPUs share it.
        assert row["output_tok_s"] == pytest.approx(row["concurrency"] * 20 / (row["e2e_mean_ms"] / 1000) / 2, rel=0.15)
        assert row["goodput_share"] == 1
        assert row["goodput_tok_s"] == row["output_tok_s"]
        assert len(row["runs_tok_s"]) == 2
    assert told["gpus"] == 2
    assert told["engine"] == "vLLM 0.32.0+stand-in"
    assert told["round_trip_ms"] < 50


def test_limits_that_the_engine_does_not_keep_leave_no_goodput() -> None:
    with engine(first_token_ms=80, token_ms=2) as server:
        told = bench(server, "--length", "32:8", "--concurrency", "2", "--repeat", "1", "--ttft-limit", "40")
    (row,) = told["series"][0]["rows"]
    assert row["goodput_share"] == 0
    assert row["goodput_tok_s"] == 0
    assert row["output_tok_s"] > 0


def test_a_slow_first_request_is_warm_up_and_in_no_figure() -> None:
    with engine(first_use=0.8, first_token_ms=10, token_ms=2) as server:
        told = bench(server, "--length", "32:8", "--concurrency", "2", "--repeat", "1")
    assert told["series"][0]["rows"][0]["ttft_p95_ms"] < 200


def test_requests_beyond_what_runs_at_once_wait_for_their_first_token() -> None:
    with engine(first_token_ms=40, token_ms=4, max_num_seqs=2) as server:
        told = bench(server, "--length", "32:10", "--concurrency", "2,6", "--repeat", "1", "--rounds", "2")
    few, many = told["series"][0]["rows"]
    assert many["output_tok_s"] < few["output_tok_s"] * 1.6, "two at a time, whoever asks; only the gaps are closed"
    assert many["ttft_p50_ms"] > few["ttft_p50_ms"] + 100
    assert many["tpot_p50_ms"] == pytest.approx(few["tpot_p50_ms"], rel=0.3)


def test_chat_is_measured_like_completions() -> None:
    with engine(first_token_ms=30, token_ms=5) as server:
        told = bench(server, "--api", "chat", "--length", "64:10", "--concurrency", "2", "--repeat", "1")
        assert ("/v1/completions", "2xx") not in server.http
    assert told["series"][0]["rows"][0]["tpot_p50_ms"] == pytest.approx(8, abs=3.1)
    assert "chat completions" in told["load"]


def test_a_connection_is_opened_per_worker_and_not_per_request() -> None:
    opened: set[Any] = set()

    class Counting(StandIn):
        async def _completions(self, request: web.Request) -> web.StreamResponse:
            opened.add(request.transport)
            return await super()._completions(request)

    async def measure() -> None:
        async with Counting(first_token_ms=2, token_ms=1) as server:
            target = image_bench._target(server.url, None, None, None, 30.0)
            plan = image_bench.Plan("1x x", 1, ((32, 4),), (3,), 8, 1, 1, records.GoodputLimits(), "p", "w")
            found = await image_bench.measure(target, None, None, plan, image_bench.Lines(), lambda _: None)
            assert found.rows[0].requests == 24

    asyncio.run(measure())
    assert len(opened) <= 4


# --- lengths ---


def test_a_model_that_would_end_early_is_kept_at_the_length() -> None:
    with engine(eos_after=3, token_ms=1) as server:
        told = bench(server, "--length", "32:12", "--concurrency", "1", "--repeat", "1")
    assert told["series"][0]["rows"][0]["output_tok_s"] > 0
    assert "ignore_eos and min_tokens" in told["load"]


def test_an_engine_that_knows_only_one_of_the_parameters_is_asked_with_that() -> None:
    with engine(eos_after=3, refuses="min_tokens", token_ms=1) as server:
        told = bench(server, "--length", "32:12", "--concurrency", "1", "--repeat", "1")
    assert "by ignore_eos" in told["load"]
    assert "min_tokens" not in told["load"]


def test_answers_that_are_too_short_give_no_figure() -> None:
    with engine(eos_after=3, refuses="min_tokens,ignore_eos", token_ms=1) as server:
        told = bench(server, "--length", "32:12", "--concurrency", "1", "--repeat", "1", code=1)
    assert told["series"][0]["rows"] == []
    assert told["series"][0]["refused"][0]["reason"] == "8 of 8 answers are not 12 tokens long (median of those: 3)"


def test_an_endpoint_that_counts_no_tokens_cannot_be_measured() -> None:
    with engine(count_usage=False) as server:
        assert "counts no tokens (stream_options.include_usage)" in refusal(server.url, *HARDWARE)


def test_prompts_have_their_length_where_words_are_several_tokens() -> None:
    with engine(tokens_per_word=5, token_ms=1) as server:
        told = bench(server, "--length", "203:4", "--concurrency", "1", "--repeat", "1")
    assert told["series"][0]["rows"][0]["isl_mean"] == 203


@pytest.mark.parametrize(("per_word", "per_pad", "fixed"), [(1, 1, 0), (1, 1, 35), (5, 2, 1), (4, 1, 8), (2, 0, 1)])
@pytest.mark.parametrize("isl", [64, 1000, 1024, 8191])
def test_calibration_finds_the_length(per_word: int, per_pad: int, fixed: int, isl: int) -> None:
    asked = 0

    async def count(prompt: str) -> int:
        nonlocal asked
        asked += 1
        words = prompt.split()
        pads = sum(len(word) == 1 for word in words)
        return fixed + per_word * (len(words) - pads) + per_pad * pads

    async def go() -> int:
        shape = await prompts.calibrated(isl, count, random.Random(1))
        return await count(prompts.Prompts(shape, random.Random(2)).next())

    assert abs(asyncio.run(go()) - isl) <= 1
    assert asked <= 3 + prompts.PROBES + 1


def test_no_two_prompts_are_alike() -> None:
    made = prompts.Prompts(prompts.Shape(40, 2), random.Random())
    found = {made.next() for _ in range(500)}
    assert len(found) == 500
    assert len({text[:20] for text in found}) > 490, "not in their beginning either, which is what caches share"


def test_lengths_beyond_the_model_are_refused_before_anything_is_sent() -> None:
    with engine() as server:
        said = refusal(server.url, *HARDWARE, "--length", "32000:1000")
        assert said == "--length: 33000 tokens, the endpoint's limit is 32768 together"
        assert not server.counts


# --- faults ---


def test_requests_that_fail_are_counted_and_told_and_their_point_is_no_figure(tmp_path: Path) -> None:
    out = tmp_path / "record.json"
    with engine(token_ms=1) as server:
        calls = 0
        original = server._completions

        async def sometimes(request: web.Request) -> web.StreamResponse:
            nonlocal calls
            calls += 1
            if calls > 12 and calls % 4 == 0:
                return server._error("/v1/completions", 500, "EngineCore encountered an issue.")
            return await original(request)

        _swap(server, sometimes)
        told = bench(server, "--length", "32:4", "--concurrency", "2", "--out", str(out), code=1)
    (refused,) = told["series"][0]["refused"]
    ((fault, number),) = refused["errors"].items()
    assert fault == "HTTP 500 (EngineCore encountered an issue.)"
    assert f"{number} of " in refused["reason"]
    assert records.read(out).series[0].refused


def test_an_engine_that_dies_is_given_up_and_the_points_before_stay(tmp_path: Path) -> None:
    out = tmp_path / "record.json"
    with engine(token_ms=1) as server:
        original, seen = server._completions, []

        async def until(request: web.Request) -> web.StreamResponse:
            seen.append(1)
            if len(seen) > 40:
                server.dead = True
            return await original(request)

        _swap(server, until)
        told = bench(server, "--length", "32:4", "--concurrency", "1,2", "--out", str(out), "--repeat", "2", code=1)
    series = told["series"][0]
    assert [row["concurrency"] for row in series["rows"]] == [1]
    assert "requests in a row failed: HTTP 500" in series["refused"][0]["reason"]
    assert json.loads(out.read_text()) == told


def test_an_engine_that_holds_connections_open_and_says_nothing_times_out() -> None:
    with engine(tokens="hang") as server:
        assert "took longer than 0.3 s" in refusal(server.url, *HARDWARE, "--timeout", "0.3")


def test_a_stream_that_breaks_off_is_a_failure() -> None:
    with engine(token_ms=3) as server:
        original, seen = server._completions, []

        async def broken(request: web.Request) -> web.StreamResponse:
            seen.append(1)
            if len(seen) < 12:
                return await original(request)
            answer = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
            await answer.prepare(request)
            await answer.write(b'data: {"choices": [{"text": "a", "finish_reason": null}]}\n\n')
            assert request.transport
            request.transport.abort()
            return answer

        _swap(server, broken)
        told = bench(server, "--length", "32:4", "--concurrency", "1", "--repeat", "1", code=1)
    assert "the connection broke" in told["series"][0]["refused"][0]["errors"]


def test_200_without_a_token_is_a_failure() -> None:
    with engine(tokens="none") as server:
        assert "HTTP 200 without a token" in refusal(server.url, *HARDWARE)


def test_nobody_there_is_one_line() -> None:
    assert "no connection" in refusal("http://127.0.0.1:9", *HARDWARE)


def _swap(server: StandIn, handler: Callable[[web.Request], Any]) -> None:
    """Routes hold the bound method from the start: the engine's answers go through `handler` from now on."""
    assert server._runner
    for route in server._runner.app.router.routes():
        if route.resource and route.resource.canonical == "/v1/completions":
            route._handler = handler


# --- keys, TLS ---


class Guarded(StandIn):
    """Answers nobody without the key."""

    KEY = "sk-planted-4711"

    async def _completions(self, request: web.Request) -> web.StreamResponse:
        return await super()._completions(request) if self._admitted(request) else web.Response(status=401)

    async def _models(self, request: web.Request) -> web.Response:
        return await super()._models(request) if self._admitted(request) else web.Response(status=401)

    def _admitted(self, request: web.Request) -> bool:
        return request.headers.get("Authorization") == f"Bearer {self.KEY}"


@pytest.fixture
def guarded(monkeypatch: pytest.MonkeyPatch) -> Iterator[StandIn]:
    monkeypatch.setitem(engine.__wrapped__.__globals__, "StandIn", Guarded)  # type: ignore[attr-defined]
    with engine(token_ms=1) as server:
        yield server


QUICK = ("--length", "32:4", "--concurrency", "1", "--repeat", "1")


def test_the_key_comes_from_a_variable_or_a_file_and_is_nowhere_in_what_is_told(
    guarded: StandIn, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert refusal(guarded.url, *HARDWARE).endswith("HTTP 401: an API key is needed (--key-env or --key-file)")
    monkeypatch.setenv("MY_KEY", "sk-wrong")
    assert refusal(guarded.url, *HARDWARE, "--key-env", "MY_KEY").endswith("HTTP 401: the API key is refused")
    monkeypatch.setenv("MY_KEY", Guarded.KEY)
    told = run(guarded.url, *HARDWARE, *QUICK, "--key-env", "MY_KEY", "--json")
    assert Guarded.KEY not in told.output
    (tmp_path / "key").write_text(f"{Guarded.KEY}\n")
    told = run(guarded.url, *HARDWARE, *QUICK, "--key-file", str(tmp_path / "key"))
    assert Guarded.KEY not in told.output


def test_a_node_in_no_dns_is_measured_by_address_with_its_own_name_in_tls(tmp_path: Path) -> None:
    certificate(tmp_path, "llm.example.com")
    ca = str(tmp_path / "certificate.pem")
    with engine(token_ms=1) as server, tls(server, tmp_path) as port:
        arguments = (*HARDWARE, *QUICK, "--resolve", "127.0.0.1")
        told = run(f"https://llm.example.com:{port}/v1", *arguments, "--ca", ca, "--json")
        assert json.loads(told.stdout)["series"][0]["rows"]
        assert "the certificate is refused" in refusal(f"https://llm.example.com:{port}", *arguments)
        assert "the certificate is refused" in refusal(f"https://other.example.com:{port}", *arguments, "--ca", ca)


def certificate(folder: Path, name: str) -> None:
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2",
         "-subj", f"/CN={name}", "-addext", f"subjectAltName=DNS:{name}", "-keyout", folder / "key.pem", "-out",
         folder / "certificate.pem"],
        check=True, capture_output=True, timeout=30,
    )  # fmt: skip


@contextmanager
def tls(server: StandIn, folder: Path) -> Iterator[int]:
    """The same engine behind a certificate too."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(folder / "certificate.pem", folder / "key.pem")
    loop = server.exit.get_loop()

    async def begin() -> web.TCPSite:
        assert server._runner
        site = web.TCPSite(server._runner, "127.0.0.1", 0, ssl_context=context)
        await site.start()
        return site

    asyncio.run_coroutine_threadsafe(begin(), loop).result(10)
    assert server._runner
    yield server._runner.addresses[1][1]


# --- the command ---


def test_ctrl_c_writes_what_was_measured(tmp_path: Path) -> None:
    out = tmp_path / "record.json"
    program = "from typer import run; from spillway.image_bench import bench; run(bench)"
    with engine(first_token_ms=30, token_ms=10) as server:
        arguments = [server.url, *HARDWARE, "--length", "32:10", "--concurrency", "2,4", "--rounds", "8"]
        process = subprocess.Popen(
            [sys.executable, "-c", program, *arguments, "--repeat", "4", "--out", str(out), "--json"],
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=os.environ | {"PYTHONPATH": str(Path.cwd())},
        )  # fmt: skip
        try:
            assert process.stderr
            process.stderr.readline()  # the first point is there
            process.send_signal(signal.SIGINT)
            told, said = process.communicate(timeout=30)
        finally:
            process.kill()
    assert process.returncode == 130, said
    found = records.read(out)
    assert found.series[0].rows[0].concurrency == 2
    assert found.caveats[-1].startswith("ended early")
    assert json.loads(told)["series"][0]["rows"]


def test_the_table_shows_each_point_and_what_failed() -> None:
    with engine(token_ms=1) as server:
        told = run(server.url, *HARDWARE, *QUICK, "--ttft-limit", "500", "--precision", "FP8").stdout
    assert "m, FP8, vLLM 0.32.0+stand-in, 2x NVIDIA H100 (stand-in)" in told
    assert "within limits" in told
    assert "32/4" in told
    assert "100%" in told


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("ftp://x", *HARDWARE), "has to be https://HOST or http://HOST"),
        (("https://u:p@x", *HARDWARE), "the API key comes by --key-env"),
        (("https://x/v1/models", *HARDWARE), "without a path, or with /v1"),
        (("https://x", "--hardware", "NVIDIA H100"), 'does not begin like "8x NVIDIA H100"'),
        (("https://x", *HARDWARE, "--length", "1024"), '--length "1024": has to be IN:OUT'),
        (("https://x", *HARDWARE, "--length", "1024:1"), "at least 16:2 tokens"),
        (("https://x", *HARDWARE, "--concurrency", "1,,8"), "has to be numbers from 1 to 4096"),
        (("https://x", *HARDWARE, "--concurrency", "0"), "has to be numbers from 1 to 4096"),
        (("https://x", *HARDWARE, "--ttft-limit", "-1"), "--ttft-limit -1: has to be milliseconds above 0"),
        (("https://x", *HARDWARE, "--api", "responses"), "has to be completions or chat"),
        (("https://x", *HARDWARE, "--resolve", "node"), "--resolve node: has to be an IP address"),
        (("http://x", *HARDWARE, "--ca", "x.pem"), "--ca: only with https://"),
        (("https://x", *HARDWARE, "--ca", "/no/such.pem"), "--ca /no/such.pem: holds no certificates in PEM"),
        (("https://x", *HARDWARE, "--key-file", "/no/such"), "--key-file /no/such: No such file"),
        (("https://x", *HARDWARE, "--key-env", "NO_SUCH_KEY"), "--key-env NO_SUCH_KEY: this variable is not set"),
        (("https://x", *HARDWARE, "--out", "/no/such/r.json"), "there is no folder /no/such"),
        (("https://x", *HARDWARE, "--out", "/tmp"), "--out /tmp: is a folder"),
        (("https://x:99999", *HARDWARE), "has to be https://HOST or http://HOST"),
        (("https://x:0", *HARDWARE), "has to be https://HOST or http://HOST"),
        (("https://x", "--hardware", "8x H100\x1b[31m"), "one line of text that can be printed"),
        (("https://x", *HARDWARE, "--engine", ""), "--engine: has to be one line"),
        (("https://x", *HARDWARE, "--note", "a\nb"), "--note: has to be one line"),
    ],
)
def test_bad_options_are_one_line(arguments: tuple[str, ...], said: str) -> None:
    assert said in refusal(*arguments)
    assert "\n" not in refusal(*arguments)


def test_a_key_is_not_sent_in_plain_text_to_another_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SPILLWAY_API_KEY", "sk-1")
    # Names may begin like the addresses of this machine.
    for host in ("192.0.2.1:8000", "127.example.com", "127.0.0.1.example.com", "localhost.example.com"):
        assert "not sent in plain text" in refusal(f"http://{host}", *HARDWARE)


def test_no_more_is_read_of_a_file_than_a_key_has(tmp_path: Path) -> None:
    (tmp_path / "key").write_bytes(b"k" * 10_000_000)
    found = image_bench._key("SPILLWAY_API_KEY", tmp_path / "key")
    assert found
    assert len(found) == image_bench.KEY_MOST


# --- the record ---


def test_the_record_reads_back_as_it_was_written(tmp_path: Path) -> None:
    out = tmp_path / "record.json"
    with engine(token_ms=1) as server:
        told = bench(server, *QUICK, "--out", str(out), "--note", "a stand-in", "--ready-seconds", "12.5")
    found = records.read(out)
    assert isinstance(found, ThroughputRecord)
    assert records.text(found) == out.read_text()
    assert json.loads(out.read_text()) == told
    assert found.series[0].ready_s == 12.5
    assert found.caveats[0] == "a stand-in"
