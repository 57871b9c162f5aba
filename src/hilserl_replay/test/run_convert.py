"""The program ``convert`` as the tests of this package run it."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import pytest
from made_bags import koch_contract

from hilserl_core.step import Episode
from hilserl_replay import convert
from hilserl_replay.bags import read_episodes


class Converted:
    """What the program said and wrote."""

    def __init__(self, code: int, text: str, output: Path) -> None:
        self.code, self.text, self.output = code, " ".join(text.split()), output

    @property
    def episodes(self) -> list[Episode]:
        return list(read_episodes(self.output))


class Program:
    """Runs ``convert`` in a folder; a failure must leave nothing, and bags always as they were."""

    def __init__(self, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
        self._folder, self._capsys = folder, capsys

    def __call__(
        self, *bags: Path, contract: Path | None = None, words: Iterable[str] = ()
    ) -> Converted:
        output = self._folder / "runs" / "made"
        output.parent.mkdir(exist_ok=True)
        contract = contract or koch_contract(self._folder / "contract.yaml")
        files = [f for bag in bags for f in ([bag] if bag.is_file() else sorted(bag.rglob("*")))]
        before = [f.read_bytes() for f in files]
        line = [*map(str, bags), "--contract", str(contract), "--output", str(output), *words]
        try:
            convert.main(line)
            code = 0
        except SystemExit as ending:
            code = int(ending.code or 0)
        said = self._capsys.readouterr()
        assert [f.read_bytes() for f in files] == before
        if code:
            assert list(output.parent.iterdir()) == []
            assert said.err.startswith("error: ")
            assert said.err.count("\n") == 1
        else:
            assert [path.name for path in output.parent.iterdir()] == ["made"]
        return Converted(code, said.out + said.err, output)
