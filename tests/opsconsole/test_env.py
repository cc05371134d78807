"""Typed readers of environment variables."""

from __future__ import annotations

from pathlib import Path

import pytest
from django.core.exceptions import ImproperlyConfigured

from opsconsole import env


class TestText:
    def test_value_and_default(self) -> None:
        assert env.text("A", "d", {"A": "x"}) == "x"
        assert env.text("A", "d", {"A": ""}) == ""
        assert env.text("A", "d", {}) == "d"
        assert env.text("A", None, {}) is None

    def test_a_secret_from_a_file(self, tmp_path: Path) -> None:
        secret = tmp_path / "secret"
        secret.write_text("from-file\n", encoding="utf-8")
        assert env.text("A", "d", {"A_FILE": str(secret)}) == "from-file"

    def test_both_are_refused(self, tmp_path: Path) -> None:
        with pytest.raises(ImproperlyConfigured, match="A and A_FILE are both set"):
            env.text("A", "d", {"A": "x", "A_FILE": str(tmp_path)})

    def test_a_file_that_cannot_be_read_is_named(self, tmp_path: Path) -> None:
        missing = str(tmp_path / "none")
        with pytest.raises(ImproperlyConfigured, match=f"A_FILE names '{missing}', which cannot be read"):
            env.text("A", "d", {"A_FILE": missing})

    def test_a_file_that_is_no_text(self, tmp_path: Path) -> None:
        secret = tmp_path / "secret"
        secret.write_bytes(b"\xff\xfe")
        with pytest.raises(ImproperlyConfigured, match="cannot be read"):
            env.text("A", "d", {"A_FILE": str(secret)})


class TestBoolean:
    @pytest.mark.parametrize("text", ["1", "true", "YES", "On"])
    def test_true(self, text: str) -> None:
        assert env.boolean("A", default=False, environ={"A": text}) is True

    @pytest.mark.parametrize("text", ["0", "false", "No", "OFF"])
    def test_false(self, text: str) -> None:
        assert env.boolean("A", default=True, environ={"A": text}) is False

    @pytest.mark.parametrize("environ", [{}, {"A": ""}])
    def test_default(self, environ: dict[str, str]) -> None:
        assert env.boolean("A", default=True, environ=environ) is True

    def test_anything_else_is_refused_with_what_is_allowed(self) -> None:
        with pytest.raises(ImproperlyConfigured, match="A is 'maybe'; allowed are 0, 1, false, no, off, on, true, yes"):
            env.boolean("A", default=True, environ={"A": "maybe"})


class TestInteger:
    def test_value_and_default(self) -> None:
        assert env.integer("A", 5, environ={"A": "7"}) == 7
        assert env.integer("A", 5, environ={"A": ""}) == 5
        assert env.integer("A", 5, environ={}) == 5

    @pytest.mark.parametrize("text", ["x", "1.5", "1 0"])
    def test_no_number(self, text: str) -> None:
        with pytest.raises(ImproperlyConfigured, match=f"A is '{text}'; a whole number is needed"):
            env.integer("A", 5, environ={"A": text})

    def test_too_small(self) -> None:
        with pytest.raises(ImproperlyConfigured, match="A is -1; at least 0 is needed"):
            env.integer("A", 5, environ={"A": "-1"})


class TestChoice:
    @pytest.mark.parametrize(("environ", "chosen"), [({}, "line"), ({"A": ""}, "line"), ({"A": "JSON"}, "json")])
    def test_value_and_default(self, environ: dict[str, str], chosen: str) -> None:
        assert env.choice("A", "line", ("line", "json"), environ) == chosen

    def test_anything_else_is_refused_with_what_is_allowed(self) -> None:
        with pytest.raises(ImproperlyConfigured, match=r"A is 'xml'; allowed are 'line' \(the default\) and 'json'"):
            env.choice("A", "line", ("line", "json"), {"A": "xml"})


def test_words() -> None:
    assert env.words("A", ("d",), {}) == ["d"]
    assert env.words("A", ("d",), {"A": ""}) == []
    assert env.words("A", (), {"A": " a, b ,,c"}) == ["a", "b", "c"]


def test_reachable() -> None:
    assert env.reachable("A", {}) == []
    given = "10.0.0.0/8, ::1, Hooks.Internal., localhost, 192.168.1.7"
    assert env.reachable("A", {"A": given}) == ["10.0.0.0/8", "::1", "hooks.internal", "localhost", "192.168.1.7"]
    for wrong in ("10.0.0.0/33", "10.0.0.1/8", "*", "*.internal", "http://x.internal", "10.0.0", "x.internal:80"):
        with pytest.raises(ImproperlyConfigured, match="neither a network"):
            env.reachable("A", {"A": wrong})


class TestPostgres:
    def test_parts_and_options(self) -> None:
        entry = env.postgres("A", "", {"A": "postgresql://me:p%40ss@db:5433/console?sslmode=require"})
        assert entry == {
            "ENGINE": "django.db.backends.postgresql",
            "HOST": "db",
            "PORT": "5433",
            "NAME": "console",
            "USER": "me",
            "PASSWORD": "p@ss",
            "OPTIONS": env.KEEPALIVES | {"sslmode": "require", "options": env.IDLE_IN_TRANSACTION},
        }

    def test_what_the_url_sets_for_the_session_comes_last_and_counts(self) -> None:
        own = "-c idle_in_transaction_session_timeout=60s"
        entry = env.postgres("A", "", {"A": f"host=db dbname=console options='{own}'"})
        assert entry["OPTIONS"] == env.KEEPALIVES | {"options": f"{env.IDLE_IN_TRANSACTION} {own}"}

    def test_what_is_no_url_is_refused_without_repeating_a_password(self) -> None:
        with pytest.raises(ImproperlyConfigured, match="A is no PostgreSQL URL") as refused:
            env.postgres("A", "", {"A": "postgresql://me:hidden-password@db:5433:1/x?nonsense"})
        assert "hidden-password" not in str(refused.value)
