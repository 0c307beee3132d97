"""What a rule is: a measured column, a threshold, a side, and a reason that people can read."""

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True)
class Rule:
    """Drop a document whose `column` lies past `threshold`.

    `threshold` names an option of CorpusOptions, or is a number of the rule's own. `reason` may
    hold `{value}` and `{threshold}`. Shares mean little in short texts: a document of fewer than
    `least_words` words is not judged.
    """

    name: str
    column: str
    bound: Literal["minimum", "maximum"]
    threshold: str | float
    reason: str
    least_words: int = 0
