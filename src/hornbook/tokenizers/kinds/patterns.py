"""How text is cut into words before byte-pair merges: one regular expression a scheme.

Merges never cross a cut. All three keep every character (the pieces join to the text), end a run of
whitespace one character early so that the last space joins the next word, and let no digit run and
letter run share a piece. In the notation of the engines that run them (Oniguruma in `tokenizers`,
fancy-regex in tiktoken; both give the same pieces on every code point):

    gpt2      contractions in lower case only; a word, number or sign run may take one leading space
    cl100k    contractions in any case; a word may take one leading sign or space; digits in threes
              without a space; signs swallow the line ends after them; blank lines stand apart
    digits    as cl100k, each digit alone (numbers are read digit by digit)

Sources: GPT-2's `encoder.py`; tiktoken's `openai_public.py` (cl100k_base).
"""

_CL100K = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)"
    r"|[^\r\n\p{L}\p{N}]?\p{L}+"
    r"|\p{N}{1,3}"
    r"| ?[^\s\p{L}\p{N}]+[\r\n]*"
    r"|\s*[\r\n]+"
    r"|\s+(?!\S)"
    r"|\s+"
)

PATTERNS = {
    "gpt2": r"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+",
    "cl100k": _CL100K,
    "digits": _CL100K.replace(r"\p{N}{1,3}", r"\p{N}"),
}
