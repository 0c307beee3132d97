"""Word vectors: a vector for each word, learnt from the words around it.

In: token ids, from a store or from lists, and a `VectorSpec` (spec.py), made by a family
(families/word2vec.py). Out: `WordVectors` (words.py): nearest words, analogies, and files in
word2vec's text format (text_format.py). vocabulary.py counts words and says which of them are
left out; noise.py draws wrong words; examples.py makes what is learnt from a chunk of text;
tables.py holds the two tables and the one step that both architectures share; train.py is the
loop. All but the last two are numpy. There is no network here, no logits and no gradient graph.

Papers: Mikolov et al. 2013a (arXiv:1301.3781) and 2013b (arXiv:1310.4546).
"""

from typing import Any

from hornbook.errors import SpecError
from hornbook.models import VECTORS
from hornbook.models.families import require_dimensions, unknown
from hornbook.models.vectors.spec import VectorSpec
from hornbook.recipe.plugins import find


def vector_spec_for(name: str, **dimensions: Any) -> VectorSpec:
    """The spec of a family of vectors; `dimensions` replace its published numbers.

    Raises SpecError for an unknown family or dimension, and for impossible numbers.
    """
    family, _, size = name.partition("/")
    if family not in VECTORS and ":" not in family:
        raise unknown("family of vectors", family, list(VECTORS))
    if size:
        raise SpecError(f"{family} has no published sizes; give its numbers, such as d_model=300.")
    module = find(family, VECTORS)
    require_dimensions(family, module, dimensions)
    spec: VectorSpec = module.spec(**dimensions)
    return spec
