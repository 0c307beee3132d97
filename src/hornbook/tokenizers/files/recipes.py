"""Which two tokens each token of a byte-pair vocabulary is made of.

Merging the bytes of a token with lower ranks only leaves the two parts that its own merge joins:
training met them there. A token of which more than two parts are left is no merge's result.
"""

from collections.abc import Mapping, Sequence
from itertools import pairwise

Merge = tuple[bytes, bytes]


def recover_merges(tokens: Mapping[bytes, int]) -> list[Merge]:
    """The merges behind bytes and ranks, in the order of the ranks; no more than one a token.

    About 10 microseconds a token.
    """
    by_rank = sorted(tokens, key=tokens.__getitem__)
    found = [_recipe(token, tokens) for token in by_rank if len(token) > 1]
    return [recipe for recipe in found if recipe]


def _recipe(token: bytes, tokens: Mapping[bytes, int]) -> Merge | None:
    """The two parts of a token; None where merging does not reach it."""
    own = tokens[token]
    parts = [token[place : place + 1] for place in range(len(token))]
    while len(parts) > 2:
        ranks = [tokens.get(left + right, own) for left, right in pairwise(parts)]
        lowest = min(ranks)
        if lowest >= own:
            return None
        place = ranks.index(lowest)
        parts[place : place + 2] = [parts[place] + parts[place + 1]]
    return parts[0], parts[1]


def beyond_merges(tokens: Mapping[bytes, int], merges: Sequence[Merge]) -> list[bytes]:
    """Tokens that ranks may reach and listed merges do not: ranked below one of their own parts.

    Merging by ranks alone joins such a token when its late part appears; a list in the order of
    the ids cannot say so. Training never gives one.
    """
    made = {left + right for left, right in merges}
    return [
        token
        for token, rank in tokens.items()
        if len(token) > 1
        and token not in made
        and any(
            max(tokens.get(token[:cut], -1), tokens.get(token[cut:], -1)) > rank
            and token[:cut] in tokens
            and token[cut:] in tokens
            for cut in range(1, len(token))
        )
    ]
