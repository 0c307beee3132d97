"""What no update may be made of: numbers that are not finite."""

import math

from hornbook.errors import TrainingError

REJECTIONS_IN_A_ROW = 10


class Guard:
    """Examines each update before the optimiser sees it.

    A loss or gradient length that is not finite rejects the update: weights and moments stay as
    they are, the data goes on, and so does the step count, by which the learning rate is looked up.

    Attributes: in_a_row, rejections since the last accepted update, part of a checkpoint.
    """

    def __init__(self, in_a_row: int = 0) -> None:
        self.in_a_row = in_a_row

    def examine(self, loss: float, gradient_norm: float) -> str | None:
        """Why the update is rejected, or None.

        Raises:
            TrainingError: too many updates in a row were rejected.
        """
        if math.isfinite(loss) and math.isfinite(gradient_norm):
            self.in_a_row = 0
            return None
        self.in_a_row += 1
        what = "the loss" if not math.isfinite(loss) else "the gradient"
        if self.in_a_row >= REJECTIONS_IN_A_ROW:
            raise TrainingError(
                f"{self.in_a_row} updates in a row were rejected because {what} is not finite; "
                "lower the learning rate, lengthen the warm-up, or look at the data there."
            )
        return f"{what} is not finite"
