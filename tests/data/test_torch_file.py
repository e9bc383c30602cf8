"""Files of torch.save are read as data; whatever else they hold is refused and not run."""

import pickle
import zipfile
from contextlib import suppress

import numpy as np
import pytest
import refusals
import torch_writer as writer
from torch_writer import Raw, Tensor, called, named, tensor

from kgml_jax.data.formats.torch_file import load
from kgml_jax.data.formats.torch_pickle import DEEPEST
from kgml_jax.errors import DataError

WRITERS = [writer.save, writer.save_legacy]
TRACES = []


def trace(*arguments):
    """What a hostile pickle would run."""
    TRACES.append(arguments)


def refused(path, *words):
    refusals.refused(load, path, path.name, *words)


@pytest.mark.parametrize("write", WRITERS)
@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("dtype", ["f8", "f4", "f2", "i8", "i4", "u1", "?"])
def test_tensors_of_every_type_come_back(tmp_path, write, order, dtype):
    values = np.arange(12).reshape(3, 4).astype(dtype)
    path = write(tmp_path / "one.sav", {"x": tensor(values), "n": [tensor(values[0])]}, order)
    found = load(path)
    np.testing.assert_array_equal(found["x"], values)
    np.testing.assert_array_equal(found["n"][0], values[0])
    assert found["x"].dtype == np.dtype(dtype)


@pytest.mark.parametrize("order", ["<", ">"])
def test_bfloat16_becomes_float32(tmp_path, order):
    values = np.array([1.0, -2.5, 0.0, 3.140625], np.float32)
    upper = (values.view(np.uint32) >> 16).astype(np.uint16)
    stored = Tensor(upper, (4,), (1,), kind="bfloat16")
    found = load(writer.save(tmp_path / "one.sav", {"x": stored}, order))
    np.testing.assert_array_equal(found["x"], values)


@pytest.mark.parametrize("write", WRITERS)
@pytest.mark.parametrize(
    ("size", "stride", "offset", "expected"),
    [
        ((4, 3), (1, 4), 0, np.arange(12.0).reshape(3, 4).T),
        ((2, 2), (4, 2), 4, np.arange(12.0).reshape(3, 4)[1:, ::2]),
        ((3, 2), (0, 0), 7, np.full((3, 2), 7.0)),
        ((), (), 11, np.array(11.0)),
        ((0, 3), (3, 1), 0, np.empty((0, 3))),
    ],
)
def test_strides_and_offsets_are_followed(tmp_path, write, size, stride, offset, expected):
    stored = Tensor(np.arange(12.0), size, stride, offset)
    found = load(write(tmp_path / "one.sav", {"x": stored}))["x"]
    np.testing.assert_array_equal(found, expected)


def test_two_tensors_may_share_a_storage(tmp_path):
    storage = np.arange(6.0)
    value = [Tensor(storage, (3,), (1,), 0, key="0"), Tensor(storage, (3,), (1,), 3, key="0")]
    found = load(writer.save(tmp_path / "one.sav", value))
    np.testing.assert_array_equal(found, [[0, 1, 2], [3, 4, 5]])


def test_numpy_arrays_scalars_and_plain_values_come_back(tmp_path):
    value = {
        "scaler": np.arange(6.0).reshape(3, 2),
        "fortran": np.asfortranarray(np.arange(6).reshape(2, 3)),
        "big": np.arange(3, dtype=">i4"),
        "text": np.array(["17001", "18003"]),
        "objects": np.array(["a", 3], dtype=object),
        "number": np.float32(2.5),
        "plain": [None, True, -3, 2**70, 2.5, "GPP", b"\xff", (1, (2,), [])],
    }
    found = load(writer.save(tmp_path / "one.sav", value))
    for name in ("scaler", "fortran", "big", "text", "objects", "number"):
        np.testing.assert_array_equal(found[name], value[name])
    assert found["plain"] == value["plain"]


@pytest.mark.parametrize("protocol", [2, 3, 4])
def test_memo_and_newer_protocols_are_read(tmp_path, protocol):
    scaler = np.arange(4.0)
    value = {"a": scaler, "b": scaler, "names": ["Ra"] * 3}
    path = writer.save(tmp_path / "one.sav", Raw(pickle.dumps(value, protocol)[2:-1]))
    found = load(path)
    assert found["a"] is found["b"]
    assert found["names"] == ["Ra"] * 3


def test_metadata_of_a_state_dictionary_is_passed_over(tmp_path):
    ordered = b"ccollections\nOrderedDict\n)R" + writer.encode("epoch") + b"K\x03s"
    body = Raw(ordered + writer.encode({"_metadata": {"": {"version": 1}}}) + b"b")
    assert load(writer.save(tmp_path / "one.sav", body)) == {"epoch": 3}


