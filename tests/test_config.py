"""What `occlufer.toml` may say, and how it is refused."""

from __future__ import annotations

from pathlib import Path

import pytest

from occlufer.config import BuildConfig, SourceConfig
from occlufer.config_file import load_config, with_overrides
from occlufer.errors import MissingError, UsageError

SOURCE = '[[sources]]\nkind = "synthetic"\n'


def written(folder: Path, text: str | bytes) -> Path:
    path = folder / "occlufer.toml"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


def test_a_silent_config_has_the_defaults_of_the_code(tmp_path: Path) -> None:
    config = load_config(written(tmp_path, SOURCE))
    plain = BuildConfig(sources=(SourceConfig("synthetic", "synthetic", {}),))
    assert (config.sources, config.dedup, config.split) == (
        plain.sources,
        plain.dedup,
        plain.split,
    )
    assert config.split.validation_share == pytest.approx(880 / 7718)


def test_relative_paths_resolve_against_the_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    (tmp_path / "configs").mkdir()
    text = (
        'out = "../made/occlu_fer"\nworkspace = "ws"\nweights_dir = "/abs/weights"\n'
        '[dedup]\ngroups = "g.csv"\n[lists]\nraf_db_occlu = "../lists/raf.txt"\n'
        'ferplus_occlu = "/abs/fer.txt"\n'
        '[[sources]]\nkind = "image_folder"\npath = "faces"\n'
    )
    config = load_config(written(tmp_path / "configs", text))
    assert config.out == tmp_path / "made" / "occlu_fer"
    assert config.workspace == tmp_path / "configs" / "ws"
    assert config.weights_dir == Path("/abs/weights")
    assert config.sources[0].settings["path"] == str(tmp_path / "configs" / "faces")
    assert config.dedup.groups == tmp_path / "configs" / "g.csv"
    assert config.lists.raf_db_occlu == tmp_path / "lists" / "raf.txt"
    assert config.lists.ferplus_occlu == Path("/abs/fer.txt")
    assert config.lists.affectnet_occlu is None


def test_the_home_folder_is_filled_in_and_a_dollar_is_a_dollar(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", "/people/me")
    text = 'workspace = "~/ws"\n[[sources]]\nkind = "image_folder"\npath = "$HOME/a"\n'
    config = load_config(written(tmp_path, text))
    assert config.sources[0].settings["path"] == str(tmp_path / "$HOME/a")
    assert config.workspace == Path("/people/me/ws")


def test_a_home_folder_of_nobody_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="~no_such_user/x: found no home folder"):
        load_config(written(tmp_path, 'workspace = "~no_such_user/x"\n' + SOURCE))


def test_a_byte_order_mark_is_no_part_of_the_config(tmp_path: Path) -> None:
    config = load_config(written(tmp_path, b"\xef\xbb\xbfseed = 7\r\n" + SOURCE.encode()))
    assert config.seed == 7


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("seeed = 1\n" + SOURCE, ("'seeed'", "did you mean 'seed'?")),
        (SOURCE + "[dedup]\nphash_bits = 1\n", ("[dedup]", "'phash_bits'", "did you mean")),
        (SOURCE + "[lists]\nraf_db_occlu = 3\n", ("[lists], raf_db_occlu", "a path in quotes")),
        (SOURCE + '[lists]\nrafdb_occlu = "x"\n', ("[lists]", "did you mean 'raf_db_occlu'")),
        (SOURCE + "[split]\nvalidation_share = 1.5\n", ("[split]", "found 1.5", "0 to 1")),
        (SOURCE + "[split]\nvalidation_share = nan\n", ("[split]", "found nan", "0 to 1")),
        (SOURCE + '[faces]\ndetector = "dlib"\n', ("[faces]", "'dlib'", "yunet, mtcnn")),
        (SOURCE + "[occlusion]\nseverity_percent = [10, 10]\n", ("[10, 10]", "rising numbers")),
        (SOURCE + "[faces]\nmin_score = true\n", ("[faces], min_score", "found True")),
        ("split = 3\n" + SOURCE, ("split", "found 3", "a table [split]")),
        ('seed = "x"\n' + SOURCE, ("seed", "found 'x'", "a whole number")),
        ('labels = "votes"\n' + SOURCE, ("labels", "'votes'", "one of source")),
        ("workers = -1\n" + SOURCE, ("workers", "found -1", "0 to 1024")),
        ('out = "my set"\n' + SOURCE, ("out", "'my set'", "letters, digits")),
        ("", ("no source", "[[sources]]")),
        ("sources = 1\n", ("sources", "found 1", "[[sources]] tables")),
        (SOURCE + SOURCE, ("two sources", "'synthetic'", "name")),
        ("[[sources]]\ncount = 3\n", ("[[sources]] 1", "kind = None", "image_folder")),
        (SOURCE + 'name = "a b"\n', ("[[sources]] 1", "'a b'", "letters, digits")),
        ("seed = = 1\n", ("not valid TOML", "line 1")),
    ],
)
def test_a_wrong_config_is_refused_with_thing_and_place(
    tmp_path: Path, text: str, words: tuple[str, ...]
) -> None:
    path = written(tmp_path, text)
    with pytest.raises(UsageError) as caught:
        load_config(path)
    for word in (str(path), *words):
        assert word in str(caught.value)


def test_a_missing_config_says_how_to_get_one(tmp_path: Path) -> None:
    with pytest.raises(MissingError, match=r"none\.toml.*occlufer init"):
        load_config(tmp_path / "none.toml")


@pytest.mark.parametrize("data", [b"seed = \xff\xfe\n", None], ids=["not-utf8", "a-folder"])
def test_a_config_that_is_no_text_is_refused(tmp_path: Path, data: bytes | None) -> None:
    path = tmp_path if data is None else written(tmp_path, data)
    with pytest.raises(UsageError, match="cannot be read as UTF-8 text"):
        load_config(path)


def test_the_command_line_wins_where_it_says_something(tmp_path: Path) -> None:
    config = load_config(written(tmp_path, "workers = 3\n" + SOURCE))
    changed = with_overrides(config, out=tmp_path / "other", workspace=None, workers=None)
    assert (changed.out, changed.workers) == (tmp_path / "other", 3)
    assert changed.workspace == config.workspace


@pytest.mark.parametrize(
    ("out", "workers"), [(None, -1), (Path("my set"), None)], ids=["workers", "out"]
)
def test_the_command_line_is_checked_like_the_file(out: Path | None, workers: int | None) -> None:
    config = BuildConfig(sources=(SourceConfig("synthetic", "synthetic", {}),))
    with pytest.raises(UsageError):
        with_overrides(config, out=out, workspace=None, workers=workers)
