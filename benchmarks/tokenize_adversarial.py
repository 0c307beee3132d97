"""Time on texts without end, for every kind of tokenizer: does four times the text take six?

One unit repeated is the worst that can be asked of a tokenizer: one word, one run, one merge over
and over. A text of n characters and one of 4n are encoded in turns, several times each; the least
CPU time of each counts. A quadratic loop would take 16 times as long; n log n and caches that are
too small take a little over 4.

    python benchmarks/tokenize_adversarial.py [--characters 100000] [--repeats 9] [--kinds byte-bpe]
"""

import argparse
import inspect
import os
import re
import sys
import time
from collections.abc import Sequence

from hornbook.errors import TokenizerError
from hornbook.tokenizers import TOKENIZERS, train_tokenizer
from hornbook.tokenizers.tokenizer import Tokenizer

UNITS = {
    "letters": "a",
    "spaces": " ",
    "newlines": "\n",
    "tabs": "\t",
    "digits": "1",
    "signs": "!",
    "ideographs": "好",
    "marks": "\u0301",
    "whitespace": " \n\t",
    "emoji": "👍🏽",
    "words": "a ",
}
LIMIT = 6.0
POEM = "床前明月光，疑是地上霜。举头望明月，低头思故乡。"


def seconds(tokenizer: Tokenizer, text: str) -> float:
    """CPU time of encoding a text once."""
    started = time.process_time()
    tokenizer.encode(text)
    return time.process_time() - started


def least(tokenizer: Tokenizer, unit: str, characters: int, repeats: int) -> tuple[float, float]:
    """CPU seconds for a text and for one four times as long, the least of several turns."""
    short = unit * (characters // len(unit)) + "x"
    long = unit * (4 * characters // len(unit)) + "x"
    turns = [(seconds(tokenizer, short), seconds(tokenizer, long)) for _ in range(repeats)]
    return min(turn[0] for turn in turns), min(turn[1] for turn in turns)


def trained(kind: str, texts: Sequence[str], vocab_size: int) -> Tokenizer:
    """A kind's tokenizer; where the text supports fewer ids, or the kind has a size, that many."""
    try:
        return train_tokenizer(kind, texts, vocab_size)
    except TokenizerError as error:
        supported = re.search(r"tokenizer\.vocab_size to (\d+)", str(error))
        if not supported:
            raise
        return train_tokenizer(kind, texts, int(supported[1]))


def measure(kind: str, arguments: argparse.Namespace, texts: Sequence[str]) -> int:
    """Print a kind's rows; return how many are over the limit."""
    tokenizer = trained(kind, texts, arguments.vocab_size)
    over = 0
    for name, unit in UNITS.items():
        short, long = least(tokenizer, unit, arguments.characters, arguments.repeats)
        ratio = long / max(short, 1e-9)
        over += ratio >= LIMIT
        verdict = "" if ratio < LIMIT else f"  not < {LIMIT:g}"
        print(f"{kind:22} {name:11} {short:9.4f} {long:9.4f} {ratio:6.1f}{verdict}", flush=True)
    return over


def main() -> int:
    """Measure, and return 1 where a ratio is over the limit."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--characters", type=int, default=100_000)
    parser.add_argument("--repeats", type=int, default=9)
    parser.add_argument("--vocab-size", type=int, default=1000)
    parser.add_argument("--kinds", nargs="+", choices=list(TOKENIZERS), default=list(TOKENIZERS))
    arguments = parser.parse_args()
    texts = [inspect.getsource(argparse), *(unit * 400 for unit in UNITS.values()), POEM * 3]
    print(f"load {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores; n = {arguments.characters}")
    print(f"{'kind':22} {'text':11} {'n, s':>9} {'4n, s':>9} {'ratio':>6}")
    over = sum(measure(kind, arguments, texts) for kind in arguments.kinds)
    print(f"{over} ratios are not below {LIMIT:g}" if over else f"every ratio is below {LIMIT:g}")
    return 1 if over else 0


if __name__ == "__main__":
    sys.exit(main())
