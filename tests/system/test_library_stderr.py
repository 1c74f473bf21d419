"""Messages of C libraries are kept off standard error; ours are not."""

import io
import os
import struct
import sys
import threading
import zlib

import pytest
from PIL import Image

from support import picture_files as files
from support.patience import PATIENCE
from vmambair_arch.data import reading as data
from vmambair_arch.errors import InputError
from vmambair_arch.restoring.files import reading
from vmambair_arch.system import library_stderr


def saved(mode: str, form: str, **options) -> bytes:
    file = io.BytesIO()
    Image.fromarray(files.noise("RGB")).convert(mode).save(file, form, **options)
    return file.getvalue()


def spoilt(content: bytes) -> bytes:
    """The data with other bytes in the middle."""
    middle = len(content) * 2 // 3
    return content[:middle] + b"\x11\xff\xd5\x77" * 3 + content[middle + 12 :]


FILES = {  # each of which makes a library write a line, or two
    "bits of a JPEG": spoilt(saved("RGB", "JPEG")),
    "scans of a JPEG": spoilt(saved("RGB", "JPEG", progressive=True)),
    "a JPEG without its end": saved("RGB", "JPEG")[:-9],
    "a PNG's filter": b"\x89PNG\r\n\x1a\n"
    + files.chunk(b"IHDR", struct.pack(">2I5B", 4, 4, 8, 0, 0, 0, 0))
    + files.chunk(b"IDAT", zlib.compress(b"\x09abcd" * 4))
    + files.chunk(b"IEND", b""),
    "a PNG's profile": saved("RGB", "PNG", icc_profile=bytes(128) + b"bad"),
    "a PNG's data": spoilt(saved("P", "PNG")),
    "fax in a TIFF": spoilt(saved("1", "TIFF", compression="group4")),
    "a JPEG in a TIFF": spoilt(saved("RGB", "TIFF", compression="jpeg")),
    "LZW in a TIFF": spoilt(saved("RGB", "TIFF", compression="tiff_lzw")),
}


@pytest.mark.parametrize("name", FILES)
def test_no_library_prints_a_line_where_pictures_are_read(name, capfd):
    for read in (
        lambda: reading.read(FILES[name], "a", max_megapixels=1),
        lambda: data.training_pixels(FILES[name], "a"),
        lambda: data.imfrombytes(FILES[name]),
    ):
        try:
            read()
        except InputError as error:
            assert str(error).count("\n") == 0
    told = capfd.readouterr()
    assert told.out + told.err == ""


def test_our_lines_pass_and_those_of_libraries_do_not(tmp_path, monkeypatch):
    path = tmp_path / "said"
    before = os.dup(library_stderr.STDERR)
    with path.open("wb") as file:
        os.dup2(file.fileno(), library_stderr.STDERR)
    try:
        stream = open(library_stderr.STDERR, "w", encoding="ascii", closefd=False)  # noqa: SIM115
        monkeypatch.setattr(sys, "stderr", stream)
        library_stderr.separate_stderr()
        with library_stderr.silence():
            os.write(library_stderr.STDERR, b"libpng error\n")
            print("ours", file=sys.stderr)
            with library_stderr.silence():
                os.write(library_stderr.STDERR, b"libtiff error\n")
            os.write(library_stderr.STDERR, b"libjpeg error\n")
        os.write(library_stderr.STDERR, b"of the system\n")
        sys.stderr.close()
    finally:
        os.dup2(before, library_stderr.STDERR)
        os.close(before)
    assert path.read_bytes().splitlines() == [b"ours", b"of the system"]


@pytest.mark.skipif(not hasattr(os, "fork"), reason="processes are not forked here")
def test_a_process_forked_meanwhile_can_print_and_be_silenced(capfd):
    with library_stderr.silence():
        child = os.fork()
        if child == 0:
            os.write(library_stderr.STDERR, b"of the child")
            with library_stderr.silence():
                os.write(library_stderr.STDERR, b"libpng error")
            os._exit(0)
        assert os.waitpid(child, 0)[1] == 0
    assert capfd.readouterr().err == "of the child"


def test_the_descriptor_is_restored_after_threads_have_been_inside():
    before = os.fstat(library_stderr.STDERR)
    met = threading.Barrier(4)

    def enter():
        for _ in range(20):
            with library_stderr.silence():
                met.wait(PATIENCE)

    threads = [threading.Thread(target=enter) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    after = os.fstat(library_stderr.STDERR)
    assert (after.st_dev, after.st_ino) == (before.st_dev, before.st_ino)
