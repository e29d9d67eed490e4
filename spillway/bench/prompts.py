"""Prompts of a given number of tokens, for a tokenizer that is only known by what the endpoint counts.

Every prompt is of other words, so that no prefix is in a cache, and of words equally long, so that a tokenizer of bytes
counts all prompts alike too. A first guess by two lengths gives tokens per word; what is missing then is filled up with
single letters, and counted again until it is right.
"""

from __future__ import annotations

import random
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Final

from spillway.bench.figures import INPUT_TOLERANCE
from spillway.errors import SpillwayError

_WORDS: Final = (
    "able also area away back ball bank base bear beat bill bird blue boat body book both burn call card care case "
    "city club cold come cost dark data date days deal deep door down draw drop each east easy edge else even ever "
    "face fact fall farm fast feel feet file fill film find fine fire fish five food foot form four free from full "
    "game gave girl give glad goal goes gold gone good gray grow hair half hall hand hard have head hear heat held "
    "help here high hill hold home hope hour huge idea into iron item join jump just keep kept kind king knew know "
    "lake land last late lead left less life like line list live long look lost love main make many mark mean meet "
    "mind mine miss moon more most move much must name near need next nine none nose note once only open over page "
    "park part past path pick plan play poor post pull pure push race rain read real rest rich ride ring rise road "
    "rock role room root rose rule runs safe said sale same sand save seat seed seem seen self sell send sent ship "
    "shop show shut side sign sing size skin slow snow soft soil some song soon sort stay step stop such sure take "
    "talk tall team tell term test text than that them then they thin this tied time told took tool town tree true "
    "turn type unit upon used very view vote wait walk wall want warm wash wave week well went were west what when "
    "wide wife wild will wind wing wish with wood word work yard year zero zone"
)
WORDS: Final = tuple(_WORDS.split())
"""Four letters each, and one token each with the space before them in the vocabularies that are common."""
PAD: Final = " a"
PROBES: Final = 8
"""Questions until the length has to be right."""

Count = Callable[[str], Awaitable[int]]


@dataclass(frozen=True, slots=True)
class Shape:
    """What a prompt is made of."""

    words: int
    pads: int


class Prompts:
    """Makes prompts of one shape, each different."""

    def __init__(self, shape: Shape, source: random.Random) -> None:
        self.shape = shape
        self._source = source

    def next(self) -> str:
        """Another prompt."""
        return _text(self.shape, self._source)


def _text(shape: Shape, source: random.Random) -> str:
    return " ".join(source.choices(WORDS, k=shape.words)) + PAD * shape.pads


async def calibrated(isl: int, count: Count, source: random.Random) -> Shape:
    """The shape whose prompts are `isl` tokens long, as `count` counts them (with what a chat template adds).

    Raises SpillwayError when no shape comes within INPUT_TOLERANCE.
    """
    small, large = 8, 40
    few, many = await count(_text(Shape(small, 0), source)), await count(_text(Shape(large, 0), source))
    per_word = (many - few) / (large - small)
    per_pad = (await count(_text(Shape(small, 16), source)) - few) / 16
    if per_word <= 0:
        raise SpillwayError("the endpoint counts longer prompts as no longer: their length cannot be set")
    fixed = few - per_word * small
    words = max(1, int((isl - fixed) / per_word))
    best, found = Shape(words, 0), 0
    shape = best
    for _ in range(PROBES):
        had = await count(_text(shape, source))
        if not found or abs(had - isl) < abs(found - isl):
            best, found = shape, had
        missing = isl - had
        if not missing:
            break
        # Whole words first; what is less than a word in single letters.
        add = int(missing / per_word)
        rest = round((missing - add * per_word) / per_pad) if per_pad > 0 else 0
        pads = shape.pads + rest
        words = max(1, shape.words + add)
        if pads < 0:
            words, pads = max(1, words - 1), max(0, pads + round(per_word / per_pad))
        if Shape(words, pads) == shape:
            break
        shape = Shape(words, pads)
    if abs(found - isl) > max(1.0, INPUT_TOLERANCE * isl):
        raise SpillwayError(f"prompts of {isl} tokens cannot be made here: the nearest have {found}")
    return best
