"""Files as the published training code writes them."""

import argparse
import os

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from rhmtheory import RHM, InputError
from rhmvalidation.studies import report as reports
from rhmvalidation.studies.published import published_curves

RHM_ = RHM(8, 2, 2, 3)


def write(path, seed, P, losses, model="hcnn", epochs=1, **changes):
    grammar = RHM_.grammar(seed)
    rules = {i: torch.from_numpy(grammar.rules(RHM_.L - i).astype(np.int64)) for i in range(RHM_.L)}
    config = argparse.Namespace(
        model=model, max_epochs=epochs, num_features=8, num_classes=8, num_synonyms=2, tuple_size=2, num_layers=3,
        batch_size=32, accumulation=1, train_size=P, seed_rules=seed,
    )  # fmt: skip
    dynamics = [{"t": t, "testloss": loss, "testacc": 0.0} for t, loss in losses]
    best = {"step": 0, "loss": min(loss for _, loss in losses), "model": {"w": torch.zeros(2)}}
    output = {"rules": rules, "init": {}, "best": best, "model": {}, "dynamics": dynamics, "step": 1}
    torch.save({"config": config, "output": output | changes}, path)
    return path


def test_one_epoch_is_an_online_curve(tmp_path):
    path = write(tmp_path / "a.pt", 0, 3200, [(0, 2.1), (10, 1.0), (50, 1.2), (100, 0.5)])
    (curves,) = published_curves([path])
    assert curves.rhm == RHM_
    assert curves.label == "cnn"
    np.testing.assert_array_equal(curves.P, [320, 1600, 3200])
    np.testing.assert_array_equal(curves.loss, [[1.0, 1.2, 0.5]])
    np.testing.assert_allclose(curves.plateaus, [RHM_.grammar(0).plateaus()])


def test_runs_of_several_epochs_are_points_of_an_offline_curve(tmp_path):
    paths = [
        write(tmp_path / f"{seed}-{P}.pt", seed, P, [(0, 2.1), (5, loss), (9, loss + 1)], "transformer_mla", 100)
        for seed in (0, 1)
        for P, loss in ((64, 1.5), (256, 0.7), (1024, 0.2 + seed / 10))
    ]
    (curves,) = published_curves(paths)
    assert curves.label == "attention"
    np.testing.assert_array_equal(curves.P, [64, 256, 1024])
    np.testing.assert_allclose(curves.loss, [[1.5, 0.7, 0.2], [1.5, 0.7, 0.3]])


def test_several_runs_of_one_grammar_are_rows_whatever_their_files_are_called(tmp_path):
    """They were merged by their minimum, and a NaN in one moved crossings by the order of the names."""
    early, late = [(5, 2.0), (10, np.nan), (20, 0.5)], [(20, 2.0), (40, 1.0), (80, 0.5)]
    found = []
    for names in ("ab", "ba"):
        folder = tmp_path / names
        folder.mkdir()
        for name, losses in zip(names, (early, late), strict=True):
            write(folder / f"{name}.pt", 0, 3200, losses)
        (curves,) = published_curves(sorted(folder.glob("*.pt")))
        assert len(curves.grammars) == 2
        assert set(curves.grammars) == {RHM_.grammar(0).fingerprint[:12]}
        (remark,) = curves.remarks
        assert remark == f"1 losses of {names[0]}.pt are no numbers and are left out"
        found.append(curves)
    np.testing.assert_array_equal(found[0].loss, found[1].loss)
    np.testing.assert_array_equal(np.isnan(found[0].loss).sum(axis=1), [3, 2])
    paths = [write(tmp_path / f"{i}.pt", 0, 64, [(1, 2.0 - i)], epochs=9) for i in range(2)]
    (curves,) = published_curves(paths)
    np.testing.assert_array_equal(np.sort(curves.loss[:, 0]), [1, 2])


def test_a_folder_of_files_is_set_against_the_theory(tmp_path):
    for seed in range(3):
        H = RHM_.grammar(seed).plateaus()
        losses = [(0, 2.1), *((2**i, H[0] * 2.0**-i) for i in range(1, 9))]
        write(tmp_path / f"{seed}.pt", seed, 32 * 256, losses)
    report = reports.report(tmp_path)
    (measurement,) = report.study.comparisons[0].measurements
    assert len(measurement.curves.grammars) == 3
    assert measurement.steps


