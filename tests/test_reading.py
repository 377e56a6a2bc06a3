"""CSV files as people have them: read right, or refused with the line and the way out."""

import io
import sys

import numpy as np
import pytest

from rhmtheory import InputError
from rhmtheory.comparison import read_curves

NAN = float("nan")


@pytest.fixture
def read(tmp_path):
    def of(text):
        path = tmp_path / "curve.csv"
        path.write_text(text, encoding="utf-8", newline="")
        return read_curves(path)

    return of


@pytest.mark.parametrize(
    "text",
    [
        "P,loss\n100,2.5\n300,1.4\n",
        "p, Loss\n100,2.5\n300,1.4\n",
        "P;loss\n100;2,5\n300;1,4\n",
        "P\tloss\n100\t2.5\n300\t1,4\n",
        ",P,loss\n0,100,2.5\n1,300,1.4\n",
        "\ufeffP,loss\r\n100,2.5\r\n\r\n300,1.4\r\n",
        "P,loss\n100,2.5,\n300,1.4,,\n",
        '"P","loss"\n"100","2.5"\n"3e2","1.4"\n',
    ],
)
def test_one_curve_in_many_forms(read, text):
    """Case, separators, decimal commas, an index, line ends, empty fields at the end."""
    table = read(text)
    np.testing.assert_array_equal(table.P, [100, 300])
    np.testing.assert_array_equal(table.loss, [[2.5, 1.4]])
    assert (table.grammars, table.loss_error) == (("",), None)


def test_an_empty_cell_is_no_value(read):
    np.testing.assert_array_equal(read("P,loss\n100,2.5\n300,\n1000,nan\n").loss, [[2.5, NAN, NAN]])


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("P,loss\n100,2,77\n200,1,80\n", r"line 2 has 3 fields under 2 heads: write decimal points, or separate"),
        ("P,loss,loss\n100,2.5,1\n", r"two columns for loss, 'loss' and 'loss': keep the one of the test loss"),
        ("P,Loss,loss\n100,2.5,1\n", r"two columns for loss, 'Loss' and 'loss'"),
        ("P,loss_train,loss_test\n1,2,3\n", r"lacks the column loss: .* it names P, loss_train, loss_test"),
        ("P;loss\n100;2,5;7\n", "line 2 has 3 fields under 2 heads: give each head one field"),
        ("P,loss\n,2.5\n", "line 2 has no P: give the number of samples"),
        ("P,loss\n100,1.4\n100,\n", "line 3: a second loss at P=100"),
        ("P,loss\n100,1.234.5\n", "line 2: loss='1.234.5' is not a number"),
        ("P,loss\n100," + "9" * 200000 + "\n", "cannot be read|not a number"),
    ],
)
def test_forms_that_mislead_are_refused_with_their_line(read, text, message):
    with pytest.raises(InputError, match=message):
        read(text)


def test_wide_tables_have_one_column_per_grammar(read):
    table = read("P,0,seed 1,g.npz\n100,2.5,2.4,2.3\n300,1.4,,1.2\n")
    assert table.grammars == ("0", "1", "g.npz")
    np.testing.assert_array_equal(table.loss, [[2.5, 1.4], [2.4, NAN], [2.3, 1.2]])


def test_batch_and_rate_make_curves_of_their_own(read):
    table = read("P,loss,grammar,batch,rate\n100,2.5,0,32,1\n300,1.4,0,32,1\n200,2,0,64,1\n400,1,0,64,1\n")
    assert (table.batch, table.rate) == ((32, 64), (1, 1))
    (first, one), (second, other) = table.parts()
    assert (first, second) == ("batch 32", "batch 64")
    np.testing.assert_array_equal(one.P, [100, 300])
    np.testing.assert_array_equal(other.loss, [[2, 1]])
    ((words, whole),) = read("P,loss\n100,2.5\n300,1.4\n").parts()
    assert words == ""
    np.testing.assert_array_equal(whole.loss, [[2.5, 1.4]])


def test_standard_input_is_a_dash(monkeypatch):
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b"P,loss\n10,2\n20,1\n")))
    np.testing.assert_array_equal(read_curves("-").loss, [[2, 1]])


def test_our_own_table_of_runs(read):
    heads = "network,protocol,v,m,grammar_seed,run_seed,P,learning_rate,best_loss\n"
    table = read(heads + "cnn,offline,8,2,0,0,100,1.0,2.5\ncnn,offline,8,2,0,0,200,1.0,1.5\n")
    assert (table.grammars, table.rate) == (("0",), (1.0,))
    np.testing.assert_array_equal(table.loss, [[2.5, 1.5]])
    with pytest.raises(InputError, match=r"holds runs of several network .cnn, lcn."):
        read(heads + "cnn,offline,8,2,0,0,100,1.0,2.5\nlcn,offline,8,2,0,0,200,1.0,1.5\n")
    with pytest.raises(InputError, match="online runs, whose curves are not in it"):
        read(heads + "cnn,online,8,2,0,0,100,1.0,2.5\n")
