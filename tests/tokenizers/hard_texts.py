"""Text that is hard on tokenizers."""

POEM = "床前明月光，疑是地上霜。举头望明月，低头思故乡。"
PROSE = (
    "It's a truth universally acknowledged, that a single man's 1234567 pounds don't LAST; IT'S so."
)

HARD = [
    "",
    " ",
    "\x00 NUL\x00",
    "tabs\t\tand\r\nreturns\r",
    "next line\x85, file separator\x1c, byte order mark\ufeff",
    "two  spaces   three \n\n  indented\n",
    "😀 family 👨‍👩‍👧‍👦 flag 🇨🇳 skin 👍🏽",
    "é e\u0301 o\u0308\u0323 क्षि ไทย 한국어",
    POEM + "\u3000全角　Ａ１½²",
    "a<|endoftext|>b <|user|>hi<|end|><|assistant|> <|e",
    "don't DON'T don’t 'ſ 'S'll",
    "x = 1234567890 + 0x1F600 - 3.14e-10  # ok\n\treturn\n",
    "\U0010ffff\ue000\ufffd",
    " " * 300 + "x",
    "a" * 1000,
    "\n" * 50,
]