def test_files_of_another_kind(tmp_path):
    other = tmp_path / "other.pt"
    torch.save({"weights": torch.zeros(3)}, other)
    with pytest.raises(InputError, match="is no run of the published training code"):
        published_curves([other])
    other.write_bytes(b"not a file of torch")
    with pytest.raises(InputError, match="is no run of the published training code"):
        published_curves([other])
    path = write(tmp_path / "clm.pt", 0, 64, [(1, 1.0)], model="transformer_clm")
    with pytest.raises(InputError, match="'transformer_clm': losses of the last token come from hcnn"):
        published_curves([path])


def test_steps_that_no_run_has_are_refused(tmp_path):
    path = write(tmp_path / "a.pt", 0, 3200, [(0, 2.1), (10**400, 1.0)])
    with pytest.raises(InputError, match="is no run of the published training code"):
        published_curves([path])


TABLE = torch.arange(8).reshape(4, 2)
KINDS = {  # made when they are asked for: torch warns of some
    "bfloat16": lambda: TABLE.to(torch.bfloat16),
    "float8": lambda: TABLE.to(torch.float8_e4m3fn),
    "complex": lambda: TABLE.to(torch.complex64).conj(),
    "sparse": lambda: TABLE.to_sparse(),
    "quantised": lambda: torch.quantize_per_tensor(TABLE.float(), 0.1, 0, torch.qint8),
    "meta": lambda: TABLE.to("meta"),
    "expanded": lambda: torch.zeros(1, dtype=torch.int64).expand(1 << 30),
    "none": lambda: None,
}


@pytest.mark.filterwarnings("ignore")  # of torch: quantised tensors go out of use
@pytest.mark.parametrize("kind", KINDS)
def test_rules_that_are_no_table_are_refused(kind, tmp_path):
    rules = dict.fromkeys(range(3), KINDS[kind]())
    path = write(tmp_path / "a.pt", 0, 3200, [(0, 2.1), (10, 1.0)], rules=rules)
    assert path.stat().st_size < 10_000
    with pytest.raises(InputError, match="is no run of the published training code"):
        published_curves([path])


def test_numbers_that_numpy_wrote_are_read_without_numpy(tmp_path):
    losses = [(np.int64(5), np.float64(1.5)), (np.int64(9), np.float32(0.75))]
    path = write(tmp_path / "a.pt", 0, 3200, losses)
    (curves,) = published_curves([path])
    np.testing.assert_array_equal(curves.loss, [[1.5, 0.75]])


class Dangerous:
    def __init__(self, reduced):
        self.reduced = reduced

    def __reduce__(self):
        return self.reduced


def test_nothing_that_a_file_names_is_called(tmp_path):
    made = tmp_path / "made"
    flags = (np.dtype, ("f8", False, True), (3, "<", None, None, None, -1, -1, 2))
    scalar = np._core.multiarray.scalar
    for i, reduced in enumerate([(os.mkdir, (str(made),)), (scalar, (Dangerous(flags), b""))]):
        path = write(tmp_path / f"{i}.pt", 0, 3200, [(0, 2.1), (10, 1.0)], init=Dangerous(reduced), step=reduced)
        if i:  # a number without its bytes
            with pytest.raises(InputError, match="is no run of the published training code"):
                published_curves([path])
        else:
            assert len(published_curves([path])) == 1
    assert not made.exists()


@pytest.mark.parametrize("numel", [1 << 20, 1 << 40])
def test_a_tensor_larger_than_its_bytes_is_refused(numel, tmp_path):
    path = write(tmp_path / "a.pt", 0, 3200, [(0, 2.1), (10, 1.0)])
    saved = torch._utils._rebuild_tensor_v2
    storage = TABLE.untyped_storage()
    broken = Dangerous(
        (
            saved,
            (
                torch.storage.TypedStorage(wrap_storage=storage, dtype=torch.int64, _internal=True),
                0,
                (numel,),
                (1,),
                False,
                {},
            ),
        )
    )
    write(path, 0, 3200, [(0, 2.1), (10, 1.0)], rules={0: broken, 1: broken, 2: broken})
    with pytest.raises(InputError, match=r"larger than the bytes behind it"):
        published_curves([path])
