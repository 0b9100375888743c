"""A llama with random weights, small enough to make, ship and load in a blink; its answers are noise.

Byte for byte the same on every Python and machine: every number comes out of SHAKE-128 and exact float32 arithmetic,
never out of `random`. The noise is shaped a little, so that it is pleasant to test with: the first dimension of the
residual stream starts as a constant, and each row of the output matrix weighs it. That makes words likely, raw bytes
rare, and the end of the text come after some forty tokens, but never at once.
"""

import functools
import hashlib
import struct
from collections.abc import Iterator
from dataclasses import dataclass

from .gguf_writer import F32Tensor, Float, Value, gguf

CONTEXT = 2048


@dataclass(frozen=True)
class Shape:
    """The size of a model."""

    embedding: int = 32
    feed_forward: int = 64
    heads: int = 2
    blocks: int = 1


TINY = Shape()
_PANTRY = """
    attic barrel basket bread butter candle cellar cheese copper cupboard flour garlic ginger honey jar kettle ladle
    lemon mint nutmeg oat olive onion pantry pepper plum quince salt shelf spice sugar tea thyme walnut
"""
WORDS = (*_PANTRY.split(), *"abcdefghijklmnopqrstuvwxyz.,")
SPECIAL = ("<unk>", "<s>", "</s>")
CHAT_TEMPLATE = (
    "{% for message in messages %}<|{{ message['role'] }}|>\n{{ message['content'] }}</s>\n{% endfor %}"
    "{% if add_generation_prompt %}<|assistant|>\n{% endif %}"
)
NORMAL, UNKNOWN, CONTROL, BYTE = 1, 2, 3, 6
"""Token types of llama.h."""
STEADY = 0.5
"""The first dimension of every embedding: strong enough to lead, weak enough that prompts still make a difference."""
LIKELY, ENDING, RARE = 1.0, 1.6, -2.0
"""Weight of the first dimension in a token's output row; found by trial, like all of these."""
NEWLINE = (4.0, 4.0)
"""First two dimensions of the embedding of a line's end, which is where chat templates leave off …"""
BEGINNING = -2.0
"""… and the weight of the second one in the output row of the text's end: no answer is empty."""

CATALOG = {"tiny-random": 0, "tiny-second": 1}
"""The tiny models that catalog/models/ names, each with its seed; on a hub it is larder/<id>-GGUF with <id>.gguf."""

_WRITERS = ("attn_output", "ffn_down")
"""The matrices that add to the residual stream."""
_CHUNK = 1 << 20
_REPEATS = 1 << 16


