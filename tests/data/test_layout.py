"""A table of another form is said to be of that form, before it is said to be cut off."""

import time
from functools import partial

import numpy as np
import pytest
import refusals

from kgml_jax.data import tables
from kgml_jax.errors import DataError

TABLE = "site,time,NEE\nA,2001-01-01,1.5\nA,2001-01-02,2.5\nA,2001-01-03,3.5\n"


def columns(text, file="plot.csv"):
    return tables.columns(text if isinstance(text, bytes) else text.encode(), file)


refused = partial(refusals.refused, columns)


def test_comment_lines_at_the_head_are_passed_over():
    found = columns("# Site: A\n# Version: 2\n" + TABLE)
    np.testing.assert_allclose(found["NEE"], [1.5, 2.5, 3.5])


def test_rows_are_counted_as_an_editor_counts_them():
    table = columns("# one\n# two\n" + TABLE.replace("2.5", "broken").replace("\nA,", "\n\nA,"))
    with pytest.raises(DataError, match="row 7"):
        tables.numbers(table["NEE"], "plot.csv", None, "NEE")


@pytest.mark.parametrize(
    ("separator", "words"), [(";", "semicolons"), ("\t", "tabs"), ("|", "bars")]
)
def test_another_separator_is_named_with_what_makes_commas_of_it(separator, words):
    refused(TABLE.replace(",", separator), words, f"sep={separator!r}", "read_csv")


def test_decimal_commas_between_semicolons_are_named():
    refused(
        TABLE.replace(",", ";").replace(".", ","), "semicolons", "decimal commas", 'decimal=","'
    )


def test_decimal_commas_between_commas_are_named():
    refused(TABLE.replace(".5", ",5"), "decimal commas", "4 fields in row 2", "A,2001-01-01,1,5")


def test_a_decimal_comma_in_quotes_is_named():
    table = columns(TABLE.replace("2.5", '"2,5"'))
    with pytest.raises(DataError, match="a point in a number"):
        tables.numbers(table["NEE"], "plot.csv", None, "NEE")


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("A,2001-01-02,2.5,9", "too many"),
        ("A,2001-01-02", "too few"),
        ('A,"x,y",2.5,9', "too many"),
    ],
)
def test_a_row_with_a_field_too_many_or_too_few_is_named(line, words):
    refused(TABLE.replace("A,2001-01-02,2.5", line), "row 3", words, "expected 3")


def test_only_a_last_line_that_is_too_short_is_cut_off():
    refused(TABLE[:-6], "cut off", "found 2 fields")


@pytest.mark.parametrize("name", ["NEE", " NEE ", '"NEE"'])
def test_a_column_that_stands_twice_is_refused_and_none_of_them_read(name):
    text = TABLE.replace("NEE", f"NEE,{name}").replace(".5\n", ".5,9\n")
    refused(text, "NEE", "more than once", "columns 3 and 4")


def test_a_table_without_a_line_of_names_is_told():
    refused("# site,time\n1,20010101\n2,20010102\n", "no line of names", "take out the #")


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (TABLE.encode("utf-16"), "UTF-16"),
        (TABLE.replace("2.5", "\0\0").encode(), "null bytes"),
        (TABLE.replace("A,", "\xe9,").encode("latin-1"), "not a table"),
        (b"x" * 2**21 + b"\n1\n", "longer than 1 MiB"),
        (b"", "no rows"),
        (b"# nothing\n", "no rows"),
    ],
)
def test_what_is_no_table_in_utf_8_is_refused(data, words):
    refused(data, "plot.csv", words)


@pytest.mark.parametrize(
    "change",
    [("\n", "\r\n"), ("\n", "\r"), ("\n", "\r\r\n"), ("1.5\n", "1.5\r\n"), ("site", "\ufeffsite")],
)
def test_line_ends_and_byte_order_marks_of_other_systems_are_read(change):
    found = columns(TABLE.replace(*change))
    assert list(found) == ["site", "time", "NEE"]
    assert found["site"].tolist() == ["A", "A", "A"]


def test_a_line_end_of_another_kind_within_a_line_is_named():
    damaged = "# one\r\n" + TABLE.replace("\n", "\r\n").replace("2.5", "2\r5")
    refused(damaged, "a line end of another kind stands within a line", "return in line 4")


@pytest.mark.parametrize(("count", "words"), [(10_000, "too few"), (10_001, "is no table")])
def test_a_header_of_more_names_than_any_table_has_is_no_table(count, words):
    names = ",".join(f"v{place}" for place in range(count))
    refused(f"{names}\n1,2\n1,2\n", words, str(count))


def test_the_time_for_comment_lines_grows_with_their_number():
    start = time.process_time()
    table = columns("# a remark\n" * 300_000 + TABLE.replace("2.5", "broken"))
    # Were the rest copied for each of them, it would be most of a minute.
    assert time.process_time() - start < 15.0
    with pytest.raises(DataError, match="row 300003"):
        tables.numbers(table["NEE"], "plot.csv", None, "NEE")


def test_columns_of_names_are_text_and_others_as_they_stand():
    found = columns("site,group,NEE\n01001,NA,NA\nNA,007,1\nnull,NaN,-9999\n")
    assert found["site"].tolist() == ["01001", "NA", "null"]
    assert found["group"].tolist() == ["NA", "007", "NaN"]
    values = tables.numbers(found["NEE"], "plot.csv", None, "NEE")
    np.testing.assert_array_equal(values, [np.nan, 1.0, np.nan])
