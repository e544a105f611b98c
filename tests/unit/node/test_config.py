"""The configuration: sources in their order, every key known, errors that say what to do."""

import re
from pathlib import Path

import pytest

from node.config import ConfigInvalid, NodeConfig, format_config, load_config, make_config, shared_database
from tests.support.pages import SPECS

REQUIRED = {
    "ledger": "aurora.example/main.1",
    "points": "AUR",
    "points_name": 'Aurora "Miles" \\ ü \x7f',
    "url": "https://node.aurora.example",
}


def write(directory: Path, text: str) -> None:
    (directory / "node.toml").write_text(text, encoding="utf-8")


def test_a_formatted_configuration_is_read_back(tmp_path: Path) -> None:
    config = make_config({**REQUIRED, "currencies": ["USD", "EUR"], "port": 9_000})
    write(tmp_path, format_config(config))
    assert load_config(tmp_path) == config


def test_a_key_without_effect_is_taken_and_not_written_again(tmp_path: Path) -> None:
    write(tmp_path, format_config(make_config(REQUIRED)) + "accept_within_seconds = 60\n")
    config = load_config(tmp_path)
    assert config.accept_within_seconds == 60
    assert "accept_within_seconds" not in format_config(config)


def test_every_key_is_explained_on_a_page() -> None:
    pages = "".join(
        path.read_text(encoding="utf-8") for path in [SPECS.parent / "docs/operating.md", *SPECS.glob("*.md")]
    )
    unnamed = [key for key in NodeConfig.model_fields if not re.search(rf"`{key}( = [^`]*)?`", pages)]
    assert unnamed == []


def test_later_sources_win(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(tmp_path, format_config(make_config({**REQUIRED, "port": 1})))
    assert load_config(tmp_path).port == 1
    monkeypatch.setenv("TALLYSTICK_PORT", "2")
    monkeypatch.setenv("TALLYSTICK_CURRENCIES", '["USD"]')
    assert (load_config(tmp_path).port, load_config(tmp_path).currencies) == (2, ("USD",))
    assert load_config(tmp_path, {"port": 3}).port == 3


def test_defaults_listen_on_this_machine_only() -> None:
    config = make_config(REQUIRED)
    assert (config.host, config.database_url, config.log_format) == ("127.0.0.1", "", "json")


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("prot = 1", "unknown key 'prot', did you mean 'port'?"),
        ("colour = 1", "unknown key 'colour'"),
        ('port = "many"', "port: "),
        ("port = 70000", "port: "),
        ('ledger = "Aurora"', "ledger: 'Aurora' is not a ledger name"),
        ('currencies = ["usd"]', "currencies.0: "),
        ('url = "ftp://x"', "url: 'ftp://x' is no URL like https://ledger.aurora.example"),
        ('log_level = "loud"', "log_level: "),
        ("port = ", "cannot be read"),
    ],
)
def test_what_cannot_be_used_is_said(tmp_path: Path, line: str, said: str) -> None:
    key = line.partition(" ")[0]
    kept = [each for each in format_config(make_config(REQUIRED)).splitlines() if not each.startswith(f"{key} ")]
    write(tmp_path, "\n".join([*kept, line]))
    with pytest.raises(ConfigInvalid) as error:
        load_config(tmp_path)
    assert said in str(error.value)


def test_what_is_missing_is_said(tmp_path: Path) -> None:
    with pytest.raises(ConfigInvalid, match="is not a node directory"):
        load_config(tmp_path)
    write(tmp_path, "")
    with pytest.raises(ConfigInvalid, match="the key 'ledger' is missing"):
        load_config(tmp_path)


def test_a_variable_that_is_not_json_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TALLYSTICK_CURRENCIES", "USD")
    with pytest.raises(ConfigInvalid, match="the environment: "):
        make_config(REQUIRED)


def test_the_configuration_does_not_show_a_databases_password() -> None:
    config = make_config({**REQUIRED, "database_url": "postgresql+psycopg://me:secret@host/db"})
    assert "secret" not in repr(config)
    assert isinstance(config, NodeConfig)


@pytest.mark.parametrize("url", ["", "sqlite:////tmp/ledger.sqlite"])
def test_several_processes_share_no_file(url: str) -> None:
    with pytest.raises(ConfigInvalid, match="PostgreSQL"):
        shared_database(make_config({**REQUIRED, "database_url": url}))
    shared = "postgresql+psycopg://host/ledger"
    assert shared_database(make_config({**REQUIRED, "database_url": shared})) == shared
