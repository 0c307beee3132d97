"""Checkpoints: what training needs to go on, on disk, whole or not at all.

In: weights and training state as tensors by name, counters as JSON. Out: a directory

    step-00000100/   weights.safetensors   training.safetensors   manifest.json

written beside its place, flushed, checked and renamed. The manifest is written last; it holds the
format version and a checksum of each file, itself included. Nothing is pickled. Reading verifies,
and falls back to the newest good one. `hf` reads and writes the folders of Hugging Face's
transformers.

Sources: the safetensors format (huggingface.co/docs/safetensors); write-rename-sync after Pillai et
al. 2014, "All File Systems Are Not Created Equal".
"""

FORMAT_VERSION = 1
WEIGHTS_FILE = "weights.safetensors"
TRAINING_FILE = "training.safetensors"
MANIFEST_FILE = "manifest.json"
