"""Text and numbers as other programs write them."""

import numpy as np
import pytest

from cellfields.errors import CorruptFileError, InputError
from cellfields.text import decode_text, parse_number, parse_numbers, read_text, with_c_exponents


@pytest.mark.parametrize(
    ("token", "value"),
    [
        ("1.5", 1.5),
        ("-1.5E-3", -1.5e-3),
        ("1.5D-3", 1.5e-3),
        ("1.5d+03", 1.5e3),
        ("0.33004-101", 0.33004e-101),
        ("-0.33004+101", -0.33004e101),
        (".5D0", 0.5),
        ("2.D1", 20.0),
    ],
)
def test_a_number_may_have_a_c_or_a_fortran_exponent(token: str, value: float) -> None:
    assert parse_number(token) == value
    assert float(with_c_exponents(token)) == value


@pytest.mark.parametrize("token", ["", "1/3", "?", "1.2.3", "12D", "D3", "1-2-3", "abc", "Dy", "D-3"])
def test_what_is_no_number_is_refused(token: str) -> None:
    with pytest.raises(ValueError, match="could not convert"):
        parse_number(token)


def test_negative_numbers_beside_each_other_stay_apart() -> None:
    np.testing.assert_array_equal(parse_numbers("1.0 -2.0\n3.5D-1 -4", 4), [1.0, -2.0, 0.35, -4.0])


@pytest.mark.parametrize("text", ["1 2", "1 2 3 4", "1 2 x"])
def test_another_count_or_a_word_is_refused(text: str) -> None:
    with pytest.raises(CorruptFileError):
        parse_numbers(text, 3)


def test_marks_and_latin_letters_are_read(tmp_path) -> None:
    path = tmp_path / "text"
    for data, text in [
        (b"\xef\xbb\xbfx = 1", "x = 1"),
        ("Schrödinger".encode("latin-1"), "Schrödinger"),
        ("Schrödinger".encode(), "Schrödinger"),
    ]:
        path.write_bytes(data)
        assert read_text(path) == text


def test_what_is_no_text_or_too_large_or_missing_is_refused(tmp_path) -> None:
    with pytest.raises(CorruptFileError, match="density is no text file"):
        decode_text(b"a\0b", "density")
    path = tmp_path / "text"
    path.write_bytes(b"12345")
    with pytest.raises(InputError, match="larger than"):
        read_text(path, most=4)
    with pytest.raises(InputError, match="cannot read"):
        read_text(tmp_path / "absent")
