"""Names as a person would have chosen them, and source as ``ruff format`` leaves it."""

from __future__ import annotations

import ast
import keyword
import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from infrastructure.database.codegen import names, source
from infrastructure.database.models.base import Model

WORDS = [
    ("people", "person"), ("order_lines", "order_line"), ("addresses", "address"),
    ("status", "status"), ("statuses", "status"), ("news", "news"), ("series", "series"),
    ("data", "data"), ("categories", "category"), ("boxes", "box"), ("children", "child"),
    ("analyses", "analysis"), ("movies", "movie"), ("topics", "topic"), ("menus", "menu"),
    ("address", "address"), ("campus", "campus"), ("buses", "bus"), ("criteria", "criterion"),
    ("user_settings", "user_setting"), ("gas", "gas"), ("databases", "database"),
]  # fmt: skip


@pytest.mark.parametrize(("many", "one"), WORDS)
def test_a_class_is_called_in_the_singular(many: str, one: str) -> None:
    assert names.singular(many) == one
    assert names.singular(one) == one


@pytest.mark.parametrize(("many", "one"), [pair for pair in WORDS if pair[0] != "address"])
def test_a_list_is_called_in_the_plural(many: str, one: str) -> None:
    if (many, one) in [("status", "status"), ("campus", "campus")]:
        return
    assert names.plural(one) == names.plural(many) == many


@pytest.mark.parametrize(
    ("name", "attribute"),
    {
        "AlbumId": "album_id", "XMLHttpRequest": "xml_http_request", "class": "class_",
        "first name": "first_name", "2nd-name": "column_2nd_name", "_private": "private",
        "metadata": "metadata_", "model_config": "model_config_", "json": "json_", "copy": "copy_",
        "dict": "dict_", "int": "int_", "date": "date", "id": "id", "type": "type",
        "größe": "größe",
        "☃": "column", "100%": "column_100", "model_dump_all": "column_model_dump_all",
    }.items(),
)  # fmt: skip
def test_an_attribute_is_called_as_its_column_as_far_as_python_lets_it(
    name: str, attribute: str
) -> None:
    assert names.attribute(name, ()) == attribute


@pytest.mark.parametrize(
    ("table", "name"),
    {
        "order_items": "OrderItem", "models": "ModelModel", "fields": "FieldModel",
        "dates": "DateModel", "123": "Table123", "☃": "TableModel", "tags": "Tag", "日本": "日本",
    }.items(),
)  # fmt: skip
def test_no_class_hides_what_modules_import(table: str, name: str) -> None:
    assert names.camel(names.singular(table)) == name


@given(st.text(min_size=1))
def test_every_name_becomes_one_that_python_takes(name: str) -> None:
    for made in (names.attribute(name, ()), names.camel(name), names.module(name)):
        assert made.isidentifier()
        assert not keyword.iskeyword(made)
    assert names.attribute(name, ()) not in dir(Model)
    assert names.module(name).isascii()


@given(st.text())
def test_a_literal_is_the_text(text: str) -> None:
    assert ast.literal_eval(source.literal(text)) == text


@given(st.text(alphabet=st.characters(codec="utf-8")))
def test_a_docstring_is_valid_python_whatever_it_says(text: str) -> None:
    lines = source.docstring(text, 0)
    assert all(isinstance(node, ast.Expr) for node in ast.parse("\n".join(lines)).body)


TEXTS = ["plain", 'with "quotes"', "with 'others'", "both \" and '", "back\\slash", "a\nb", 'ends"']


def test_literals_and_docstrings_are_as_ruff_writes_them() -> None:
    lines = []
    for at, text in enumerate(TEXTS):
        lines += [*(["", ""] if at else []), f"class A{at}:", *source.docstring(text), ""]
        lines.append(f"    x = {source.literal(text)}")
    code = "\n".join([*lines, ""])
    command = [sys.executable, "-m", "ruff", "format", "--isolated", "-"]
    done = subprocess.run(command, input=code, capture_output=True, text=True, check=True)
    assert done.stdout == code
