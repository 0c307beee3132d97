"""Instruction tuning: causal language modelling whose loss falls on answers only."""

import numpy as np
from numpy.typing import NDArray

from hornbook.batches.rows import Rows
from hornbook.objectives.causal import Causal


class Instruction(Causal):
    """loss = -Σ log p(x_{t+1} | its conversation up to t), over tokens marked as learnt.

    What the user wrote is read, not learnt. Conversations packed into one row do not see each
    other, and each counts its positions from 0.

    Source: Wei et al. 2022; Ouyang et al. 2022, appendix C, for the loss on answers.
    """

    name = "instruction"

    def __init__(self, z_loss: float = 0.0) -> None:
        super().__init__(same_document=True, z_loss=z_loss)

    def learnt(self, rows: Rows) -> NDArray[np.bool_]:
        """The tokens of answers, which the rows' learn mask marks."""
        return rows.learn
