"""Sentences as torch datasets."""

import itertools

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from rhmtheory import RHM, InputError, zipf
from rhmvalidation import Sentences, SentenceStream

GRAMMAR = RHM(v=(5, 4), m=(2, 3), s=(2, 3), L=2, n=3, rule_probabilities=[zipf(2, 1.0), zipf(3, 0.5)]).grammar(0)


def test_fixed_sentences_are_those_of_the_grammar():
    data = Sentences(GRAMMAR, 50, seed=4)
    assert len(data) == 50
    np.testing.assert_array_equal(torch.stack(list(data)), GRAMMAR.sample(50, 4))
    assert data[-1].dtype == torch.int64
    with pytest.raises(IndexError):
        data[50]


@pytest.mark.parametrize(
    "make", [lambda **w: Sentences(GRAMMAR, 64, **w), lambda **w: SentenceStream(GRAMMAR, **w)]
)
def test_symbols_and_rules_are_those_that_wrote_the_tokens(make):
    loader = torch.utils.data.DataLoader(make(symbols=True, rules=True), batch_size=32)
    batch = next(iter(loader))
    assert [level.shape for level in batch["symbols"]] == [(32, 6), (32, 3), (32, 1)]
    assert [level.shape for level in batch["rules"]] == [(32, 3), (32, 1)]
    levels = GRAMMAR.parse(batch["tokens"].numpy()).levels
    for level, symbols in enumerate(batch["symbols"]):
        np.testing.assert_array_equal(symbols, levels[level])
        if level:
            written = GRAMMAR.rules(level)[symbols, batch["rules"][level - 1]].reshape(32, -1)
            np.testing.assert_array_equal(written, levels[level - 1])
    assert set(next(iter(make(rules=True)))) == {"tokens", "rules"}


def test_workers_share_out_the_sentences_of_one_stream():
    def blocks(workers):
        loader = torch.utils.data.DataLoader(SentenceStream(GRAMMAR, seed=1), batch_size=1024, num_workers=workers)
        return [batch.tolist() for batch in itertools.islice(loader, 4)]

    alone, shared = blocks(0), blocks(2)
    assert sorted(alone) == sorted(shared)
    assert len({str(block) for block in alone}) == 4


@pytest.mark.parametrize("workers", [0, 2])
def test_ranks_of_a_distributed_run_share_out_the_sentences_of_one_stream(workers, tmp_path):
    """Two processes of a group, each with a loader of its own."""
    torch.multiprocessing.spawn(_save_blocks, (tmp_path, workers), nprocs=2)
    shared = [block.tolist() for rank in range(2) for block in torch.load(tmp_path / f"{rank}.pt")]
    loader = torch.utils.data.DataLoader(SentenceStream(GRAMMAR, seed=1), batch_size=1024)
    alone = [batch.tolist() for batch in itertools.islice(loader, 4)]
    assert sorted(shared) == sorted(alone)


def _save_blocks(rank, folder, workers):
    torch.distributed.init_process_group("gloo", init_method=f"file://{folder}/meet", rank=rank, world_size=2)
    stream = SentenceStream(GRAMMAR, seed=1)
    context = "spawn" if workers else None  # a spawned worker knows nothing of the group
    loader = torch.utils.data.DataLoader(
        stream, batch_size=1024, num_workers=workers, multiprocessing_context=context
    )
    torch.save(list(itertools.islice(loader, 2)), folder / f"{rank}.pt")
    torch.distributed.destroy_process_group()


def test_a_stream_begins_anew_with_the_same_sentences():
    first, again, other = SentenceStream(GRAMMAR, 3), SentenceStream(GRAMMAR, 3), SentenceStream(GRAMMAR, 4)
    take = [torch.stack(list(itertools.islice(iter(s), 100))) for s in (first, first, again, other)]
    assert torch.equal(take[0], take[1])
    assert torch.equal(take[0], take[2])
    assert not torch.equal(take[0], take[3])


def test_sentences_that_cannot_be():
    with pytest.raises(InputError, match="n=0 is too small"):
        Sentences(GRAMMAR, 0)
    with pytest.raises(InputError, match="seed=-1"):
        SentenceStream(GRAMMAR, -1)
