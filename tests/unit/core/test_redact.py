import pytest

from kraken_flow.core.redact import redact


@pytest.mark.parametrize(
    "name", ["KRAKEN_API_KEY", "KRAKEN_KEY", "DB_PASSWORD", "DB_PASSPHRASE", "GITHUB_TOKEN", "MY_SECRET"]
)
def test_a_secret_variable_s_value_becomes_its_name(monkeypatch, name):
    monkeypatch.setenv(name, "hunter22")
    assert redact("path: /x/hunter22/y") == f"path: /x/<{name}>/y"


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("TOKENIZERS_PARALLELISM", "false"),
        ("TOKENIZERS_PARALLELISM", "parallel"),
        ("MAX_TOKENS", "10000"),
        ("MAX_TOKENS", "100000.0"),
        ("USE_API_KEY", "disabled"),
        ("MONKEYS", "chimpanzee"),
    ],
)
def test_a_setting_does_not_change_what_is_written(monkeypatch, name, value):
    monkeypatch.setenv(name, value)
    assert redact(f"short: {value}") == f"short: {value}"
