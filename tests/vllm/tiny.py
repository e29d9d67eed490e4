"""A language model of two layers that knows nothing, in seconds and without any library: Qwen2's shape, random weights,
a tokenizer with one token per byte.

Formats: https://huggingface.co/docs/safetensors/index#format (eight bytes of length, a JSON header, the tensors),
https://huggingface.co/docs/tokenizers/index (tokenizer.json); names of the tensors are those of transformers' Qwen2.
"""

from __future__ import annotations

import hashlib
import json
import random
import struct
from array import array
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from spillway.models import manifest

NAME: Final = "tiny"
REVISION: Final = "r1"
LAYERS: Final = 2
HIDDEN: Final = 128
INNER: Final = 256
HEADS: Final = 4
KEY_HEADS: Final = 2
"""Divisible by two: the model is split over two nodes as well."""
CONTEXT: Final = 2048
SPECIAL: Final = ("<|endoftext|>", "<|im_start|>", "<|im_end|>")
VOCABULARY: Final = 256 + len(SPECIAL) + 1
"""Even, for the same reason."""
TEMPLATE: Final = (
    "{% for message in messages %}<|im_start|>{{ message['role'] }}\n{{ message['content'] }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)


def alphabet() -> list[str]:
    """The printable character that stands for each byte in a byte-level tokenizer, by byte.

    Printable bytes of Latin-1 stand for themselves, others for what follows U+0100: GPT-2's table
    (https://github.com/openai/gpt-2/blob/master/src/encoder.py, bytes_to_unicode).
    """
    own = [*range(ord("!"), ord("~") + 1), *range(0xA1, 0xAC + 1), *range(0xAE, 0xFF + 1)]
    found, others = {byte: chr(byte) for byte in own}, 0
    for byte in range(256):
        if byte not in found:
            found[byte] = chr(256 + others)
            others += 1
    return [found[byte] for byte in range(256)]


def config() -> dict[str, Any]:
    return {
        "architectures": ["Qwen2ForCausalLM"],
        "model_type": "qwen2",
        "vocab_size": VOCABULARY,
        "hidden_size": HIDDEN,
        "intermediate_size": INNER,
        "num_hidden_layers": LAYERS,
        "num_attention_heads": HEADS,
        "num_key_value_heads": KEY_HEADS,
        "hidden_act": "silu",
        "max_position_embeddings": CONTEXT,
        "rms_norm_eps": 1e-6,
        "rope_theta": 10000.0,
        "initializer_range": 0.02,
        "use_cache": True,
        "use_sliding_window": False,
        "tie_word_embeddings": False,
        "attention_dropout": 0.0,
        "bos_token_id": 256,
        "eos_token_id": 258,
        "torch_dtype": "float32",
    }


def tokenizer() -> dict[str, Any]:
    special = [
        {"id": 256 + number, "content": text, "single_word": False, "lstrip": False, "rstrip": False,
         "normalized": False, "special": True}
        for number, text in enumerate(SPECIAL)
    ]  # fmt: skip
    level = {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": False, "use_regex": True}
    return {
        "version": "1.0",
        "truncation": None,
        "padding": None,
        "added_tokens": special,
        "normalizer": None,
        "pre_tokenizer": level,
        "post_processor": None,
        "decoder": level,
        "model": {
            "type": "BPE",
            "dropout": None,
            "unk_token": None,
            "continuing_subword_prefix": None,
            "end_of_word_suffix": None,
            "fuse_unk": False,
            "byte_fallback": False,
            "ignore_merges": False,
            "vocab": {text: number for number, text in enumerate(alphabet())},
            "merges": [],
        },
    }


def shapes() -> dict[str, tuple[int, ...]]:
    """Of every tensor, by name."""
    wide, narrow = HIDDEN, HIDDEN // HEADS * KEY_HEADS
    found: dict[str, tuple[int, ...]] = {"model.embed_tokens.weight": (VOCABULARY, HIDDEN)}
    for layer in range(LAYERS):
        at = f"model.layers.{layer}"
        for name, rows in (("q", wide), ("k", narrow), ("v", narrow)):
            found[f"{at}.self_attn.{name}_proj.weight"] = (rows, HIDDEN)
            found[f"{at}.self_attn.{name}_proj.bias"] = (rows,)
        found |= {
            f"{at}.self_attn.o_proj.weight": (HIDDEN, wide),
            f"{at}.mlp.gate_proj.weight": (INNER, HIDDEN),
            f"{at}.mlp.up_proj.weight": (INNER, HIDDEN),
            f"{at}.mlp.down_proj.weight": (HIDDEN, INNER),
            f"{at}.input_layernorm.weight": (HIDDEN,),
            f"{at}.post_attention_layernorm.weight": (HIDDEN,),
        }
    return found | {"model.norm.weight": (HIDDEN,), "lm_head.weight": (VOCABULARY, HIDDEN)}


def safetensors(seed: int = 1) -> bytes:
    """The weights, float32; the same for the same seed."""
    numbers, header, parts, at = random.Random(seed), {}, [], 0
    for name, shape in shapes().items():
        size = 1
        for length in shape:
            size *= length
        # Norms multiply: ones leave what comes in as it is.
        values = array("f", [1.0] * size if "norm" in name else [numbers.gauss(0, 0.05) for _ in range(size)])
        content = struct.pack(f"<{size}f", *values)
        header[name] = {"dtype": "F32", "shape": list(shape), "data_offsets": [at, at + len(content)]}
        at += len(content)
        parts.append(content)
    text = json.dumps({"__metadata__": {"format": "pt"}, **header}).encode()
    text += b" " * (-len(text) % 8)
    return struct.pack("<Q", len(text)) + text + b"".join(parts)


def write(folder: Path) -> Path:
    """The model in `folder`, which is made: as `spillway models push` stores it and spillway-stage leaves it."""
    folder.mkdir(parents=True, exist_ok=True)
    documents = {
        "config.json": config(),
        "generation_config.json": {"bos_token_id": 256, "eos_token_id": [256, 258]},
        "tokenizer.json": tokenizer(),
        "tokenizer_config.json": {
            "tokenizer_class": "Qwen2Tokenizer",
            "add_prefix_space": False,
            "bos_token": None,
            "eos_token": SPECIAL[2],
            "pad_token": SPECIAL[0],
            "unk_token": None,
            "model_max_length": CONTEXT,
            "chat_template": TEMPLATE,
        },
        # The slow form of the tokenizer, which some releases of transformers look for.
        "vocab.json": tokenizer()["model"]["vocab"],
    }
    for name, document in documents.items():
        (folder / name).write_text(json.dumps(document, indent=1, ensure_ascii=False) + "\n")
    (folder / "merges.txt").write_text("#version: 0.2\n")
    (folder / "model.safetensors").write_bytes(safetensors())
    files = [
        manifest.File(path.name, path.stat().st_size, hashlib.sha256(path.read_bytes()).hexdigest())
        for path in sorted(folder.iterdir())
        if path.name not in (manifest.NAME, ".complete")
    ]
    made = manifest.make(NAME, REVISION, files, datetime(2026, 1, 1, tzinfo=UTC))
    (folder / manifest.NAME).write_text(made.text())
    (folder / ".complete").touch()
    return folder
