"""Every error Hornbook raises on purpose: what happened, where, and what to do about it.

    HornbookError                 exit code 1: the run's trouble
    ├── UserError                 exit code 2: the user's mistake
    │   ├── RecipeError           a recipe that cannot be read or does not make sense
    │   ├── InputError            text, files or folders that cannot be used
    │   ├── TokenizerError        a tokenizer that cannot be trained, read or applied
    │   └── SpecError             a model that cannot be built
    ├── StorageError              what was saved is missing, torn or altered; a full disk
    ├── VersionError              a run or checkpoint of a newer format
    ├── LockedError               another process works on this run
    ├── TrainingError             training cannot go on
    └── Interrupted               SIGINT or SIGTERM, after saving (exit code 130 or 143)

A message is one sentence, or a list of them: what, where, what to do. Nothing but the command line
prints them; everything else raises.
"""


class HornbookError(Exception):
    """The root of the tree; `exit_code` is what the command line leaves with."""

    exit_code = 1


class UserError(HornbookError):
    """The user can mend this: wrong arguments, recipe or input."""

    exit_code = 2


class RecipeError(UserError):
    """One or more faults of a recipe, one line each."""


class InputError(UserError):
    """Text, a file or a folder that cannot be used as given."""


class TokenizerError(UserError):
    """A tokenizer that cannot be trained, read or applied as asked."""


class SpecError(UserError):
    """A model that cannot be built as described."""


class StorageError(HornbookError):
    """Saved data is missing, torn or altered, or there is no room to save."""


class VersionError(HornbookError):
    """A run, store or checkpoint was written by a newer format version."""


class LockedError(HornbookError):
    """Another process is working on the same run."""


class TrainingError(HornbookError):
    """Training cannot go on: non-finite loss, or a state that does not fit the model."""


class Interrupted(HornbookError):
    """A signal asked to stop; what was under way has been saved.

    `exit_code` is 128 + the signal's number, as shells expect.
    """

    def __init__(self, signal_number: int) -> None:
        super().__init__("Stopped on request; run the same command again to continue.")
        self.exit_code = 128 + signal_number
