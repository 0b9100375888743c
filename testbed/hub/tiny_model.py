"""A llama with random weights, small enough to make, ship and load in a blink; its answers are noise.

Byte for byte the same on every Python and machine: every number comes out of SHAKE-128 and exact float32 arithmetic,
never out of `random`. The noise is shaped a little, so that it is pleasant to test with: the first dimension of the
residual stream starts as a constant, and each row of the output matrix weighs it. That makes words likely, raw bytes
rare, and the end of the text come after some forty tokens, but never at once.
"""

import hashlib
import struct
from collections.abc import Iterator

from .gguf_writer import F32Tensor, Float, Value, gguf

EMBEDDING, FEED_FORWARD, HEADS, BLOCKS = 32, 64, 2, 1
CONTEXT = 2048
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


def tiny_model(seed: int = 0, *, size: int = 0) -> Iterator[bytes]:
    """The file in chunks. Another `seed` gives another model; `size` (bytes) stretches it with unused bytes at the end.

    The stretch lies behind the tensors, where engines map but never compute with it: llama.cpp refuses tensors that
    its architecture does not name. A size below the model's own leaves the model as it is.
    """
    content = gguf(_metadata(seed), _tensors(seed))
    yield content
    missing = size - len(content)
    for number in range(-(-missing // _CHUNK)):
        yield _bytes(f"{seed}/stretch/{number}", min(_CHUNK, missing - number * _CHUNK))


def _tokens() -> list[tuple[str, int, float]]:
    """Every token with its type and its weight on the steady dimension."""
    special = zip(SPECIAL, (UNKNOWN, CONTROL, CONTROL), (RARE, RARE, ENDING), strict=True)
    raw = [(f"<0x{byte:02X}>", BYTE, RARE) for byte in range(256)]
    # U+2581 is how SentencePiece spells the space before a word.
    words = [(word if word in ".," else f"\u2581{word}", NORMAL, LIKELY) for word in WORDS]
    return [*special, *raw, *words]


def _metadata(seed: int) -> dict[str, Value]:
    tokens = _tokens()
    return {
        "general.architecture": "llama",
        "general.type": "model",
        "general.name": f"larder tiny random {seed}",
        "general.file_type": 0,
        "llama.context_length": CONTEXT,
        "llama.embedding_length": EMBEDDING,
        "llama.block_count": BLOCKS,
        "llama.feed_forward_length": FEED_FORWARD,
        "llama.attention.head_count": HEADS,
        "llama.attention.head_count_kv": HEADS,
        "llama.attention.layer_norm_rms_epsilon": Float(2.0**-17),
        "llama.rope.dimension_count": EMBEDDING // HEADS,
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


def _tensors(seed: int) -> list[F32Tensor]:
    tokens = _tokens()
    matrices = {
        "attn_q": (EMBEDDING, EMBEDDING),
        "attn_k": (EMBEDDING, EMBEDDING),
        "attn_v": (EMBEDDING, EMBEDDING),
        "attn_output": (EMBEDDING, EMBEDDING),
        "ffn_gate": (EMBEDDING, FEED_FORWARD),
        "ffn_up": (EMBEDDING, FEED_FORWARD),
        "ffn_down": (FEED_FORWARD, EMBEDDING),
    }
    tensors = [
        _led("token_embd.weight", seed, [NEWLINE if t == "<0x0A>" else (STEADY, 0.0) for t, _, _ in tokens]),
        _ones("output_norm.weight"),
        _led("output.weight", seed, [(weight, BEGINNING if t == "</s>" else 0.0) for t, _, weight in tokens]),
    ]
    for block in range(BLOCKS):
        tensors += [_ones(f"blk.{block}.attn_norm.weight"), _ones(f"blk.{block}.ffn_norm.weight")]
        for name, (columns, rows) in matrices.items():
            full = f"blk.{block}.{name}.weight"
            content = _noise(f"{seed}/{full}", columns * rows)
            if name in _WRITERS:
                # The first two rows write the first two dimensions: those stay as the embedding set them.
                content = bytes(2 * columns * 4) + content[2 * columns * 4 :]
            tensors.append(F32Tensor(full, (columns, rows), content))
    return tensors


def _led(name: str, seed: int, first: list[tuple[float, float]]) -> F32Tensor:
    """Noise, but row i starts with the two numbers first[i]."""
    content = bytearray(_noise(f"{seed}/{name}", EMBEDDING * len(first)))
    for row, values in enumerate(first):
        struct.pack_into("<2f", content, row * EMBEDDING * 4, *values)
    return F32Tensor(name, (EMBEDDING, len(first)), bytes(content))


def _ones(name: str) -> F32Tensor:
    return F32Tensor(name, (EMBEDDING,), struct.pack("<f", 1.0) * EMBEDDING)


def _noise(label: str, count: int) -> bytes:
    """`count` float32 in [-1/4, 1/4): 16-bit integers divided by a power of two, so exact in any arithmetic."""
    integers = struct.unpack(f"<{count}h", _bytes(label, 2 * count))
    return struct.pack(f"<{count}f", *(integer / 131_072 for integer in integers))


def _bytes(label: str, count: int) -> bytes:
    return hashlib.shake_128(f"larder/{label}".encode()).digest(count)
