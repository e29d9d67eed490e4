"""The plugin's last line of defence: whatever happens, the engine gets one line."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import grpc
import pytest

from sandbox.kinds import Fault
from sandbox.server import OneLine, _failures
from spillway.errors import SpillwayError


class Context:
    """As far as the interceptor looks at a call."""

    def __init__(self) -> None:
        self.told: tuple[grpc.StatusCode, str] | None = None

    def code(self) -> grpc.StatusCode | None:
        return self.told[0] if self.told else None

    def abort(self, code: grpc.StatusCode, message: str) -> None:
        self.told = (code, message)
        raise Exception  # as grpc does


def outcome(error: BaseException | None, own: str = "") -> tuple[grpc.StatusCode, str] | None:
    def handle(request: Any, context: Any) -> Any:
        if own:
            context.abort(grpc.StatusCode.UNKNOWN, own)
        if error is not None:
            raise error
        return "answer"

    handler = SimpleNamespace(unary_unary=handle, request_deserializer=None, response_serializer=None)
    guarded = OneLine().intercept_service(lambda _: handler, None)
    context = Context()
    if error is None and not own:
        assert guarded.unary_unary(None, context) == "answer"
    else:
        with pytest.raises(Exception):  # noqa: B017  # grpc's own way out of a call
            guarded.unary_unary(None, context)
    return context.told


def test_an_answer_passes() -> None:
    assert outcome(None) is None


def test_a_broken_weather_file_is_told_as_it_is() -> None:
    told = outcome(SpillwayError("weather.yaml: a = 1: unknown key", "weather.yaml: b = 2: unknown key"))
    assert told == (
        grpc.StatusCode.FAILED_PRECONDITION,
        "weather.yaml: a = 1: unknown key; weather.yaml: b = 2: unknown key",
    )


def test_a_fault_of_the_sandbox_is_one_line_that_says_where() -> None:
    told = outcome(ValueError("first\nsecond"))
    assert told is not None
    assert told[0] is grpc.StatusCode.INTERNAL
    assert told[1].startswith("a fault of the sandbox itself: ValueError: first second (test_server.py, line ")


def test_the_handlers_own_refusal_stays() -> None:
    assert outcome(None, own="DependencyViolation: in use") == (grpc.StatusCode.UNKNOWN, "DependencyViolation: in use")


def test_values_with_line_breaks_do_not_break_the_line() -> None:
    (failure,) = _failures([Fault("protocol", "expected tcp, got a\nb")])
    assert failure.reason == "protocol: expected tcp, got a b"
