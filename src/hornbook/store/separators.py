"""Which special tokens stand around each document of the store."""

from dataclasses import dataclass

from hornbook.tokenizers.special import Where
from hornbook.tokenizers.tokenizer import Tokenizer


@dataclass(frozen=True)
class Separators:
    """The ids before and after every document's text; None where nothing stands."""

    begin_of_text: int | None
    end_of_text: int | None

    @property
    def leading(self) -> list[int]:
        """What comes before a text."""
        return [] if self.begin_of_text is None else [self.begin_of_text]

    @property
    def trailing(self) -> list[int]:
        """What comes after a text."""
        return [] if self.end_of_text is None else [self.end_of_text]

    @property
    def count(self) -> int:
        """How many tokens of each document are no text."""
        return len(self.leading) + len(self.trailing)


def separators_of(tokenizer: Tokenizer, where: Where) -> Separators:
    """The separators of a store; a tokenizer without a begin-of-text begins with its end.

    GPT-2 puts the same <|endoftext|> before or after; LLaMA begins with <s> and ends with </s>.

    Raises TokenizerError where the tokenizer has no such token.
    """
    return Separators(
        begin_of_text=None if where == "end" else tokenizer.begin_of_text,
        end_of_text=None if where == "start" else tokenizer.end_of_text,
    )
