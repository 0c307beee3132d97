"""Tensors to a safetensors file, one after another, without a second copy in memory.

A file is the header's length (8 bytes, little-endian), a JSON header with the dtype, shape and byte
range of each tensor, and the bytes. The library's own writer collects all bytes first, which would
add the size of a checkpoint to the peak of training; reading is the library's, by memory map.

Source: huggingface.co/docs/safetensors.
"""

import json
from collections.abc import Mapping
from pathlib import Path

import torch
from torch import Tensor

DTYPES = {
    torch.float64: "F64",
    torch.float32: "F32",
    torch.bfloat16: "BF16",
    torch.float16: "F16",
    torch.int64: "I64",
    torch.int32: "I32",
    torch.uint8: "U8",
    torch.bool: "BOOL",
}


def write_tensors(path: Path, tensors: Mapping[str, Tensor]) -> None:
    """Write tensors by name; raises `OSError` as the disk does, leaving a torn file."""
    header: dict[str, dict[str, object]] = {}
    end = 0
    for name, tensor in tensors.items():
        start, end = end, end + tensor.nbytes
        header[name] = {
            "dtype": DTYPES[tensor.dtype],
            "shape": list(tensor.shape),
            "data_offsets": [start, end],
        }
    text = json.dumps(header, separators=(",", ":")).encode("utf-8")
    text += b" " * (-len(text) % 8)
    with path.open("wb") as file:
        file.write(len(text).to_bytes(8, "little"))
        file.write(text)
        for tensor in tensors.values():
            numbers = tensor.detach().cpu().contiguous().reshape(-1)
            file.write(numbers.view(torch.uint8).numpy().data)
