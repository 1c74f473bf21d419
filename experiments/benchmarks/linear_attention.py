"""Time onnxruntime's LinearAttention against the loop over pixels that exported files have.

    python experiments/benchmarks/linear_attention.py

runs the recurrence of one planar scan of 64 x 64 pixels and 48 channels in both, in turn, and
prints the fastest of ten runs on one thread for 4 and 16 states, and how far the results differ.
LinearAttention (com.microsoft, since onnxruntime 1.32) needs the decay and B of every pixel,
channel and state; making them is a part of its time.
"""

import json
import time

import numpy as np
import onnxruntime
from onnx import TensorProto, ValueInfoProto, helper

from vmambair_arch.exporting.onnx_scans import recurrence
from vmambair_arch.system import machine

PIXELS, CHANNELS, RUNS = 64 * 64, 48, 10
SHAPES = {  # of n states, as recurrence has them
    "h": lambda n: (4, n, CHANNELS),
    "delta": lambda n: (PIXELS, 4, 1, CHANNELS),
    "delta_u": lambda n: (PIXELS, 4, 1, CHANNELS),
    "B": lambda n: (PIXELS, 4, n, 1),
    "C": lambda n: (PIXELS, 4, 1, n),
    "A": lambda n: (4, n, CHANNELS),
}


def main() -> None:
    """Print a line for each number of states."""
    for n in (4, 16):
        inputs = random_inputs(n)
        runs = {"loop": session(as_loop(n)), "operator": session(with_linear_attention(n))}
        results, seconds = {}, {name: [] for name in runs}
        for _ in range(RUNS):
            for name, run in runs.items():
                start = time.process_time()
                results[name] = np.asarray(run.run(None, inputs)[0]).ravel()
                seconds[name].append(time.process_time() - start)
        row = {"states": n, **{name: min(each) for name, each in seconds.items()}}
        row["difference"] = float(np.abs(results["loop"] - results["operator"]).max())
        row["largest"] = float(np.abs(results["loop"]).max())
        print(
            json.dumps(
                {**row, "processor": machine.processor(), "onnxruntime": onnxruntime.__version__}
            )
        )


def random_inputs(n: int) -> dict[str, np.ndarray]:
    """Inputs of usual size: states start at zero, and decay."""
    generator = np.random.default_rng(0)
    inputs = {k: generator.normal(size=of(n)).astype(np.float32) for k, of in SHAPES.items()}
    inputs["delta"] = np.log1p(np.exp(inputs["delta"]))
    inputs["A"] = -np.exp(inputs["A"])
    inputs["h"] *= 0
    return inputs


def infos(n: int) -> list[ValueInfoProto]:
    """The inputs of a graph."""
    return [helper.make_tensor_value_info(k, TensorProto.FLOAT, of(n)) for k, of in SHAPES.items()]


def as_loop(n: int) -> bytes:
    """The recurrence of exported files."""
    model = recurrence.to_model_proto()
    for given, known in zip(model.graph.input, infos(n), strict=True):
        given.CopyFrom(known)
    model.graph.output[0].CopyFrom(
        helper.make_tensor_value_info(
            model.graph.output[0].name, TensorProto.FLOAT, (PIXELS, 4, 1, CHANNELS)
        )
    )
    return model.SerializeToString()


def with_linear_attention(n: int) -> bytes:
    """The same recurrence: a head for each channel, with n keys and one value."""
    heads = helper.make_tensor("heads", TensorProto.INT64, [3], [4, PIXELS, CHANNELS * n])
    values = helper.make_tensor("values", TensorProto.INT64, [3], [4, PIXELS, CHANNELS])
    states = helper.make_tensor("states", TensorProto.INT64, [3], [4, PIXELS, n])
    full = helper.make_tensor("full", TensorProto.INT64, [4], [4, PIXELS, CHANNELS, n])
    nodes = [
        helper.make_node("Transpose", ["delta"], ["step"], perm=[1, 0, 3, 2]),  # (4, l, d, 1)
        helper.make_node("Transpose", ["A"], ["A_last"], perm=[0, 2, 1]),
        helper.make_node("Unsqueeze", ["A_last", "one"], ["A_all"]),
        helper.make_node("Mul", ["step", "A_all"], ["decays"]),
        helper.make_node("Reshape", ["decays", "heads"], ["decay"]),
        helper.make_node("Transpose", ["B"], ["keys"], perm=[1, 0, 3, 2]),  # (4, l, 1, n)
        helper.make_node("Expand", ["keys", "full"], ["all_keys"]),
        helper.make_node("Reshape", ["all_keys", "heads"], ["key"]),
        helper.make_node("Transpose", ["delta_u"], ["inputs"], perm=[1, 0, 3, 2]),
        helper.make_node("Reshape", ["inputs", "values"], ["value"]),
        helper.make_node("Transpose", ["C"], ["reads"], perm=[1, 0, 3, 2]),
        helper.make_node("Reshape", ["reads", "states"], ["query"]),
        helper.make_node(
            "LinearAttention",
            ["query", "key", "value", "", "decay"],
            ["attended", "last"],
            domain="com.microsoft",
            q_num_heads=1,
            kv_num_heads=CHANNELS,
            update_rule="gated",
            scale=1.0,
        ),
        helper.make_node("Transpose", ["attended"], ["y"], perm=[1, 0, 2]),
    ]
    graph = helper.make_graph(
        nodes,
        "linear_attention",
        infos(n),
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, (PIXELS, 4, CHANNELS))],
        [heads, values, states, full, helper.make_tensor("one", TensorProto.INT64, [1], [1])],
    )
    domains = [helper.make_opsetid("", 18), helper.make_opsetid("com.microsoft", 1)]
    model = helper.make_model(graph, opset_imports=domains, ir_version=10)
    return model.SerializeToString()


def session(model: bytes) -> onnxruntime.InferenceSession:
    """A session on one thread."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    return onnxruntime.InferenceSession(model, options, ["CPUExecutionProvider"])


if __name__ == "__main__":
    main()