def tiny_model(seed: int = 0, *, size: int = 0, shape: Shape = TINY) -> Iterator[bytes]:
    """Yield the file in chunks. A `seed` gives a model; `size` (bytes) stretches it with unused bytes at the end.

    Another `shape` makes it heavier to load and to compute.

    The stretch lies behind the tensors, where engines map but never compute with it: llama.cpp refuses tensors that
    its architecture does not name. A size below the model's own leaves the model as it is.
    """
    content = _content(seed, shape)
    yield content
    missing = size - len(content)
    for number in range(-(-missing // _CHUNK)):
        yield _bytes(f"{seed}/stretch/{number}", min(_CHUNK, missing - number * _CHUNK))


@functools.lru_cache(maxsize=8)
def _content(seed: int, shape: Shape) -> bytes:
    """Return the model without its stretch; cached, since many tests publish the same."""
    return gguf(_metadata(seed, shape), _tensors(seed, shape))


def _tokens() -> list[tuple[str, int, float]]:
    """Return every token with its type and its weight on the steady dimension."""
    special = zip(SPECIAL, (UNKNOWN, CONTROL, CONTROL), (RARE, RARE, ENDING), strict=True)
    raw = [(f"<0x{byte:02X}>", BYTE, RARE) for byte in range(256)]
    # U+2581 is how SentencePiece spells the space before a word.
    words = [(word if word in ".," else f"\u2581{word}", NORMAL, LIKELY) for word in WORDS]
    return [*special, *raw, *words]


def _metadata(seed: int, shape: Shape) -> dict[str, Value]:
    tokens = _tokens()
    return {
        "general.architecture": "llama",
        "general.type": "model",
        "general.name": f"larder tiny random {seed}",
        "general.file_type": 0,
        "llama.context_length": CONTEXT,
        "llama.embedding_length": shape.embedding,
        "llama.block_count": shape.blocks,
        "llama.feed_forward_length": shape.feed_forward,
        "llama.attention.head_count": shape.heads,
        "llama.attention.head_count_kv": shape.heads,
        "llama.attention.layer_norm_rms_epsilon": Float(2.0**-17),
        "llama.rope.dimension_count": shape.embedding // shape.heads,
        "llama.vocab_size": len(tokens),
        "tokenizer.ggml.model": "llama",
        "tokenizer.ggml.tokens": [text for text, _, _ in tokens],
        "tokenizer.ggml.scores": [Float(-float(place)) for place in range(len(tokens))],
        "tokenizer.ggml.token_type": [kind for _, kind, _ in tokens],
        "tokenizer.ggml.bos_token_id": 1,
        "tokenizer.ggml.eos_token_id": 2,
        "tokenizer.ggml.unknown_token_id": 0,
        "tokenizer.chat_template": CHAT_TEMPLATE,
    }


def _tensors(seed: int, shape: Shape) -> list[F32Tensor]:
    tokens, embedding, feed_forward = _tokens(), shape.embedding, shape.feed_forward
    matrices = {
        "attn_q": (embedding, embedding),
        "attn_k": (embedding, embedding),
        "attn_v": (embedding, embedding),
        "attn_output": (embedding, embedding),
        "ffn_gate": (embedding, feed_forward),
        "ffn_up": (embedding, feed_forward),
        "ffn_down": (feed_forward, embedding),
    }
    tensors = [
        _led("token_embd.weight", seed, [NEWLINE if t == "<0x0A>" else (STEADY, 0.0) for t, _, _ in tokens], embedding),
        _ones("output_norm.weight", embedding),
        _led(
            "output.weight", seed, [(weight, BEGINNING if t == "</s>" else 0.0) for t, _, weight in tokens], embedding
        ),
    ]
    for block in range(shape.blocks):
        tensors += [_ones(f"blk.{block}.{norm}.weight", embedding) for norm in ("attn_norm", "ffn_norm")]
        for name, (columns, rows) in matrices.items():
            full = f"blk.{block}.{name}.weight"
            content = _noise(f"{seed}/{full}", columns * rows)
            if name in _WRITERS:
                # The first two rows write the first two dimensions: those stay as the embedding set them.
                content = bytes(2 * columns * 4) + content[2 * columns * 4 :]
            tensors.append(F32Tensor(full, (columns, rows), content))
    return tensors


def _led(name: str, seed: int, first: list[tuple[float, float]], width: int) -> F32Tensor:
    """Return noise in which row i starts with the two numbers first[i]."""
    content = bytearray(_noise(f"{seed}/{name}", width * len(first)))
    for row, values in enumerate(first):
        struct.pack_into("<2f", content, row * width * 4, *values)
    return F32Tensor(name, (width, len(first)), bytes(content))


def _ones(name: str, width: int) -> F32Tensor:
    return F32Tensor(name, (width,), struct.pack("<f", 1.0) * width)


def _noise(label: str, count: int) -> bytes:
    """`count` float32 in [-1/4, 1/4): 16-bit integers divided by a power of two, so exact in any arithmetic.

    A large matrix repeats itself: its making should not take longer than its loading.
    """
    own = min(count, _REPEATS)
    integers = struct.unpack(f"<{own}h", _bytes(label, 2 * own))
    numbers = struct.pack(f"<{own}f", *(integer / 131_072 for integer in integers))
    return (numbers * -(-count // own))[: 4 * count]


def _bytes(label: str, count: int) -> bytes:
    return hashlib.shake_128(f"larder/{label}".encode()).digest(count)
