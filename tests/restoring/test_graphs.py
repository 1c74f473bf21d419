"""Tiles as CUDA graphs, with something in the place of CUDA that runs the function again."""

import contextlib
import logging

import pytest
import torch

from vmambair_arch import Restorer, VmambaIR
from vmambair_arch.errors import InputError
from vmambair_arch.networks.modules.prepared_weights import PreparedWeights, cache_weights
from vmambair_arch.restoring.tiles.graphs import Graphs

FLOAT = torch.float32


class Graph:
    """A graph whose replay calls what was recorded, and writes into the same memory."""

    def __init__(self):
        self.replays, self.again = 0, lambda: None

    def pool(self):
        return "pool"

    def replay(self):
        self.replays += 1
        self.again()


@pytest.fixture
def pools(monkeypatch):
    """The pools that graphs are given, one for each recording."""
    given = []

    @contextlib.contextmanager
    def record(graph, pool, capture_error_mode):
        given.append(pool)
        yield

    monkeypatch.setattr(torch.cuda, "CUDAGraph", Graph)
    monkeypatch.setattr(torch.cuda, "graph", record)
    monkeypatch.setattr(torch.cuda, "device", lambda device: contextlib.nullcontext())
    return given


class Replayed(Graphs):
    """Graphs that know how theirs are replayed."""

    def _record(self, x, dtype):
        graph, given, result = super()._record(x, dtype)
        graph.again = lambda: result.copy_(self.function(given, dtype))
        return graph, given, result


def test_a_tile_is_replayed_from_its_second_call_on(pools):
    graphs = Replayed(lambda x, dtype: 2 * x, torch.nn.Identity())
    tiles = torch.arange(4.0)
    results = [graphs(tile[None], FLOAT) for tile in tiles]
    assert torch.equal(torch.cat(results), 2 * tiles)  # none was written over by a later one
    ((graph, *_),) = graphs.recorded.values()
    assert graph.replays == 3 and pools == [None]


def test_each_shape_and_dtype_has_a_graph_and_all_share_their_memory(pools):
    graphs = Replayed(lambda x, dtype: x.to(dtype), torch.nn.Identity())
    for _ in range(3):
        for shape, dtype in ((2, FLOAT), (3, FLOAT), (3, torch.bfloat16)):
            assert graphs(torch.ones(shape), dtype).dtype == dtype
    assert len(graphs.recorded) == 3 and pools == [None, "pool", "pool"]


def test_a_network_that_cannot_be_recorded_runs_as_it_is(pools, caplog):
    calls = []

    def function(x, dtype):
        calls.append(len(pools))
        if len(calls) == 2:
            raise RuntimeError("operation not permitted when stream is capturing\nmore")
        return x + 1

    graphs, x = Replayed(function, torch.nn.Identity()), torch.ones(1)
    with caplog.at_level(logging.WARNING, "vmambair_arch"):
        assert [graphs(x, FLOAT).item() for _ in range(4)] == [2] * 4
    assert len(pools) == 1 and len(calls) == 5
    (record,) = caplog.records
    assert record.message.endswith("recorded: operation not permitted when stream is capturing")


def tiny() -> VmambaIR:
    torch.manual_seed(0)
    return VmambaIR(dim=4, num_blocks=[1, 0, 0, 0], num_refinement_blocks=0, d_state=2).eval()


def test_a_graph_prepares_its_weights_itself(pools):
    network, held = tiny(), []
    prepared = [module for module in network.modules() if isinstance(module, PreparedWeights)]

    def function(x, dtype):
        held.append([module._cache is not None for module in prepared])
        return x

    graphs = Replayed(function, network)
    with cache_weights(network):
        for _ in range(2):
            graphs(torch.ones(1), FLOAT)
        assert all(module._cache is not None for module in prepared)
    assert all(held[0]) and not any(held[1])


def test_a_picture_by_graphs_is_the_same_picture(pools):
    network, x = tiny(), torch.rand(1, 3, 40, 40)
    options = {"device": "cpu", "tile": 24, "overlap": 8, "precision": "fp32"}
    restorer, plain = (Restorer(network, **options) for _ in range(2))
    run = restorer.tiling.run
    run._call = graphs = Replayed(run._run, network)
    assert torch.equal(restorer.restore_tensor(x), plain.restore_tensor(x))
    ((graph, *_),) = graphs.recorded.values()
    assert graph.replays == 3  # of four tiles


def test_another_device_says_that_it_has_none(caplog):
    with caplog.at_level(logging.WARNING, "vmambair_arch"):
        Restorer(tiny(), device="cpu", tile=24, overlap=8, graphs=True)
    (record,) = caplog.records
    assert record.message == "the device is cpu, and graphs are CUDA's: it runs without"


@pytest.mark.parametrize(
    "options", [{}, {"tile": 64, "compile": True}, {"tile": 64, "pool": "global"}]
)
def test_graphs_need_tiles_of_one_size_and_the_network_as_it_is(options):
    with pytest.raises(InputError, match="graphs needs tiles of one size"):
        Restorer(tiny(), graphs=True, **options)
