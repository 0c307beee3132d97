"""The tables of the rooms, by the name users know them by."""

from collections.abc import Callable, Iterable

from hornbook.corpus.filters import FILTERS
from hornbook.corpus.readers import READERS
from hornbook.models import COUNTED, FAMILIES, VECTORS
from hornbook.objectives import OBJECTIVES
from hornbook.optimizers import OPTIMIZERS
from hornbook.recipe.recipe import preset_names
from hornbook.stages import STAGES
from hornbook.tokenizers import TOKENIZERS

TABLES: dict[str, Callable[[], Iterable[str]]] = {
    "presets": preset_names,
    "stages": lambda: (stage.name for stage in STAGES),
    "readers": lambda: READERS,
    "filters": lambda: FILTERS,
    "tokenizers": lambda: TOKENIZERS,
    "families": lambda: FAMILIES,
    "vectors": lambda: VECTORS,
    "counted": lambda: COUNTED,
    "objectives": lambda: OBJECTIVES,
    "optimizers": lambda: OPTIMIZERS,
}
