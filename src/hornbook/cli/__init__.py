"""The command line: one file a verb, which reads its arguments, calls one function and prints.

`VERBS` is the whole table. A verb's module is imported when it is asked for, so that `--help`,
lists and recipe checks start at once; nothing here imports torch. Results go to stdout, progress
and log to stderr. Exit codes: 0 done, 1 the run failed, 2 the user's mistake, 130 and 143 stopped
by a signal after saving.
"""

VERBS = {
    "run": "Run a recipe from raw text to a model, skipping what is up to date.",
    "resume": "Continue a run with the recipe it holds.",
    "init": "Write a new recipe, fitted to a folder of text and a time budget.",
    "check": "Read a recipe and report every fault, without running anything.",
    "plan": "Show what a recipe will do: stages, parameters, memory, disk, time.",
    "chat": "Talk with a model.",
    "generate": "Continue a text.",
    "export": "Write a model where others open it: a Hugging Face folder, safetensors, ARPA.",
    "vectors": "Learn word vectors, and look at what is near what.",
    "tokenizer": "Train, use, look into and compare tokenizers.",
    "data": "Look at the data a model is trained on.",
    "compare": "Put two runs side by side: recipes, scores, curves.",
    "ngrams": "Count n-grams of every order: what is too short, what is too long.",
    "ladder": "Climb from n-grams to LLaMA on one corpus at one price: table and picture.",
    "report": "Write a run's report page and curves again.",
    "show": "Show a model family: its spec, parts, parameters and cost.",
    "list": "List presets, families, parts, filters, objectives and runs.",
    "explain": "Explain an idea: what it is, its equation, its code, its source.",
    "clean": "Empty a run's archive of replaced stages.",
    "doctor": "Check this machine: versions, cores, precision, memory, disk.",
}


def main() -> None:
    """Enter the command line; the console script `hornbook`."""
    from hornbook.cli.main import run_command_line  # click is loaded only here

    run_command_line()
