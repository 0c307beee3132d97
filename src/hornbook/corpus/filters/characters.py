"""Characters: text is mostly letters, of whatever script; data written as text is not.

After the letter rule of Gopher (Rae et al. 2021, appendix A1.1) and the long-word rule of C4.
"""

from hornbook.corpus.filters.rule import Rule

RULES = (
    Rule(
        "few_letters",
        "letter_share",
        "minimum",
        "minimum_letter_share",
        "letters are {value} of all but white space; at least {threshold} is asked for",
    ),
    Rule(
        "many_digits",
        "digit_share",
        "maximum",
        "maximum_digit_share",
        "digits are {value} of all but white space; at most {threshold} is allowed",
    ),
    Rule(
        "long_word",
        "longest_word_characters",
        "maximum",
        "maximum_word_characters",
        "a word of {value} characters is data, not text; at most {threshold} are allowed",
    ),
)
