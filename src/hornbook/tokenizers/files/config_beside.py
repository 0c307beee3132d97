"""The `tokenizer_config.json` beside a file that holds pieces or merges and no cut.

Such a file is opened as its best known owner cuts text: BERT's vocab.txt, GPT-2's and GPT-1's two
files, SentencePiece's model. Others have files of the same names and cut otherwise (Qwen2's two
files, BertJapanese's vocab.txt, XLM-RoBERTa's model, whose ids are moved by one), and would get
other ids without an error; so a configuration that names another class, or an option that changes
the cut, is refused.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from hornbook.errors import TokenizerError
from hornbook.tokenizers.files.json_file import read_json

CONFIG = "tokenizer_config.json"

CLASSES: Mapping[str, tuple[str, ...]] = {
    "BERT": (
        "Bert",
        "ConvBert",
        "DistilBert",
        "Electra",
        "LayoutLM",
        "Lxmert",
        "MobileBert",
        "SqueezeBert",
    ),
    "GPT-2": ("GPT2", "Bart", "CodeGen", "LED", "Longformer", "Roberta"),
    "GPT-1": ("OpenAIGPT",),
    "SentencePiece": ("CodeLlama", "Gemma", "Llama", "MT5", "T5"),
}
"""Whose cut a file gets, and the classes of transformers that cut so, less `Tokenizer(Fast)`."""

ANY_CUT = ("PreTrained", "")
"""What says nothing of the cut: the class of a tokenizer.json, and none."""

USUAL: Mapping[str, tuple[object, ...]] = {
    "do_basic_tokenize": (True,),
    "do_word_tokenize": (True,),
    "do_subword_tokenize": (True,),
    "never_split": ([],),
    "word_tokenizer_type": ("basic",),
    "subword_tokenizer_type": ("wordpiece",),
    "add_prefix_space": (False,),
}
"""Options that change the cut, and the values that leave it as it is; as does none."""


def config_beside(path: Path, owner: str) -> Mapping[str, Any]:
    """The configuration beside a file, if there is one.

    owner: whose cut the file is given, a key of CLASSES.

    Raises TokenizerError where the configuration names another class, or sets another cut.
    """
    beside = path.with_name(CONFIG)
    config = read_json(beside) if beside.is_file() else {}
    known = (*CLASSES[owner], *ANY_CUT)
    named = str(config.get("tokenizer_class") or "")
    strange = [
        f"{option} {config[option]!r}"
        for option, usual in USUAL.items()
        if config.get(option) is not None and config[option] not in usual
    ]
    if owner == "SentencePiece":
        strange = []  # its options are in the model
    if named.removesuffix("Fast").removesuffix("Tokenizer") not in known:
        strange.append(f"the class {named}")
    if strange:
        raise TokenizerError(
            f"{beside} says {' and '.join(strange)}, while Hornbook cuts text for {path.name} as "
            f"{owner} does: open a tokenizer.json of it (transformers' save_pretrained writes "
            f"one), or, if its ids are {owner}'s, the file without that configuration beside it."
        )
    return config
