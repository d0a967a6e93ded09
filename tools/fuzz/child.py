"""Fuzz one target in this process: ``python -m tools.fuzz.child TABLE TARGET FOLDER [OPTION ...]``.

``TABLE`` is the module whose ``TARGETS`` has the target; what it imports of E2S is traced.  The options are
libFuzzer's.  What is found stops the process and is saved beside the corpus in ``FOLDER``.
"""

from __future__ import annotations

import hashlib
import importlib
import sys
import warnings
from pathlib import Path
from random import Random  # noqa: TID251 - libFuzzer gives the seed

import atheris

#: How often an input is altered within its form; otherwise libFuzzer alters it as it likes.
_FORMED = 0.6
_TIMEOUT_SECONDS = 20
_MEMORY_MIB = 1536


def main(table: str, name: str, folder: Path, options: list[str]) -> None:
    """Never returns: libFuzzer ends the process."""
    warnings.simplefilter("ignore")  # the library warns of odd but readable certificates
    with atheris.instrument_imports(include=["e2s"]):
        target = importlib.import_module(table).TARGETS[name]
    seeds, corpus = folder / "seeds", folder / "corpus"
    for place in (seeds, corpus):
        place.mkdir(parents=True, exist_ok=True)
    for old in seeds.iterdir():
        old.unlink()
    for seed in target.seeds():
        target.tried(seed)
        (seeds / hashlib.sha256(seed).hexdigest()[:16]).write_bytes(seed)

    def altered(octets: bytes, most: int, seed: int) -> bytes:
        random = Random(seed)  # noqa: S311 - chance, not secrecy
        if random.random() < _FORMED:
            made = target.mutate(octets, random)
            if len(made) <= most:
                return made
        return atheris.Mutate(octets, most)

    limits = [f"-max_len={target.most}", f"-timeout={_TIMEOUT_SECONDS}", f"-rss_limit_mb={_MEMORY_MIB}"]
    saved = f"-artifact_prefix={folder}/finding-"
    arguments = [sys.argv[0], *limits, saved, "-print_final_stats=1", *options, str(corpus), str(seeds)]
    atheris.Setup(arguments, target.tried, custom_mutator=altered, internal_libfuzzer=True)
    atheris.Fuzz()


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], Path(sys.argv[3]), sys.argv[4:])