HOSTILE = {
    "os.system": called(named("os", "system"), "touch /tmp/owned"),
    "posix.system": called(named("posix", "system"), "touch /tmp/owned"),
    "builtins.eval": called(named("builtins", "eval"), "1/0"),
    "__builtin__.getattr": named("__builtin__", "getattr"),
    "test_torch_file.trace": called(named("test_torch_file", "trace"), 1),
    "torch.nn.Linear": named("torch.nn", "Linear"),
    "torch.storage._load_from_bytes": called(named("torch.storage", "_load_from_bytes"), b""),
    "numpy.load": called(named("numpy", "load"), "x"),
    "collections.OrderedDict.__init__": named("collections", "OrderedDict.__init__"),
}


@pytest.mark.parametrize("write", WRITERS)
@pytest.mark.parametrize("name", HOSTILE)
def test_any_other_name_is_refused_and_nothing_runs(tmp_path, write, name):
    refused(write(tmp_path / "evil.sav", {"X_train": HOSTILE[name]}), name, "nothing of it was run")
    assert not TRACES


class Reduced:
    def __reduce__(self):
        return trace, ("run",)


@pytest.mark.parametrize("protocol", [2, 4])
def test_a_reduced_object_is_refused(tmp_path, protocol):
    body = Raw(pickle.dumps({"x": Reduced()}, protocol)[2:-1])
    refused(writer.save(tmp_path / "evil.sav", body), "trace")
    assert not TRACES


ANNOUNCED = called(
    named("numpy.core.multiarray", "_reconstruct"), named("numpy", "ndarray"), (0,), b"b"
)


def array_of(kind, data, shape=(1,)):
    """An array as NumPy pickles it, with any data."""
    state = (1, shape, called(named("numpy", "dtype"), kind, False, True), False, data)
    return Raw(ANNOUNCED.opcodes + writer.encode(state) + b"b")


def test_lists_in_lists_are_not_multiplied_into_an_array(tmp_path):
    # Each list holds the one before twice: 2^60 numbers, if they were counted.
    nested = Raw(b"]q\x00K\x01a0" + b"](h\x00h\x00eq\x000" * 60 + b"h\x00")
    path = writer.save(tmp_path / "one.sav", {"x": array_of("O", [nested])})
    (found,) = load(path)["x"]
    assert isinstance(found, list)


def nested(levels):
    return Raw(b"]" * levels + b"a" * (levels - 1))


def test_containers_within_containers_are_read_to_a_depth_that_no_file_has(tmp_path):
    found = load(writer.save(tmp_path / "deep.sav", nested(DEEPEST + 1)))
    for _ in range(DEEPEST):
        (found,) = found
    assert found == []
    refused(writer.save(tmp_path / "deeper.sav", nested(DEEPEST + 2)), "more than 32 levels")


def test_a_list_or_a_dictionary_within_itself_is_refused(tmp_path):
    for body in (b"]q\x00h\x00a", b"}q\x00K\x01h\x00s"):
        refused(writer.save(tmp_path / "ring.sav", Raw(body)), "more than 32 levels")


def test_the_time_of_reading_grows_with_the_length_of_a_pickle(tmp_path):
    # Were the stack or the memo walked at every step, these would be 10^9 steps and more.
    count = 30_000
    marks = Raw(b"(" + b"N" * count + b"(t" * count + b"t")
    types = called(named("numpy", "dtype"), "f8", False, True).opcodes
    state = writer.encode((3, ">"))
    built = Raw(b"(" + (types + b"r\x00\x00\x00\x00" + state + b"b") * 3_000 + b"t")
    found = load(writer.save(tmp_path / "one.sav", [marks, built]))
    assert len(found[0]) == 2 * count
    assert set(found[1]) == {np.dtype(">f8")}


ODD = {
    "a number of bytes": array_of("f8", 10**12),
    "bytes of a list": array_of("f8", [1, 2]),
    "calls a value": Raw(b"cnumpy\nndarray\n)R"),
    "calls a storage class": Raw(b"ctorch\nFloatStorage\n)R"),
    "calls text": Raw(writer.encode("os.system") + b")R"),
    "calls with a list": Raw(b"ccollections\nOrderedDict\n]R"),
    "gives state to a name": Raw(b"ccollections\nOrderedDict\n}b"),
    "gives state to a list": Raw(b"]}b"),
    "new object": Raw(b"ccollections\nOrderedDict\n)\x81"),
    "instance": Raw(b"(iposix\nsystem\n"),
    "object": Raw(b"(cposix\nsystem\no"),
    "extension": Raw(b"\x82\x01"),
    "memo never written": Raw(b"h\x07"),
    "name from the memo": Raw(writer.encode("os") + writer.encode("system") + b"\x93"),
    "nested tuples as a key": Raw(b"}" + b")" + b"q\x00h\x00\x86" * 40 + b"Ns"),
    "keys of an ordered dictionary": called(
        named("collections", "OrderedDict"), [(Raw(b")" + b"q\x00h\x00\x86" * 40), 1)]
    ),
    "a set of a list": Raw(b"]K\x01K\x02s"),
    "append to a tuple": Raw(b")K\x01a"),
    "nothing on the stack": Raw(b"0"),
    "two results": Raw(b"NN"),
    "unmarked": Raw(b"t"),
    "array of a class": called(
        named("numpy.core.multiarray", "_reconstruct"), named("torch", "FloatStorage"), (0,), b"b"
    ),
    "another encoding": called(named("_codecs", "encode"), "x", "zip"),
    "a structured type": called(named("numpy", "dtype"), "i4,O", False, True),
    "a tensor of nothing": called(
        named("torch._utils", "_rebuild_tensor_v2"), 1, 0, (1,), (1,), False, None
    ),
    "an unknown reference": Raw(writer.encode(("module", 1)) + b"Q"),
}


