"""Tokenizers of text towers, without a download."""

from __future__ import annotations

import json
from pathlib import Path
from types import ModuleType


def byte_tokenizer(transformers: ModuleType, name: str, folder: Path) -> object:
    """A byte-level tokenizer without merges, in the files of the family."""
    from tokenizers import pre_tokenizers

    letters = sorted(pre_tokenizers.ByteLevel.alphabet())
    if name == "clip":
        tokens = [*letters, *(f"{x}</w>" for x in letters), "<|startoftext|>", "<|endoftext|>"]
        made = "CLIPTokenizer"
    else:
        tokens = ["<s>", "<pad>", "</s>", "<unk>", "<mask>", *letters]
        made = "RobertaTokenizer"
    (folder / "vocab.json").write_text(json.dumps({token: i for i, token in enumerate(tokens)}))
    (folder / "merges.txt").write_text("#version: 0.2\n")
    tokenizer = getattr(transformers, made).from_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return transformers.AutoTokenizer.from_pretrained(folder)