@pytest.mark.parametrize("name", ODD)
def test_tricks_with_opcodes_end_in_one_error(tmp_path, name):
    refused(writer.save(tmp_path / "odd.sav", ODD[name]))
    assert not TRACES


@pytest.mark.parametrize(
    "wrong",
    [
        Tensor(np.arange(4.0), (5,), (1,)),
        Tensor(np.arange(4.0), (2,), (1,), 3),
        Tensor(np.arange(4.0), (2,), (-1,), 3),
        Tensor(np.arange(4.0), (2, 2), (1,)),
        Tensor(np.arange(4.0), (2,), (1,), -2),
        Tensor(np.arange(4.0), (2**20, 2**20), (0, 0)),
        Tensor(np.arange(4.0), (2**13, 2**13), (0, 0)),
        Tensor(np.arange(4.0), (True,), (1,)),
    ],
)
def test_a_tensor_outside_its_storage_is_refused(tmp_path, wrong):
    refused(writer.save(tmp_path / "one.sav", {"x": wrong}))


@pytest.mark.parametrize("write", WRITERS)
@pytest.mark.parametrize("share", [0.0, 0.1, 0.5, 0.9, 0.99])
def test_a_file_that_is_cut_off_is_refused(tmp_path, write, share):
    path = write(tmp_path / "one.sav", {"x": tensor(np.arange(100.0)), "y": [1, 2]})
    data = path.read_bytes()
    path.write_bytes(data[: int(share * len(data))])
    refused(path)


def test_bytes_behind_the_last_value_are_refused(tmp_path):
    path = writer.save_legacy(tmp_path / "one.sav", {"x": tensor(np.arange(100.0))})
    path.write_bytes(path.read_bytes() + b"\0" * 8)
    refused(path, "8 bytes stand behind the last of the values")


def test_a_changed_byte_is_refused(tmp_path):
    path = writer.save(tmp_path / "one.sav", {"x": tensor(np.arange(100.0))})
    data = bytearray(path.read_bytes())
    data[data.index(np.float64(50.0).tobytes())] ^= 1
    path.write_bytes(bytes(data))
    refused(path, "damaged")


@pytest.mark.parametrize(
    "content", [b"garbage" * 50, b"\x80\x02garbage", b"PK\x03\x04rubbish", b"\x80\x05K\x01."]
)
def test_garbage_is_refused(tmp_path, content):
    path = tmp_path / "one.sav"
    path.write_bytes(content)
    refused(path)


def test_random_changes_never_end_in_another_error(tmp_path):
    random = np.random.default_rng(0)
    path = tmp_path / "one.sav"
    original = writer.save_legacy(path, {"x": tensor(np.arange(9.0)), "n": np.arange(3)})
    data = original.read_bytes()
    for _ in range(300):
        changed = bytearray(data)
        for place in random.integers(0, len(data), 3):
            changed[place] = random.integers(256)
        path.write_bytes(bytes(changed))
        with suppress(DataError):
            load(path)


def test_a_pickle_of_another_program_is_refused(tmp_path):
    path = tmp_path / "one.sav"
    path.write_bytes(pickle.dumps(1, 2) + pickle.dumps(2, 2))
    refused(path, "not of torch.save")


def test_another_zip_and_a_compressed_one_are_refused(tmp_path):
    path = tmp_path / "one.sav"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("readme.txt", "nothing")
    refused(path, "data.pkl")
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("archive/data.pkl", b"\x80\x02N.")
    refused(path, "compressed")


def test_an_absent_storage_and_an_absent_file_are_named(tmp_path):
    path = writer.save(tmp_path / "one.sav", {"x": tensor(np.arange(3.0))})
    with zipfile.ZipFile(path) as archive:
        body = archive.read("archive/data.pkl")
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("archive/data.pkl", body)
    refused(path, "archive/data/0")
    refused(tmp_path / "none.sav", "no such file")
